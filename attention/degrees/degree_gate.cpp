#include "attention/degrees/degree_gate.h"

#include <fmt/format.h>

#include "attention/degrees/distribution.h"
#include "autograd/function.h"
#include "autograd/ops/arithmetic.h"
#include "autograd/ops/reduce.h"
#include "core/error.h"

namespace filigree {

namespace {

template <class T>
std::vector<double> row_of(const Tensor& x, int64_t row) {
  const T* from = x.data<T>() + row * x.size(1);
  return {from, from + x.size(1)};
}

class DegreeGate final : public Function {
 public:
  explicit DegreeGate(const Reaches& reaches) : reaches_(reaches) {}

  std::string_view name() const override { return "degree_gate"; }

  Tensors forward(const Tensors& in) override {
    const Tensor& logits = in[0];
    expect_rank("degree_gate", "logits", logits, 2);
    if (!logits.device().is_cpu()) {
      throw DeviceError("degree_gate", "is computed on the CPU alone");
    }
    if (logits.size(1) != reaches_.count()) {
      throw ShapeError("degree_gate", fmt::format("expected {} logits a row, got {}",
                                                  reaches_.count(), logits.size(1)));
    }
    Tensor g({logits.size(0), reaches_.largest() + 1}, logits.dtype());
    dispatch_float("degree_gate", logits.dtype(), [&]<class T>() {
      for (int64_t row = 0; row < logits.size(0); ++row) {
        const std::vector<double> tail =
            reach_tail(reach_probabilities(row_of<T>(logits, row)), reaches_);
        std::transform(tail.begin(), tail.end(), g.data<T>() + row * g.size(1),
                       [](double value) { return static_cast<T>(value); });
      }
    });
    save_for_backward({logits});
    return {g};
  }

  Tensors backward(const Tensors& grad) override {
    const Tensor& logits = saved(0);
    Tensor slopes(logits.shape(), logits.dtype());
    dispatch_float("degree_gate", logits.dtype(), [&]<class T>() {
      for (int64_t row = 0; row < logits.size(0); ++row) {
        const std::vector<double> p = reach_probabilities(row_of<T>(logits, row));
        const std::vector<double> slope =
            logit_gradient(p, probability_gradient(row_of<T>(grad[0], row), reaches_));
        std::transform(slope.begin(), slope.end(), slopes.data<T>() + row * slopes.size(1),
                       [](double value) { return static_cast<T>(value); });
      }
    });
    return {slopes};
  }

 private:
  Reaches reaches_;
};

class MeanEntropy final : public Function {
 public:
  std::string_view name() const override { return "mean_entropy"; }

  Tensors forward(const Tensors& in) override {
    const Tensor& logits = in[0];
    expect_rank("mean_entropy", "logits", logits, 2);
    if (logits.size(0) < 1) throw ShapeError("mean_entropy", "expected at least one row, got none");
    double sum = 0;
    dispatch_float("mean_entropy", logits.dtype(), [&]<class T>() {
      for (int64_t row = 0; row < logits.size(0); ++row) {
        sum += entropy(reach_probabilities(row_of<T>(logits, row)));
      }
    });
    save_for_backward({logits});
    return {Tensor::scalar(sum / static_cast<double>(logits.size(0)), logits.dtype())};
  }

  Tensors backward(const Tensors& grad) override {
    const Tensor& logits = saved(0);
    const double share = grad[0].item() / static_cast<double>(logits.size(0));
    Tensor slopes(logits.shape(), logits.dtype());
    dispatch_float("mean_entropy", logits.dtype(), [&]<class T>() {
      for (int64_t row = 0; row < logits.size(0); ++row) {
        const std::vector<double> slope =
            entropy_gradient(reach_probabilities(row_of<T>(logits, row)));
        std::transform(slope.begin(), slope.end(), slopes.data<T>() + row * slopes.size(1),
                       [share](double value) { return static_cast<T>(share * value); });
      }
    });
    return {slopes};
  }
};

}  // namespace

Variable mean_entropy(const Variable& logits) { return Function::apply<MeanEntropy>({logits}); }

Variable degree_gate(const Variable& logits, const Reaches& reaches) {
  return Function::apply<DegreeGate>({logits}, reaches);
}

Variable expected_density(const Variable& gate, const DistanceCounts& counts) {
  constexpr std::string_view kWhere = "expected_density";
  expect_rank(kWhere, "gate", gate.value(), 2);
  const int64_t heads = gate.shape()[0], span = counts.reach() + 1;
  if (heads < 1 || gate.shape()[1] != span) {
    throw ShapeError(kWhere, fmt::format("expected a gate of shape (H, {}), got {}", span,
                                         to_string(gate.shape())));
  }
  const std::vector<double> slopes = counts.density_gradient();
  Tensor share({heads, span}, DType::f64);
  for (int64_t e = 0; e < share.numel(); ++e) {
    share.data<double>()[e] = slopes[static_cast<size_t>(e % span)] / static_cast<double>(heads);
  }
  const Variable learned = sum(mul_constant(gate, share.to(gate.dtype())));
  const double fixed = static_cast<double>(counts.always()) / static_cast<double>(counts.pairs());
  return add(learned, Variable(Tensor::full(learned.shape(), fixed, gate.dtype())));
}

}  // namespace filigree
