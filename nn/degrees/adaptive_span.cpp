// Adaptive span (Sukhbaatar et al., arXiv 1905.07799): one length z a head,
// g(d) = clamp((ramp + z - d) / ramp, 0, 1).
#include <algorithm>

#include "autograd/function.h"
#include "autograd/ops/shape.h"
#include "nn/degrees/degree_learner.h"

namespace filigree {

namespace {

/// z (G, 1) to g (G, R+1). dg/dz = 1 / ramp on the slope and at its upper end, so that a span of R
/// can shrink; 0 elsewhere.
class SpanGate final : public Function {
 public:
  SpanGate(int64_t reach, double ramp) : reach_(reach), ramp_(ramp) {}
  std::string_view name() const override { return "span_gate"; }

  Tensors forward(const Tensors& in) override {
    const Tensor& z = in[0];
    Tensor g({z.size(0), reach_ + 1}, z.dtype());
    dispatch_float("span_gate", z.dtype(), [&]<class T>() {
      for (int64_t e = 0; e < g.numel(); ++e) {
        const double height = height_of(z.at(e / g.size(1)), e % g.size(1));
        g.data<T>()[e] = static_cast<T>(std::clamp(height, 0.0, 1.0));
      }
    });
    save_for_backward({z});
    return {g};
  }
  Tensors backward(const Tensors& grad) override {
    const Tensor& z = saved(0);
    Tensor slopes(z.shape(), z.dtype());
    dispatch_float("span_gate", z.dtype(), [&]<class T>() {
      for (int64_t row = 0; row < z.size(0); ++row) {
        double sum = 0;
        for (int64_t d = 1; d <= reach_; ++d) {
          const double height = height_of(z.at(row), d);
          if (height > 0 && height <= 1) sum += grad[0].at(row * (reach_ + 1) + d) / ramp_;
        }
        slopes.data<T>()[row] = static_cast<T>(sum);
      }
    });
    return {slopes};
  }

 private:
  double height_of(double z, int64_t d) const {
    return d == 0 ? 1 : (ramp_ + z - static_cast<double>(d)) / ramp_;
  }
  int64_t reach_;
  double ramp_;
};

class AdaptiveSpan final : public DegreeLearner {
 public:
  /// The ramp is 32 tokens, for reaches below 128 a quarter of the reach.
  AdaptiveSpan(const DegreeShape& shape, DType dtype)
      : DegreeLearner(shape),
        ramp_(std::clamp(static_cast<double>(shape.config.reach) / 4, 1.0, 32.0)) {
    span_ = add_parameter("span", {shape.rows(), 1}, dtype, ParameterKind::offset);
    const auto reach = static_cast<double>(shape.config.reach);
    const std::string& start = shape.config.start;
    const double middle = std::max(0.0, (reach - ramp_) / 2);
    span_.value().fill(start == "dense" ? reach : start == "local" ? middle / 4 : middle);
  }
  /// z stays in [0, R].
  void project() override {
    dispatch_float("adaptive_span", span_.dtype(), [&]<class T>() {
      for (T& z : span_.value().span<T>()) {
        z = std::clamp(z, T(0), static_cast<T>(shape().config.reach));
      }
    });
  }

 private:
  Variable gates(int64_t first, int64_t count, int, const ForwardContext&) const override {
    return Function::apply<SpanGate>({slice_rows(span_, first, count)}, shape().config.reach,
                                     ramp_);
  }
  double ramp_;
  Variable span_;  // (rows, 1)
};

}  // namespace

DegreeLearnerKind adaptive_span() {
  return {"adaptive_span", "one length for every head, with a ramp (Sukhbaatar et al. 2019)", false,
          [](const DegreeShape& shape, DType dtype) {
            return std::make_unique<AdaptiveSpan>(shape, dtype);
          }};
}

}  // namespace filigree
