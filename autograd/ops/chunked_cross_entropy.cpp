#include "autograd/ops/chunked_cross_entropy.h"

#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <utility>
#include <vector>

#include "autograd/function.h"
#include "autograd/ops/rounded_parameter.h"
#include "core/kernels/chunked_cross_entropy.h"
#include "core/kernels/elementwise.h"
#include "core/kernels/embedding.h"
#include "core/kernels/linear.h"
#include "core/kernels/matmul.h"
#include "core/kernels/reduce.h"

namespace filigree {

namespace {

constexpr const char* kName = "chunked_cross_entropy";
constexpr int64_t kChunkElements = int64_t{1} << 24;

class ChunkedCrossEntropy final : public Function {
 public:
  ChunkedCrossEntropy(Tensor labels, const ChunkedCrossEntropyOptions& options, Tensor rounded)
      : labels_(std::move(labels)), options_(options), rounded_(std::move(rounded)) {}
  std::string_view name() const override { return kName; }
  Tensors forward(const Tensors& in) override;
  Tensors backward(const Tensors& grad) override;

 private:
  void check(const Tensors& in) const;
  /// Finds the rows that count: rows_, and their labels counted_.
  void choose_rows(int64_t classes);
  int64_t chunk_size(int64_t classes) const;
  /// Logits (R, C), without bias, of the classes first .. first+C-1, in the buffer's first bytes.
  Tensor logits(const Tensor& h, const Tensor& weight, int64_t first, int64_t count,
                const Tensor& buffer) const;

  Tensor labels_;
  ChunkedCrossEntropyOptions options_;
  Tensor rounded_;         // the weight in the dtype of h, if it was given
  Tensor rows_, counted_;  // (R) i32; rows_ ascend
  Shape shape_;            // of h
  double factor_ = 1;
  DType of_weight_ = DType::f32, of_bias_ = DType::f32;  // what their gradients are in
};

void ChunkedCrossEntropy::check(const Tensors& in) const {
  const Tensor &h = in[0], &weight = in[1];
  expect_rank(kName, "h", h, 2);
  expect_rank(kName, "weight", weight, 2);
  expect_parameter_of(kName, h, weight);
  expect_shape(kName, "weight", {weight.size(0), h.size(1)}, weight.shape());
  expect_shape(kName, "labels", {h.size(0)}, labels_.shape());
  if (in.size() > 2) {
    expect_shape(kName, "bias", {weight.size(0)}, in[2].shape());
    expect_parameter_of(kName, h, in[2]);
  }
  if (options_.chunk < 0) {
    throw ConfigError(kName,
                      fmt::format("expected a chunk of 1 class or more, got {}", options_.chunk),
                      "0 lets the op choose");
  }
}

void ChunkedCrossEntropy::choose_rows(int64_t classes) {
  const Tensor on_host = labels_.to(kCpu);
  const auto labels = on_host.span<int32_t>();
  std::vector<int32_t> rows, counted;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] == options_.ignore) continue;
    if (labels[i] < 0 || labels[i] >= classes) {
      throw DataError(kName,
                      fmt::format("label {} of row {} is outside [0, {})", labels[i], i, classes));
    }
    rows.push_back(static_cast<int32_t>(i));
    counted.push_back(labels[i]);
  }
  rows_ = Tensor::from(rows);
  counted_ = Tensor::from(counted);
}

int64_t ChunkedCrossEntropy::chunk_size(int64_t classes) const {
  // Whole multiples of 64, so that rows of logits are aligned for matrix products.
  const int64_t fit = kChunkElements / std::max<int64_t>(1, rows_.numel()) / 64 * 64;
  return std::min(classes, options_.chunk > 0 ? options_.chunk : std::max<int64_t>(64, fit));
}

Tensor ChunkedCrossEntropy::logits(const Tensor& h, const Tensor& weight, int64_t first,
                                   int64_t count, const Tensor& buffer) const {
  Tensor chunk = buffer.slice(0, rows_.numel() * count).view({rows_.numel(), count});
  kernels::matmul(h, weight.slice(first, count), {false, true, false}, chunk);
  return chunk;
}

Tensors ChunkedCrossEntropy::forward(const Tensors& in) {
  check(in);
  const DType dtype = in[0].dtype();
  // Held no longer than it is saved.
  const Tensor weight = rounded_parameter(kName, in[0], in[1], std::exchange(rounded_, {}));
  const Device device = weight.device();
  of_weight_ = in[1].dtype();
  const int64_t classes = weight.size(0);
  shape_ = in[0].shape();
  choose_rows(classes);
  rows_ = rows_.to(device);
  counted_ = counted_.to(device);
  const int64_t rows = rows_.numel();
  factor_ = options_.mean ? 1.0 / static_cast<double>(std::max<int64_t>(1, rows)) : 1.0;

  Tensor h = in[0];  // (R, E)
  if (rows < shape_[0]) {
    h = Tensor({rows, shape_[1]}, dtype, device);
    kernels::embedding_forward(in[0], rows_, h);
  }
  if (in.size() > 2) of_bias_ = in[2].dtype();
  const DType exact = statistics_dtype(dtype);  // of logits and losses
  const Tensor bias = in.size() > 2 ? in[2].to(exact) : Tensor::zeros({classes}, exact, device);
  Tensor top = Tensor::full({rows}, -std::numeric_limits<double>::infinity(), exact, device);
  Tensor sum = Tensor::zeros({rows}, exact, device);
  Tensor target = Tensor::zeros({rows}, exact, device);
  const int64_t step = chunk_size(classes);
  const Tensor buffer({rows * step}, exact, device);
  for (int64_t first = 0; rows > 0 && first < classes; first += step) {
    const int64_t count = std::min(step, classes - first);
    kernels::add_chunk_to_softmax(logits(h, weight, first, count, buffer), bias.slice(first, count),
                                  counted_, first, top, sum, target);
  }
  Tensor log_sum({rows}, exact, device), losses({rows}, exact, device);
  kernels::logarithm(sum, log_sum);
  kernels::add(log_sum, top, log_sum);
  kernels::subtract(log_sum, target, losses);
  save_for_backward({h, weight, bias, log_sum});
  Tensor loss({}, exact, device);
  kernels::sum_all(losses, factor_, loss);
  return {loss};
}

Tensors ChunkedCrossEntropy::backward(const Tensors& grad) {
  const Tensor &h = saved(0), &weight = saved(1), &bias = saved(2), &log_sum = saved(3);
  const DType dtype = weight.dtype();
  const Device device = weight.device();
  const int64_t classes = weight.size(0), rows = rows_.numel();
  const DType exact = log_sum.dtype();
  Tensor sums, dweight, dbias;  // of dh (R, E), (V, E), (V); undefined if they are not wanted
  if (needs_grad(0)) sums = Tensor::zeros(h.shape(), exact, device);
  if (needs_grad(1)) dweight = Tensor(weight.shape(), of_weight_, device);
  if (needs_grad(2)) dbias = Tensor({classes}, of_bias_, device);
  if (rows == 0) {
    for (Tensor* gradient : {&dweight, &dbias}) {
      if (gradient->defined()) gradient->fill(0);
    }
  }
  const int64_t step = chunk_size(classes);
  const Tensor buffer({rows * step}, exact, device);
  const Tensor rounded = dtype == exact ? buffer : Tensor({rows * step}, dtype, device);
  for (int64_t first = 0; rows > 0 && first < classes; first += step) {
    const int64_t count = std::min(step, classes - first);
    Tensor dlogits = rounded.slice(0, rows * count).view({rows, count});  // (R, C)
    kernels::chunk_softmax_gradient(logits(h, weight, first, count, buffer),
                                    bias.slice(first, count), counted_, log_sum, first, factor_,
                                    grad[0], dlogits);
    if (sums.defined()) {
      kernels::matmul(dlogits, weight.slice(first, count), {false, false, true}, sums);
    }
    Tensor weights, biases;
    if (dweight.defined()) weights = dweight.slice(first, count);
    if (dbias.defined()) biases = dbias.slice(first, count);
    if (weights.defined() && biases.defined()) {
      kernels::linear_weight_backward(h, dlogits, weights, biases);
    } else if (weights.defined()) {
      kernels::matmul(dlogits, h, {true, false, false}, weights);
    } else if (biases.defined()) {
      kernels::sum_rows(dlogits, biases);
    }
  }
  Tensors result{{}, dweight, dbias};
  result.resize(edges().size());
  if (!sums.defined()) return result;
  const Tensor dh = sums.to(dtype);
  result[0] = dh;
  if (rows < shape_[0]) {
    result[0] = Tensor(shape_, dtype, device);
    kernels::scatter_rows(dh, rows_, result[0]);
  }
  return result;
}

}  // namespace

Variable chunked_cross_entropy(const Variable& h, const Variable& weight, const Variable& bias,
                               const Tensor& labels, const ChunkedCrossEntropyOptions& options,
                               const Tensor& rounded) {
  Variables inputs{h, weight};
  if (bias.defined()) inputs.push_back(bias);
  return Function::apply<ChunkedCrossEntropy>(inputs, labels, options, rounded);
}

}  // namespace filigree
