// Random inputs of gated attention, for tests.
#pragma once

#include <algorithm>

#include "tests/attention/attention_case.h"

namespace filigree::testing_attention {

struct GatedCase {
  Case inputs;
  Tensor g;
  std::shared_ptr<AlwaysOn> always;
};

/// The graph with every token's edge to itself.
inline std::shared_ptr<const AttentionGraph> with_self(const AttentionGraph& graph) {
  std::vector<int> groups;
  for (int h = 0; h < graph.heads(); ++h) groups.push_back(graph.group_of_head(h));
  return std::make_shared<AttentionGraph>(AttentionGraph::from_rows(
      graph.offsets(), graph.groups(), groups, [&](int g, int64_t, int64_t i, Runs& out) {
        Runs row, self;
        for (const int32_t j : graph.row(g, i)) append_run(row, j, j + 1);
        append_run(self, i, i + 1);
        unite(row, self, out);
      }));
}

/// The graph where nobody sees packed tokens 3, 10, 17, ...
inline std::shared_ptr<const AttentionGraph> without_some_keys(const AttentionGraph& graph) {
  std::vector<int> groups;
  for (int h = 0; h < graph.heads(); ++h) groups.push_back(graph.group_of_head(h));
  return std::make_shared<AttentionGraph>(AttentionGraph::from_rows(
      graph.offsets(), graph.groups(), groups, [&](int g, int64_t, int64_t i, Runs& out) {
        for (const int32_t j : graph.row(g, i)) {
          if (j % 7 != 3) append_run(out, j, j + 1);
        }
      }));
}

/// Random inputs; g falls from 1, with open, closed (0) and wholly open (1) distances.
inline GatedCase random_gated_case(RandomStream& random, Kind kind, int64_t longest,
                                   int64_t dim = 0) {
  GatedCase c{random_case(random, kind, longest, DType::f64, dim), {}, nullptr};
  c.inputs.graph = with_self(*c.inputs.graph);
  const AttentionGraph& graph = *c.inputs.graph;
  const auto span = 1 + static_cast<int64_t>(random.below(static_cast<uint64_t>(longest)));
  c.g = Tensor({graph.heads(), span}, DType::f64);
  for (double& g : c.g.span<double>()) {
    const uint64_t sort = random.below(4);
    g = sort == 0 ? 0 : sort == 1 ? 1 : random.uniform();
  }
  if (random.below(3) == 0) return c;
  c.always = std::make_shared<AlwaysOn>();
  c.always->bounds.push_back(0);
  const int64_t* offsets = graph.offsets().data<int64_t>();
  for (int64_t b = 0; b < graph.sequences(); ++b) {
    for (int64_t i = 0; i < offsets[b + 1] - offsets[b]; ++i) {
      if (random.below(6) == 0) c.always->tokens.push_back(static_cast<int32_t>(i));
    }
    c.always->bounds.push_back(static_cast<int64_t>(c.always->tokens.size()));
  }
  return c;
}

using GatedOp = Variable (*)(const Variable&, const Variable&, const Variable&,
                             std::shared_ptr<const AttentionGraph>, const AttentionGate&,
                             const AttentionOptions&, const Variable&);

/// Output and gradients of q, k, v, g and bias.
inline Tensors run(GatedOp op, const GatedCase& c) {
  const Device device = op == gated_attention ? c.inputs.device : kCpu;
  const Variable q = leaf_on(c.inputs.q, device), k = leaf_on(c.inputs.k, device);
  const Variable v = leaf_on(c.inputs.v, device), g = leaf_on(c.g, device);
  const Variable bias = leaf_on(c.inputs.bias, device);
  const Variable o = op(q, k, v, c.inputs.graph, {g, c.always}, c.inputs.options, bias);
  backward(o, c.inputs.seed.to(device));
  return results_of(o, {q, k, v, g, bias});
}

}  // namespace filigree::testing_attention
