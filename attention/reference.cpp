// attention_reference(): attention as a composite of simple ops on n x n matrices.
#include <fmt/format.h>

#include "attention/sparse_attention.h"
#include "autograd/ops/arithmetic.h"
#include "autograd/ops/exponential.h"
#include "autograd/ops/matmul.h"
#include "autograd/ops/reduce.h"
#include "autograd/ops/shape.h"
#include "autograd/ops/softmax.h"
#include "core/error.h"
#include "core/random.h"

namespace filigree {

namespace {

/// One head of one sequence: rows first .. first+n-1, columns h D .. (h+1) D - 1 of x (T, H D).
Variable head_of(const Variable& x, int64_t first, int64_t n, int64_t h, int64_t heads) {
  const int64_t dim = x.shape()[1] / heads;
  const Variable rows = reshape(slice_rows(x, first, n), {n, heads, dim});
  return reshape(slice_rows(swap_axes(rows, 0, 1), h, 1), {n, dim});
}

/// Rows of x that are not used become 0, whatever stands in them.
Variable only_rows(const Variable& x, const std::vector<uint8_t>& used) {
  Variables parts;
  for (size_t i = 0; i < used.size(); ++i) {
    const Variable row = slice_rows(x, static_cast<int64_t>(i), 1);
    parts.push_back(used[i] ? row : Variable(Tensor::zeros(row.shape(), row.dtype())));
  }
  return concat_rows(parts);
}

/// Entry place(i, j) of row h of the table as an (n, n) matrix, 0 where that is below 0 or beyond
/// the table: a product with a 0/1 matrix, so that it is differentiable.
template <class Place>
Variable spread_table(const Variable& table, int64_t h, int64_t n, Place place) {
  const int64_t span = table.shape()[1];
  Tensor chooser = Tensor::zeros({span, n * n}, table.dtype());
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      const int64_t entry = place(i, j);
      if (entry < 0 || entry >= span) continue;
      chooser.slice(entry, 1).view({n * n}).slice(i * n + j, 1).fill(1);
    }
  }
  return reshape(matmul(slice_rows(table, h, 1), Variable(chooser)), {n, n});
}

/// m_ij of head h in sequence b (n, n).
Variable gate_matrix(const AttentionGate& gate, int64_t h, int64_t b, int64_t n) {
  std::vector<uint8_t> whole(static_cast<size_t>(n));
  if (gate.always) {
    for (const int32_t token : gate.always->of(b)) whole[static_cast<size_t>(token)] = 1;
  }
  const auto always = [&](int64_t i, int64_t j) {
    return i == j || whole[static_cast<size_t>(i)] || whole[static_cast<size_t>(j)];
  };
  Tensor ones = Tensor::zeros({n, n}, gate.g.dtype());
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      if (always(i, j)) ones.slice(i, 1).view({n}).slice(j, 1).fill(1);
    }
  }
  return add(Variable(ones), spread_table(gate.g, h, n, [&](int64_t i, int64_t j) {
               return always(i, j) ? -1 : std::abs(j - i);
             }));
}

/// m_ij w_ij / sum_j' m_ij' w_ij'; 0 in rows where nothing passes, with no gradient.
Variable gated_weights(const Variable& weights, const Variable& gate) {
  const int64_t n = weights.shape()[0];
  Variable gated = mul(weights, gate);
  Variable sums = sum_last(gated);
  Tensor empty = Tensor::zeros(sums.shape(), sums.dtype());
  Tensor passes = Tensor::full(gated.shape(), 1, gated.dtype());
  for (int64_t i = 0; i < n; ++i) {
    if (sums.value().at(i) != 0) continue;
    empty.slice(i, 1).fill(1);
    passes.slice(i, 1).fill(0);
  }
  gated = mul_constant(gated, passes);
  sums = add(sums, Variable(empty));
  return mul(gated, spread_last(exp(scale(log(sums), -1)), n));
}

Variable reference(const Variable& q, const Variable& k, const Variable& v,
                   const std::shared_ptr<const AttentionGraph>& graph, const AttentionGate* gate,
                   const AttentionOptions& options, const Variable& bias) {
  constexpr std::string_view kWhere = "attention_reference";
  const int64_t heads = graph ? graph->heads() : 0;
  expect_rank(kWhere, "q", q.value(), 2);
  expect_shape(kWhere, "k", q.shape(), k.shape());
  expect_shape(kWhere, "v", q.shape(), v.shape());
  if (heads == 0 || q.shape()[0] != graph->tokens() || q.shape()[1] % heads != 0) {
    throw ShapeError(kWhere,
                     fmt::format("q of shape {} does not fit the graph: {} tokens, {} heads",
                                 to_string(q.shape()), graph ? graph->tokens() : 0, heads));
  }
  if (bias.defined()) expect_attention_bias(kWhere, bias.value(), q.value(), heads);
  if (gate) expect_attention_gate(kWhere, *gate, q.value(), *graph);
  const int64_t dim = q.shape()[1] / heads;
  const double factor = attention_scale(kWhere, options.scale, dim);
  const int64_t* offsets = graph->offsets().data<int64_t>();
  Variables sequences;
  for (int64_t b = 0; b < graph->sequences(); ++b) {
    const int64_t first = offsets[b], n = offsets[b + 1] - first;
    if (n == 0) continue;
    Variables outputs;
    for (int64_t h = 0; h < heads; ++h) {
      Tensor mask = Tensor::zeros({n, n}, DType::u8);
      Tensor keep = Tensor::zeros({n, n}, q.dtype());
      std::vector<uint8_t> seen(static_cast<size_t>(n)), sees(static_cast<size_t>(n));
      const uint64_t key = mix_key({attention_dropout_key(options), static_cast<uint64_t>(h)});
      for (int64_t i = 0; i < n; ++i) {
        for (const int32_t column :
             graph->row(graph->group_of_head(static_cast<int>(h)), first + i)) {
          const int64_t j = column - first;
          mask.data<uint8_t>()[i * n + j] = 1;
          seen[static_cast<size_t>(j)] = sees[static_cast<size_t>(i)] = 1;
          const RandomBlock bits =
              philox(key, static_cast<uint64_t>(first + i), static_cast<uint64_t>(column) / 4);
          const float uniform = to_uniform(bits[static_cast<size_t>(column % 4)]);
          keep.slice(i, 1).view({n}).slice(j, 1).fill(
              uniform >= static_cast<float>(options.dropout) ? 1 / (1 - options.dropout) : 0);
        }
      }
      const Variable queries = only_rows(head_of(q, first, n, h, heads), sees);
      const Variable keys = only_rows(head_of(k, first, n, h, heads), seen);
      const Variable values = only_rows(head_of(v, first, n, h, heads), seen);
      Variable scores = scale(matmul(queries, keys, false, true), factor);
      if (bias.defined()) {
        const int64_t reach = bias.shape()[1] / 2;
        scores = add(scores, spread_table(bias, h, n,
                                          [reach](int64_t i, int64_t j) { return reach + j - i; }));
      }
      Variable weights = masked_softmax(scores, mask);
      if (gate) weights = gated_weights(weights, gate_matrix(*gate, h, b, n));
      if (options.dropout > 0) weights = mul_constant(weights, keep);
      outputs.push_back(reshape(matmul(weights, values), {1, n, dim}));
    }
    sequences.push_back(reshape(swap_axes(concat_rows(outputs), 0, 1), {n, heads * dim}));
  }
  if (sequences.empty()) return Variable(Tensor::zeros(q.shape(), q.dtype()));
  return concat_rows(sequences);
}

}  // namespace

Variable attention_reference(const Variable& q, const Variable& k, const Variable& v,
                             std::shared_ptr<const AttentionGraph> graph,
                             const AttentionOptions& options, const Variable& bias) {
  return reference(q, k, v, graph, nullptr, options, bias);
}

Variable gated_attention_reference(const Variable& q, const Variable& k, const Variable& v,
                                   std::shared_ptr<const AttentionGraph> graph,
                                   const AttentionGate& gate, const AttentionOptions& options,
                                   const Variable& bias) {
  return reference(q, k, v, graph, &gate, options, bias);
}

}  // namespace filigree
