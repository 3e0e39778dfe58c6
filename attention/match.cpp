#include "attention/match.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <map>

#include "attention/placement_rules.h"
#include "core/error.h"
#include "core/parallel.h"

namespace filigree {

namespace {

constexpr double kAim = 5e-5;           // good enough: 0.005 points
constexpr double kTolerance = 1e-3;     // promised: 0.1 points
constexpr double kStep = 1e-6;          // of a share
constexpr int64_t kSampleBatches = 32;  // of a first guess

struct Size {
  int64_t edges = 0, pairs = 0;
};

Size size_on(const Pattern& pattern, const SequenceBatch& batch, std::span<const GraphKey> keys,
             const TokenVectors* vectors) {
  Size size;
  Runs runs;
  for (int64_t b = 0; b + 1 < batch.offsets.numel(); ++b) {
    const SequenceView sequence = view_of(batch, b, vectors);
    const Pattern bound = pattern.bind(sequence);
    for (const GraphKey& key : keys) {
      const Pattern drawn = bound.draw(sequence, key);
      for (int64_t i = 0; i < sequence.length; ++i) {
        runs.clear();
        drawn.row(sequence, i, key, runs);
        size.edges += size_of(runs);
      }
      size.pairs += sequence.length * sequence.length;
    }
  }
  return size;
}

/// Edges and pairs of every stride-th batch, summed over the keys.
Size size_on(const Pattern& pattern, const MatchData& data, std::span<const GraphKey> keys,
             const TokenVectors* vectors, int64_t stride) {
  const int64_t count = (data.batches + stride - 1) / stride;
  std::vector<Size> sizes(static_cast<size_t>(count));
  parallel_for(count, 1, [&](int64_t k) {
    data.visit(k * stride, [&](const SequenceBatch& batch) {
      sizes[static_cast<size_t>(k)] = size_on(pattern, batch, keys, vectors);
    });
  });
  Size total;
  for (const Size& size : sizes) {
    total.edges += size.edges;
    total.pairs += size.pairs;
  }
  return total;
}

double density_of(const Size& size) {
  return size.pairs == 0 ? 0 : static_cast<double>(size.edges) / static_cast<double>(size.pairs);
}

/// Where a rule's density is measured: in one layer and head, or if these have edges of their own
/// in up to four, evenly spread.
std::vector<GraphKey> measured_places(const PlacementRule& rule, uint64_t seed) {
  std::vector<GraphKey> places;
  for (size_t layer = 0; layer < rule.layers.size(); ++layer) {
    for (size_t head = 0; head < rule.heads.size(); ++head) {
      const int l = static_cast<int>(layer), h = static_cast<int>(head);
      if (rule.at(l, h)) places.push_back({seed, 0, l, h});
    }
  }
  if (places.empty()) places.push_back({seed, 0, 0, 0});
  const size_t wanted = rule.pattern.differs_by_head() ? std::min<size_t>(places.size(), 4) : 1;
  for (size_t k = 0; k < wanted; ++k) places[k] = places[k * places.size() / wanted];
  places.resize(wanted);
  return places;
}

/// Solves one rule.
class Solver {
 public:
  Solver(const PlacementRule& rule, const MatchData& data, uint64_t seed,
         const TokenVectors* vectors)
      : rule_(rule),
        open_(rule.match->open),
        data_(data),
        keys_(measured_places(rule, seed)),
        vectors_(vectors) {
    std::vector<int64_t> longest(static_cast<size_t>(data.batches)), pairs(longest);
    parallel_for(data.batches, 1, [&](int64_t k) {
      data.visit(k, [&](const SequenceBatch& batch) {
        const auto offsets = std::as_const(batch.offsets).span<int64_t>();
        for (size_t b = 0; b + 1 < offsets.size(); ++b) {
          const int64_t length = offsets[b + 1] - offsets[b];
          longest[static_cast<size_t>(k)] = std::max(longest[static_cast<size_t>(k)], length);
          pairs[static_cast<size_t>(k)] += length * length;
        }
      });
    });
    for (const int64_t length : longest) most_ = std::max(most_, length);
    for (const int64_t count : pairs) pairs_ += count;
    if (pairs_ == 0) {
      throw DataError("match", fmt::format("there are no tokens to solve \"{}\" on", rule.text()));
    }
    most_ = std::max(most_, open_.least() + 1);
  }

  MatchedRule solve() {
    MatchedRule solved{rule_.text(), {}, target(), 0};
    const double first = full(open_.least()), last = full(most_);
    rising_ = last >= first;
    if (!below(first) || below(last)) {  // nothing lies on both sides: an end, if it is near
      const bool at_first = !below(first);
      const int64_t number = at_first ? open_.least() : most_;
      solved.density = at_first ? first : last;
      if (std::abs(solved.density - target()) > tolerance()) throw_out_of_reach(first, last);
      solved.pattern = parse_pattern(open_.with(number)).text();
      return solved;
    }
    const int64_t number = bracket();
    const auto [share, density] = remainder(number);
    solved.pattern = parse_pattern(open_.between(number, share)).text();
    solved.density = density;
    return solved;
  }

 private:
  double target() const { return rule_.match->density; }
  double tolerance() const { return std::max(kTolerance, 1 / static_cast<double>(pairs_)); }
  /// Whether a smaller number cannot be nearer: density at most the target (at least, if it falls).
  bool below(double density) const { return rising_ ? density <= target() : density >= target(); }

  double full(const std::string& text) const {
    return density_of(size_on(parse_pattern(text), data_, keys_, vectors_, 1));
  }
  double full(int64_t number) {
    const auto known = known_.find(number);
    if (known != known_.end()) return known->second;
    return known_[number] = full(open_.with(number));
  }

  /// The largest number that is below the target; the next one is not. A sample of the split says
  /// where to look.
  int64_t bracket() {
    const int64_t stride = std::max<int64_t>(1, data_.batches / kSampleBatches);
    int64_t number = open_.least(), above = most_;
    while (above - number > 1) {
      const int64_t middle = number + (above - number) / 2;
      const double density =
          density_of(size_on(parse_pattern(open_.with(middle)), data_, keys_, vectors_, stride));
      (below(density) ? number : above) = middle;
    }
    while (!below(full(number))) --number;
    while (below(full(number + 1))) ++number;
    return number;
  }

  /// The share of what `number` + 1 adds that comes nearest to the target, and its density: by
  /// false position, since density is almost linear in the share.
  std::pair<double, double> remainder(int64_t number) {
    double low = 0, high = 1, at_low = full(number), at_high = full(open_.between(number, 1));
    std::pair<double, double> best{low, at_low};
    const auto consider = [&](double share, double density) {
      const double gain = std::abs(best.second - target()) - std::abs(density - target());
      if (gain > 0) best = {share, density};
    };
    consider(high, at_high);
    for (int k = 0; std::abs(best.second - target()) > kAim && high - low > 1.5 * kStep; ++k) {
      const bool halve = k % 3 == 2 || at_high == at_low;
      const double part = halve ? 0.5 : (target() - at_low) / (at_high - at_low);
      const double wanted = std::round((low + part * (high - low)) / kStep) * kStep;
      const double share = std::max(low + kStep, std::min(wanted, high - kStep));
      const double density = full(open_.between(number, share));
      consider(share, density);
      (below(density) ? low : high) = share;
      (below(density) ? at_low : at_high) = density;
    }
    return best;
  }

  [[noreturn]] void throw_out_of_reach(double first, double last) const {
    throw ConfigError(
        "match",
        fmt::format("\"{}\" has no solution on these data: {} gives a density of "
                    "{:.4f}, {} of {:.4f}",
                    rule_.text(), open_.with(open_.least()), first, open_.with(most_), last),
        "ask for a density between the two, or change the other parts");
  }

  const PlacementRule& rule_;
  const OpenPattern& open_;
  const MatchData& data_;
  std::vector<GraphKey> keys_;
  const TokenVectors* vectors_;
  int64_t most_ = 0, pairs_ = 0;  // a number that holds every pair there can be
  bool rising_ = true;
  std::map<int64_t, double> known_;
};

}  // namespace

MatchResult solve_match(const AttentionPlan& plan, const MatchData& data, uint64_t seed) {
  MatchResult result;
  std::vector<PlacementRule> rules = plan.rules();
  for (PlacementRule& rule : rules) {
    if (!rule.match || !rule.anywhere()) continue;
    result.rules.push_back(Solver(rule, data, seed, plan.vectors().get()).solve());
    rule.pattern = parse_pattern(result.rules.back().pattern);
    rule.match.reset();
  }
  result.pattern = rules_text(rules);
  return result;
}

double density_on(const Pattern& pattern, const MatchData& data, const GraphKey& key,
                  const TokenVectors* vectors) {
  return density_of(size_on(pattern, data, {&key, 1}, vectors, 1));
}

}  // namespace filigree
