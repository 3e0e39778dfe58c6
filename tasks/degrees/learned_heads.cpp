#include "tasks/degrees/learned_heads.h"

#include <algorithm>
#include <fmt/format.h>
#include <numeric>

#include "attention/degrees/distribution.h"
#include "core/error.h"

namespace filigree {

namespace {

/// p_d = g(d) - g(d+1); nothing if the gate rises somewhere.
std::vector<double> node_shares(const std::vector<double>& gate) {
  std::vector<double> p(gate.size());
  for (size_t d = 0; d < gate.size(); ++d) {
    p[d] = gate[d] - (d + 1 < gate.size() ? gate[d + 1] : 0);
    if (p[d] < 0) return {};
  }
  return p;
}

/// lambda_d = d p_d / sum_k k p_k; all 0 if there are no edges.
std::vector<double> edge_shares(const std::vector<double>& node) {
  std::vector<double> edge(node.size());
  for (size_t d = 0; d < node.size(); ++d) edge[d] = static_cast<double>(d) * node[d];
  const double sum = std::accumulate(edge.begin(), edge.end(), 0.0);
  for (double& share : edge) share = sum > 0 ? share / sum : 0;
  return edge;
}

/// Last distances of the columns 0, 1, 2, 3-4, 5-8 .. to R.
std::vector<int64_t> column_ends(int64_t reach) {
  std::vector<int64_t> ends{0};
  for (int64_t end = 1; ends.back() < reach; end *= 2) ends.push_back(std::min(end, reach));
  return ends;
}

std::string closed_heads(const LearnedHeads& heads, const std::vector<HardHead>& hard) {
  std::string names;
  for (size_t k = 0; k < hard.size(); ++k) {
    if (!hard[k].closed()) continue;
    names +=
        fmt::format("{}{}.{}", names.empty() ? "" : ", ", heads.all[k].layer, heads.all[k].head);
  }
  return names;
}

}  // namespace

bool LearnedHeads::windows() const {
  return std::none_of(all.begin(), all.end(),
                      [](const LearnedHead& head) { return head.node.empty(); });
}

LearnedDegrees LearnedHeads::distributions() const {
  if (!windows()) {
    throw ConfigError("degrees", fmt::format("gates of {} rise with the distance", learner),
                      "no window keeps the far and drops the near");
  }
  std::vector<int64_t> grid(static_cast<size_t>(reach + 1));
  std::iota(grid.begin(), grid.end(), 0);
  LearnedDegrees learned{Reaches(std::move(grid)), heads, {}};
  for (const LearnedHead& head : all) learned.p.push_back(head.node);
  return learned;
}

LearnedHeads learned_heads(const DegreeLearner& learner, const DistanceCounts& counts) {
  LearnedHeads heads;
  heads.learner = learner.shape().config.learner;
  heads.reach = learner.shape().config.reach;
  heads.heads = learner.shape().heads;
  for (std::vector<double>& gate : learner.tails()) {
    const auto number = static_cast<int64_t>(heads.all.size());
    LearnedHead& head = heads.all.emplace_back();
    head.layer = static_cast<int>(number / heads.heads);
    head.head = static_cast<int>(number % heads.heads);
    head.mean_reach = mean_reach(gate);
    head.density = counts.density(gate);
    head.node = node_shares(gate);
    if (!head.node.empty()) head.edge = edge_shares(head.node);
    head.gate = std::move(gate);
    heads.density += head.density;
  }
  heads.density /= static_cast<double>(heads.all.size());
  return heads;
}

std::string to_text(const LearnedHeads& heads, const std::vector<HardHead>& hard) {
  const std::vector<int64_t> ends = column_ends(heads.reach);
  std::string text =
      fmt::format("layer.head  {}mean reach  density", hard.empty() ? "" : "reach  ");
  for (size_t c = 0; c < ends.size(); ++c) {
    const int64_t first = c == 0 ? 0 : ends[c - 1] + 1;
    text += fmt::format(
        "{:>9}", first == ends[c] ? std::to_string(first) : fmt::format("{}-{}", first, ends[c]));
  }
  text += "\n";
  for (size_t k = 0; k < heads.all.size(); ++k) {
    const LearnedHead& head = heads.all[k];
    text += fmt::format("{:<12}", fmt::format("{}.{}", head.layer, head.head));
    if (!hard.empty()) text += fmt::format("{:>5}  ", hard[k].reach);
    text += fmt::format("{:>10.2f} {:>7.2f}%", head.mean_reach, 100 * head.density);
    // Of a gate that rises there is no share of tokens: what passes, in the mean.
    const std::vector<double>& shown = head.node.empty() ? head.gate : head.node;
    for (size_t c = 0; c < ends.size(); ++c) {
      const int64_t first = c == 0 ? 0 : ends[c - 1] + 1;
      double sum = std::accumulate(shown.begin() + first, shown.begin() + ends[c] + 1, 0.0);
      if (head.node.empty()) sum /= static_cast<double>(ends[c] + 1 - first);
      text += fmt::format("{:>8.1f}%", 100 * sum);
    }
    text += "\n";
  }
  if (const std::string closed = closed_heads(heads, hard); !closed.empty()) {
    text += fmt::format("heads that see no neighbour, and may be pruned: {}\n", closed);
  }
  return text;
}

}  // namespace filigree
