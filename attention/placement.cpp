#include "attention/placement.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"

namespace filigree {

namespace {

int whole_number(std::string_view text, std::string_view option, std::string_view whole) {
  int value = -1;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size() || value < 0) {
    throw ConfigError(option,
                      fmt::format("expected a whole number, got \"{}\" in \"{}\"", text, whole));
  }
  return value;
}

/// The chosen ones of `count` layers or heads.
std::vector<bool> selection(std::string_view text, std::string_view option, int count) {
  std::vector<bool> chosen(static_cast<size_t>(count), false);
  const auto choose = [&](int64_t first, int64_t last) {
    if (last > count || first < 0) {
      throw ConfigError(option,
                        fmt::format("\"{}\" asks for more than the {} there are", text, count));
    }
    std::fill(chosen.begin() + first, chosen.begin() + last, true);
  };
  const size_t colon = text.find(':');
  const std::string_view word = text.substr(0, colon);
  if (word == "all" && colon == std::string_view::npos) {
    choose(0, count);
  } else if (word == "none" && colon == std::string_view::npos) {
    return chosen;
  } else if (colon != std::string_view::npos) {
    const int64_t k = whole_number(text.substr(colon + 1), option, text);
    if (word == "first") {
      choose(0, k);
    } else if (word == "last") {
      choose(count - k, count);
    } else if (word == "only") {
      choose(k, k + 1);
    } else {
      throw ConfigError(option,
                        fmt::format("expected all, none, first:k, last:k, only:l or a list, "
                                    "got \"{}\"",
                                    text));
    }
  } else {
    size_t start = 0;
    while (start <= text.size()) {
      const size_t comma = std::min(text.find(',', start), text.size());
      const int64_t k = whole_number(text.substr(start, comma - start), option, text);
      choose(k, k + 1);
      start = comma + 1;
    }
  }
  return chosen;
}

std::string list_of(const std::vector<bool>& chosen) {
  if (std::all_of(chosen.begin(), chosen.end(), [](bool c) { return c; })) return "all";
  std::vector<size_t> numbers;
  for (size_t k = 0; k < chosen.size(); ++k) {
    if (chosen[k]) numbers.push_back(k);
  }
  return numbers.empty() ? "no" : fmt::format("{}", fmt::join(numbers, ","));
}

bool none(const std::vector<bool>& chosen) {
  return std::none_of(chosen.begin(), chosen.end(), [](bool c) { return c; });
}

}  // namespace

AttentionPlan::AttentionPlan(std::string_view pattern, std::string_view layers,
                             std::string_view heads, int layer_count, int head_count)
    : pattern_(parse_pattern(pattern)),
      layers_(selection(layers, "attention.layers", layer_count)),
      heads_(selection(heads, "attention.heads", head_count)) {}

bool AttentionPlan::sparse(int layer, int head) const {
  return layers_.at(static_cast<size_t>(layer)) && heads_.at(static_cast<size_t>(head));
}

std::string AttentionPlan::describe() const {
  if (none(layers_) || none(heads_)) return "dense in every layer";
  return fmt::format("{} in {} layers of {}, {} heads of {}", pattern_.text(), list_of(layers_),
                     layers_.size(), list_of(heads_), heads_.size());
}

LayerGraphs AttentionPlan::build(const SequenceBatch& batch, uint64_t seed, uint64_t step) const {
  LayerGraphs graphs;
  std::shared_ptr<const AttentionGraph> dense, shared;
  for (int layer = 0; layer < static_cast<int>(layers_.size()); ++layer) {
    if (!layers_[static_cast<size_t>(layer)] || none(heads_)) {
      if (!dense) {
        dense = std::make_shared<AttentionGraph>(
            AttentionGraph::dense(batch.offsets, static_cast<int>(heads_.size())));
      }
      graphs.push_back(dense);
    } else if (pattern_.differs_by_head()) {
      graphs.push_back(build_layer(batch, seed, step, layer));
    } else {
      if (!shared) shared = build_layer(batch, seed, step, layer);
      graphs.push_back(shared);
    }
  }
  return graphs;
}

std::shared_ptr<const AttentionGraph> AttentionPlan::build_layer(const SequenceBatch& batch,
                                                                 uint64_t seed, uint64_t step,
                                                                 int layer) const {
  // Groups: one for every sparse head (or one for all of them), then one for the dense heads.
  std::vector<int> group_of_head, head_of_group;
  const bool mixed = std::find(heads_.begin(), heads_.end(), false) != heads_.end();
  for (size_t head = 0; head < heads_.size(); ++head) {
    if (!heads_[head]) {
      group_of_head.push_back(-1);
      continue;
    }
    if (head_of_group.empty() || pattern_.differs_by_head()) {
      head_of_group.push_back(static_cast<int>(head));
    }
    group_of_head.push_back(static_cast<int>(head_of_group.size()) - 1);
  }
  const int sparse_groups = static_cast<int>(head_of_group.size());
  std::replace(group_of_head.begin(), group_of_head.end(), -1, sparse_groups);

  const int64_t* offsets = std::as_const(batch.offsets).data<int64_t>();
  return std::make_shared<AttentionGraph>(AttentionGraph::from_rows(
      batch.offsets, sparse_groups + (mixed ? 1 : 0), std::move(group_of_head),
      [&](int group, int64_t b, int64_t i, Runs& out) {
        const int64_t first = offsets[b], length = offsets[b + 1] - first;
        if (group == sparse_groups) {
          append_run(out, first, first + length);
          return;
        }
        const auto part = [&](auto span) {
          return span.empty()
                     ? span
                     : span.subspan(static_cast<size_t>(first), static_cast<size_t>(length));
        };
        const SequenceView view{length, part(batch.ids), part(batch.special),
                                batch.samples.empty()
                                    ? 0
                                    : static_cast<uint64_t>(batch.samples[static_cast<size_t>(b)])};
        Runs local;
        pattern_.row(view, i - first,
                     {seed, step, layer, head_of_group[static_cast<size_t>(group)]}, local);
        for (const Run& run : local) append_run(out, run.lo + first, run.hi + first);
      }));
}

void DensityMeter::add(const LayerGraphs& graphs) {
  edges_.resize(std::max(edges_.size(), graphs.size()));
  for (size_t l = 0; l < graphs.size(); ++l) {
    edges_[l] += graphs[l]->density() * static_cast<double>(graphs[l]->valid_pairs());
    empty_rows_ += graphs[l]->empty_rows();
  }
  if (!graphs.empty()) pairs_ += static_cast<double>(graphs[0]->valid_pairs());
}

double DensityMeter::layer(size_t l) const { return pairs_ > 0 ? edges_.at(l) / pairs_ : 0; }

double DensityMeter::mean() const {
  double total = 0;
  for (size_t l = 0; l < layers(); ++l) total += layer(l);
  return layers() > 0 ? total / static_cast<double>(layers()) : 0;
}

}  // namespace filigree
