#include "attention/placement.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <map>
#include <optional>
#include <unordered_map>

#include "attention/graph_cache.h"
#include "attention/placement_rules.h"
#include "attention/sequence_key.h"
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

/// The bounds ascend, and what there is of a batch is as long as they say.
void expect_entries(const SequenceBatch& batch) {
  expect_offsets(batch.offsets);
  const auto tokens = static_cast<size_t>(batch.offsets.span<int64_t>().back());
  const auto sequences = static_cast<size_t>(batch.offsets.numel()) - 1;
  const auto expect = [](std::string_view name, size_t expected, size_t got) {
    if (got == 0 || got == expected) return;
    throw ShapeError("attention plan", fmt::format("expected {} {}, got {}", expected, name, got));
  };
  expect("ids", tokens, batch.ids.size());
  expect("special flags", tokens, batch.special.size());
  expect("samples", sequences, batch.samples.size());
  expect("words", tokens, batch.words.size());
  expect("heads", tokens, batch.heads.size());
  expect("classes", tokens, batch.classes.size());
  expect("link offsets", sequences + 1, batch.link_offsets.size());
}

/// The graph of a layer: a group for every slot that its heads have.
std::shared_ptr<const AttentionGraph> join(
    const Tensor& offsets, const std::vector<std::shared_ptr<const SequenceGraphs>>& graphs,
    const std::vector<int>& slot_of_head) {
  std::vector<int> slots, group_of_head;
  for (const int slot : slot_of_head) {
    const auto same = std::find(slots.begin(), slots.end(), slot);
    group_of_head.push_back(static_cast<int>(same - slots.begin()));
    if (same == slots.end()) slots.push_back(slot);
  }
  std::vector<SequenceGraphs> groups;
  for (const int slot : slots) {
    SequenceGraphs& group = groups.emplace_back();
    group.reserve(graphs.size());
    for (const auto& stack : graphs) group.push_back((*stack)[static_cast<size_t>(slot)]);
  }
  return std::make_shared<AttentionGraph>(offsets, std::move(groups), std::move(group_of_head));
}

}  // namespace

AttentionPlan::AttentionPlan(std::string_view pattern, std::string_view layers,
                             std::string_view heads, int layer_count, int head_count)
    : rules_(std::make_shared<const std::vector<PlacementRule>>(
          parse_rules(pattern, layers, heads, layer_count, head_count))),
      layer_count_(layer_count),
      head_count_(head_count) {
  make_slots();
}

void AttentionPlan::make_slots() {
  for (const PlacementRule& rule : *rules_) {
    if (rule.anywhere()) reads_ |= rule.pattern.reads();
  }
  cache_ = std::make_shared<GraphCache>();
  for (int layer = 0; layer < layer_count_; ++layer) {
    std::vector<int>& row = slot_at_.emplace_back();
    for (int head = 0; head < head_count_; ++head) {
      const int rule = rule_at(layer, head);
      const bool own = rule >= 0 && (*rules_)[static_cast<size_t>(rule)].pattern.differs_by_head();
      const auto same = std::find_if(slots_.begin(), slots_.end(),
                                     [&](const Slot& slot) { return !own && slot.rule == rule; });
      row.push_back(static_cast<int>(same - slots_.begin()));
      if (same == slots_.end()) slots_.push_back({rule, layer, head});
    }
  }
}

void AttentionPlan::set_vectors(std::shared_ptr<const TokenVectors> vectors) {
  vectors_ = std::move(vectors);
  cache_ = std::make_shared<GraphCache>();  // copies of the plan keep theirs
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
                     [](const auto& rule) { return rule.anywhere() && rule.match.has_value(); });
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

void AttentionPlan::make_graphs(std::span<const SequenceView> views, std::span<const size_t> wanted,
                                uint64_t seed, uint64_t step,
                                std::vector<std::shared_ptr<const SequenceGraphs>>& graphs) const {
  const size_t rules = rules_->size(), slots = slots_.size();
  const auto count = [](size_t n) { return static_cast<int64_t>(n); };
  std::vector<std::optional<Pattern>> bound(wanted.size() * rules);
  parallel_for(count(bound.size()), 1, [&](int64_t task) {
    const auto t = static_cast<size_t>(task);
    const PlacementRule& rule = (*rules_)[t % rules];
    if (rule.anywhere()) bound[t] = rule.pattern.bind(views[wanted[t / rules]]);
  });
  std::vector<SequenceGraphs> made(wanted.size(), SequenceGraphs(slots));
  parallel_for(count(wanted.size() * slots), 1, [&](int64_t task) {
    const size_t w = static_cast<size_t>(task) / slots, s = static_cast<size_t>(task) % slots;
    const SequenceView& view = views[wanted[w]];
    const Slot& slot = slots_[s];
    if (slot.rule < 0) {
      made[w][s] = SequenceGraph::dense(view.length);
      return;
    }
    const GraphKey key{seed, step, slot.layer, slot.head};
    const Pattern pattern = bound[w * rules + static_cast<size_t>(slot.rule)]->draw(view, key);
    made[w][s] = SequenceGraph::from_rows(
        view.length, [&](int64_t i, Runs& out) { pattern.row(view, i, key, out); });
  });
  for (size_t w = 0; w < wanted.size(); ++w) {
    graphs[wanted[w]] = std::make_shared<const SequenceGraphs>(std::move(made[w]));
  }
}

LayerGraphs AttentionPlan::build(const SequenceBatch& batch, uint64_t seed, uint64_t step) const {
  if (needs_match()) {
    throw ConfigError("attention plan", fmt::format("\"{}\" is not solved yet", pattern()),
                      "solve_match() finds its number on a split");
  }
  expect_entries(batch);
  const auto sequences = static_cast<size_t>(batch.offsets.numel()) - 1;
  std::vector<SequenceView> views;
  for (size_t b = 0; b < sequences; ++b) {
    views.push_back(view_of(batch, static_cast<int64_t>(b), vectors_.get()));
  }
  std::vector<std::shared_ptr<const SequenceGraphs>> graphs(sequences);  // a slot each
  std::vector<size_t> wanted;
  if (reads_ & kReadsStep) {
    for (size_t b = 0; b < sequences; ++b) wanted.push_back(b);
    make_graphs(views, wanted, seed, step, graphs);
  } else {
    cache_->recount();                               // the last batch has its schedules by now
    std::unordered_map<ContentHash, size_t> making;  // by which sequence
    std::vector<std::pair<size_t, size_t>> twins;    // that wait for another one's graphs
    std::vector<ContentHash> keys;
    for (size_t b = 0; b < sequences; ++b) {
      keys.push_back(sequence_key(views[b], reads_, seed));
      if ((graphs[b] = cache_->find(keys[b]))) continue;
      const auto [place, fresh] = making.try_emplace(keys[b], b);
      if (fresh) {
        wanted.push_back(b);
      } else {
        twins.emplace_back(b, place->second);
      }
    }
    if (!wanted.empty()) make_graphs(views, wanted, seed, step, graphs);
    for (const auto& [b, other] : twins) graphs[b] = graphs[other];
    for (const size_t b : wanted) cache_->keep(keys[b], graphs[b]);
  }
  LayerGraphs layers;
  std::map<std::vector<int>, std::shared_ptr<const AttentionGraph>> known;
  for (const std::vector<int>& slot_of_head : slot_at_) {
    std::shared_ptr<const AttentionGraph>& layer = known[slot_of_head];
    if (!layer) layer = join(batch.offsets, graphs, slot_of_head);
    layers.push_back(layer);
  }
  return layers;
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
