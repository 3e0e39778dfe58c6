#include "attention/placement.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <map>

#include "attention/graph_cache.h"
#include "attention/placement_rules.h"
#include "core/error.h"
#include "core/parallel.h"

namespace filigree {

namespace {

std::string list_of(const std::vector<bool>& chosen) {
  if (std::all_of(chosen.begin(), chosen.end(), [](bool c) { return c; })) return "all";
  std::vector<size_t> numbers;
  for (size_t k = 0; k < chosen.size(); ++k) {
    if (chosen[k]) numbers.push_back(k);
  }
  return numbers.empty() ? "no" : fmt::format("{}", fmt::join(numbers, ","));
}

}  // namespace

AttentionPlan::AttentionPlan(std::string_view pattern, std::string_view layers,
                             std::string_view heads, int layer_count, int head_count)
    : rules_(std::make_shared<const std::vector<PlacementRule>>(
          parse_rules(pattern, layers, heads, layer_count, head_count))),
      layer_count_(layer_count),
      head_count_(head_count) {
  const bool by_length = std::all_of(rules_->begin(), rules_->end(), [](const auto& rule) {
    return !rule.anywhere() || rule.pattern.by_length();
  });
  if (by_length) cache_ = std::make_shared<GraphCache>();
}

int AttentionPlan::rule_at(int layer, int head) const {
  if (layer < 0 || layer >= layer_count_ || head < 0 || head >= head_count_) {
    throw ConfigError("attention plan", fmt::format("there is no layer {}, head {}", layer, head));
  }
  const auto found = std::find_if(rules_->begin(), rules_->end(),
                                  [&](const auto& rule) { return rule.at(layer, head); });
  return found == rules_->end() ? -1 : static_cast<int>(found - rules_->begin());
}

std::string AttentionPlan::describe() const {
  std::vector<std::string> parts;
  for (const PlacementRule& rule : *rules_) {
    if (!rule.anywhere()) continue;
    parts.push_back(fmt::format("{} in {} layers of {}, {} heads of {}", rule.text(),
                                list_of(rule.layers), layer_count_, list_of(rule.heads),
                                head_count_));
  }
  return parts.empty() ? "dense in every layer" : fmt::format("{}", fmt::join(parts, "; "));
}

std::string AttentionPlan::pattern() const { return rules_text(*rules_); }

bool AttentionPlan::needs_match() const {
  return std::any_of(rules_->begin(), rules_->end(),
                     [](const auto& rule) { return rule.match.has_value(); });
}

bool AttentionPlan::needs_vectors() const {
  return std::any_of(rules_->begin(), rules_->end(),
                     [](const auto& r) { return r.anywhere() && r.pattern.needs_vectors(); });
}

/// The links of sequence b.
static std::span<const int32_t> links_of(const SequenceBatch& batch, int64_t b) {
  if (batch.link_offsets.empty()) return {};
  const auto at = static_cast<size_t>(b);
  const auto first = static_cast<size_t>(batch.link_offsets[at]);
  return batch.links.subspan(2 * first,
                             2 * (static_cast<size_t>(batch.link_offsets[at + 1]) - first));
}

SequenceView view_of(const SequenceBatch& batch, int64_t b, const TokenVectors* vectors) {
  const int64_t* offsets = std::as_const(batch.offsets).data<int64_t>();
  const int64_t length = offsets[b + 1] - offsets[b];
  const auto part = [&](auto span) {
    return span.empty()
               ? span
               : span.subspan(static_cast<size_t>(offsets[b]), static_cast<size_t>(length));
  };
  const uint64_t sample =
      batch.samples.empty() ? 0 : static_cast<uint64_t>(batch.samples[static_cast<size_t>(b)]);
  return {length,
          part(batch.ids),
          part(batch.special),
          sample,
          part(batch.words),
          part(batch.heads),
          part(batch.classes),
          vectors,
          links_of(batch, b)};
}

void AttentionPlan::expect_data(const SequenceBatch& batch) const {
  for (const PlacementRule& rule : *rules_) {
    if (!rule.anywhere()) continue;
    for (int64_t b = 0; b + 1 < batch.offsets.numel(); ++b) {
      rule.pattern.bind(view_of(batch, b, vectors_.get()));
    }
  }
}

/// What the layers of one build share.
struct AttentionPlan::Build {
  const SequenceBatch& batch;
  uint64_t seed, step;
  std::vector<SequenceView> views;          // (B)
  std::vector<std::vector<Pattern>> bound;  // (rules, B)
};

LayerGraphs AttentionPlan::build(const SequenceBatch& batch, uint64_t seed, uint64_t step) const {
  if (needs_match()) {
    throw ConfigError("attention plan", fmt::format("\"{}\" is not solved yet", pattern()),
                      "solve_match() finds its number on a split");
  }
  if (cache_) {
    LayerGraphs known = cache_->find(batch.offsets, seed);
    if (!known.empty()) return known;
  }
  Build shared{batch, seed, step, {}, {}};
  for (int64_t b = 0; b + 1 < batch.offsets.numel(); ++b) {
    shared.views.push_back(view_of(batch, b, vectors_.get()));
  }
  for (const PlacementRule& rule : *rules_) {
    std::vector<Pattern>& bound = shared.bound.emplace_back();
    if (!rule.anywhere()) continue;
    bound.assign(shared.views.size(), rule.pattern);
    parallel_for(static_cast<int64_t>(bound.size()), 1, [&](int64_t b) {
      Pattern& pattern = bound[static_cast<size_t>(b)];
      pattern = pattern.bind(shared.views[static_cast<size_t>(b)]);
    });
  }
  LayerGraphs graphs;
  std::map<std::vector<int>, std::shared_ptr<const AttentionGraph>> known;
  for (int layer = 0; layer < layer_count_; ++layer) {
    std::vector<int> rule_of_head;
    bool own = false;
    for (int head = 0; head < head_count_; ++head) {
      rule_of_head.push_back(rule_at(layer, head));
      own |= rule_of_head.back() >= 0 &&
             (*rules_)[static_cast<size_t>(rule_of_head.back())].pattern.differs_by_head();
    }
    auto graph = own ? nullptr : known[rule_of_head];
    if (!graph) graph = build_layer(shared, layer, rule_of_head);
    if (!own) known[rule_of_head] = graph;
    graphs.push_back(graph);
  }
  if (cache_) cache_->keep(batch.offsets, seed, graphs);
  return graphs;
}

std::shared_ptr<const AttentionGraph> AttentionPlan::build_layer(
    const Build& shared, int layer, const std::vector<int>& rule_of_head) const {
  const Tensor& packed = shared.batch.offsets;
  if (std::all_of(rule_of_head.begin(), rule_of_head.end(), [](int r) { return r < 0; })) {
    return std::make_shared<AttentionGraph>(AttentionGraph::dense(packed, head_count_));
  }
  // A group for every head whose edges are its own, else one for all heads of a rule (-1: dense).
  std::vector<int> group_of_head, head_of_group;
  for (int head = 0; head < head_count_; ++head) {
    const int rule = rule_of_head[static_cast<size_t>(head)];
    const bool own = rule >= 0 && (*rules_)[static_cast<size_t>(rule)].pattern.differs_by_head();
    const auto same = std::find_if(head_of_group.begin(), head_of_group.end(), [&](int other) {
      return !own && rule_of_head[static_cast<size_t>(other)] == rule;
    });
    group_of_head.push_back(static_cast<int>(same - head_of_group.begin()));
    if (same == head_of_group.end()) head_of_group.push_back(head);
  }
  const int64_t* offsets = packed.data<int64_t>();
  return std::make_shared<AttentionGraph>(AttentionGraph::from_rows(
      packed, static_cast<int>(head_of_group.size()), std::move(group_of_head),
      [&](int group, int64_t b, int64_t i, Runs& out) {
        const int64_t first = offsets[b];
        const int head = head_of_group[static_cast<size_t>(group)];
        const int rule = rule_of_head[static_cast<size_t>(head)];
        if (rule < 0) {
          append_run(out, first, offsets[b + 1]);
          return;
        }
        const auto sequence = static_cast<size_t>(b);
        shared.bound[static_cast<size_t>(rule)][sequence].row(
            shared.views[sequence], i - first, {shared.seed, shared.step, layer, head}, out);
        for (Run& run : out) {
          run.lo += static_cast<int32_t>(first);
          run.hi += static_cast<int32_t>(first);
        }
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
