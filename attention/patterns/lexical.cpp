// lexical: tokens that look alike, by the cosine of their vectors or by the form of their words.
#include <fmt/format.h>
#include <numeric>

#include "attention/patterns/kind.h"
#include "attention/patterns/neighbour_lists.h"
#include "attention/token_vectors.h"
#include "core/error.h"

namespace filigree {

namespace {

/// The k tokens other than i that are most similar to i: by cosine, then distance, then index.
/// Equal ids have equal cosines, so these are taken once for each pair of different ids, a block of
/// rows at a time. Time O(m^2 E + n^2) for m different ids, memory O(n k + n).
NeighbourLists most_similar(const SequenceView& sequence, int64_t k) {
  const TokenVectors& vectors = *sequence.vectors;
  const auto n = static_cast<int32_t>(sequence.length);
  for (const int32_t id : sequence.ids) {
    if (id >= 0 && id < vectors.vocabulary()) continue;
    throw DataError("pattern lexical",
                    fmt::format("token {} has no vector: there are {}", id, vectors.vocabulary()));
  }
  std::vector<int32_t> ids(sequence.ids.begin(), sequence.ids.end());
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  std::vector<int32_t> rank(sequence.ids.size()), order(sequence.ids.size());  // by id, then index
  for (size_t i = 0; i < rank.size(); ++i) {
    rank[i] = static_cast<int32_t>(std::lower_bound(ids.begin(), ids.end(), sequence.ids[i]) -
                                   ids.begin());
  }
  std::iota(order.begin(), order.end(), 0);
  const auto rank_of = [&](int32_t i) { return rank[static_cast<size_t>(i)]; };
  std::stable_sort(order.begin(), order.end(),
                   [&](int32_t a, int32_t b) { return rank_of(a) < rank_of(b); });

  NeighbourLists lists;
  lists.list_of.resize(sequence.ids.size());
  constexpr size_t kBlock = 4;  // rows of cosines held at once
  std::vector<double> block(kBlock * ids.size());
  std::vector<int32_t> candidates;
  int32_t last = -1;
  for (size_t place = 0; place < order.size(); ++place) {
    const int32_t i = order[place];
    const auto row = static_cast<size_t>(rank_of(i));
    if (rank_of(i) != last && row % kBlock == 0) {
      vectors.cosines(std::span(ids).subspan(row, std::min(kBlock, ids.size() - row)), ids, block);
    }
    last = rank_of(i);
    const double* cosines = block.data() + row % kBlock * ids.size();
    candidates.clear();
    for (int32_t j = 0; j < n; ++j) {
      if (j != i) candidates.push_back(j);
    }
    const auto before = [&](int32_t a, int32_t b) {
      const double x = cosines[rank_of(a)];
      const double y = cosines[rank_of(b)];
      if (x != y) return x > y;
      const int32_t near_a = std::abs(a - i), near_b = std::abs(b - i);
      return near_a != near_b ? near_a < near_b : a < b;
    };
    if (k < static_cast<int64_t>(candidates.size())) {
      std::nth_element(candidates.begin(), candidates.begin() + k, candidates.end(), before);
      candidates.resize(static_cast<size_t>(k));
    }
    lists.list_of[static_cast<size_t>(i)] = static_cast<int32_t>(place);
    lists.add_list(candidates);
  }
  return lists;
}

/// All tokens of the words of one class see each other. Cost O(n log n).
NeighbourLists same_word(const SequenceView& sequence) {
  const std::span<const int32_t> classes = sequence.classes;
  std::vector<int32_t> order(classes.size());
  std::iota(order.begin(), order.end(), 0);
  const auto class_of = [&](int32_t i) { return classes[static_cast<size_t>(i)]; };
  std::stable_sort(order.begin(), order.end(),
                   [&](int32_t a, int32_t b) { return class_of(a) < class_of(b); });
  NeighbourLists lists;
  lists.list_of.assign(classes.size(), -1);
  for (size_t first = 0, last = 0; first < order.size(); first = last) {
    for (last = first; last < order.size() && class_of(order[last]) == class_of(order[first]);) {
      ++last;
    }
    if (class_of(order[first]) < 0) continue;
    for (size_t p = first; p < last; ++p) {
      lists.list_of[static_cast<size_t>(order[p])] = static_cast<int32_t>(lists.offsets.size()) - 1;
    }
    lists.add_list(std::span(order).subspan(first, last - first));
  }
  return lists;
}

std::shared_ptr<const PatternNode> make_lexical(PatternArguments& arguments) {
  arguments.expect_count(1, 1);
  if (arguments.item(0, "number of tokens, or same").value == "same") {
    return list_pattern("lexical:same", kReadsClasses, [](const SequenceView& sequence) {
      expect_data(sequence, sequence.classes.size(), "lexical:same", "word classes",
                  "prepare the dataset again with `filigree prepare`, which makes them");
      return same_word(sequence);
    });
  }
  const int64_t k = arguments.number(0, "number of tokens", 0);
  const std::string text = fmt::format("lexical:{}", k);
  return list_pattern(text, kReadsIds | kReadsVectors, [text, k](const SequenceView& sequence) {
    expect_data(sequence, sequence.ids.size(), text, "token ids", "give the ids of the tokens");
    if (sequence.vectors == nullptr) {
      throw DataError(fmt::format("pattern {}", text), "there are no token vectors",
                      "give the plan an embedding table: AttentionPlan::set_vectors()");
    }
    return most_similar(sequence, k);
  });
}

}  // namespace

PatternKind lexical_pattern() {
  return {
      {"lexical", "lexical:k|same",
       "the k other tokens whose vectors (the input embeddings at the start of the run) have the "
       "largest cosine, ties by distance, then index; same: every token of the same word, in "
       "every place"},
      make_lexical,
      {"0"}};
}

}  // namespace filigree
