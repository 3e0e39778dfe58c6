// attention_reference(): attention as a composite of simple ops on n x n matrices.
#include <fmt/format.h>

#include "attention/sparse_attention.h"
#include "autograd/ops/arithmetic.h"
#include "autograd/ops/matmul.h"
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

/// bias(h, j - i) as an (n, n) matrix: a product with 0/1 matrices, so that it is differentiable.
Variable bias_matrix(const Variable& bias, int64_t h, int64_t n) {
  const int64_t span = bias.shape()[1], reach = span / 2;
  Tensor chooser = Tensor::zeros({span, n * n}, bias.dtype());
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = std::max<int64_t>(0, i - reach); j < std::min(n, i + reach + 1); ++j) {
      chooser.slice(reach + j - i, 1).view({n * n}).slice(i * n + j, 1).fill(1);
    }
  }
  return reshape(matmul(slice_rows(bias, h, 1), Variable(chooser)), {n, n});
}

}  // namespace

Variable attention_reference(const Variable& q, const Variable& k, const Variable& v,
                             std::shared_ptr<const AttentionGraph> graph,
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
      if (bias.defined()) scores = add(scores, bias_matrix(bias, h, n));
      Variable weights = masked_softmax(scores, mask);
      if (options.dropout > 0) weights = mul_constant(weights, keep);
      outputs.push_back(reshape(matmul(weights, values), {1, n, dim}));
    }
    sequences.push_back(reshape(swap_axes(concat_rows(outputs), 0, 1), {n, heads * dim}));
  }
  if (sequences.empty()) return Variable(Tensor::zeros(q.shape(), q.dtype()));
  return concat_rows(sequences);
}

}  // namespace filigree
