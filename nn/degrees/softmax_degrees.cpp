// A distribution over reaches: logits theta (rows, K), g(d) = sum over reaches r_k >= d of
// softmax(theta)_k. Never rises with d, so that it hardens to windows.
#include <cmath>

#include "attention/degrees/degree_gate.h"
#include "autograd/ops/shape.h"
#include "nn/degrees/degree_learner.h"

namespace filigree {

namespace {

/// Probability of the one reach that `dense` starts with.
constexpr double kDenseStart = 0.9;

class SoftmaxDegrees final : public DegreeLearner {
 public:
  SoftmaxDegrees(const DegreeShape& shape, DType dtype)
      : DegreeLearner(shape), reaches_(Reaches::up_to(shape.config.reach)) {
    const int64_t count = reaches_.count();
    logits_ = add_parameter("logits", {shape.rows(), count}, dtype, ParameterKind::offset);
    Tensor start = Tensor::zeros({shape.rows(), count}, DType::f64);
    for (int64_t e = 0; e < start.numel(); ++e) {
      start.data<double>()[e] = start_of(shape.config.start, e % count);
    }
    logits_.value().copy_from(start.to(dtype));
  }
  Variable mean_entropy() const override { return filigree::mean_entropy(logits_); }

 private:
  /// dense: 0.9 on R, the rest even; local: p falls as e^{-8 r / R}; uniform: all even.
  double start_of(const std::string& start, int64_t k) const {
    const auto others = static_cast<double>(reaches_.count() - 1);
    if (start == "dense") {
      return k == reaches_.count() - 1 ? std::log(kDenseStart * others / (1 - kDenseStart)) : 0;
    }
    if (start == "local") {
      return -8 * static_cast<double>(reaches_[k]) / static_cast<double>(reaches_.largest());
    }
    return 0;
  }
  Variable gates(int64_t first, int64_t count, int, const ForwardContext&) const override {
    return degree_gate(slice_rows(logits_, first, count), reaches_);
  }
  std::optional<IrregularDegrees> distribution(int64_t first, int64_t count) const override {
    return IrregularDegrees{slice_rows(logits_, first, count), reaches_};
  }

  Reaches reaches_;
  Variable logits_;  // (rows, K)
};

}  // namespace

DegreeLearnerKind softmax_degrees() {
  return {"degrees", "a distribution over reaches for every head", true,
          [](const DegreeShape& shape, DType dtype) {
            return std::make_unique<SoftmaxDegrees>(shape, dtype);
          }};
}

}  // namespace filigree
