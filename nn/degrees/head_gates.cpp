// Head gates: a head sees everything, or itself alone (Voita et al., arXiv 1905.09418), by the hard
// concrete distribution (Louizos et al., arXiv 1712.01312): with u uniform, beta 0.33 and the
// stretch (-0.1, 1.1)
//   s = sigmoid((ln u - ln (1 - u) + x) / beta),   g = clamp(1.2 s - 0.1, 0, 1) at every distance,
// and s = sigmoid(x) without noise. A head is open, g > 0, with the probability
// sigmoid(x - beta ln (0.1 / 1.1)).
#include <algorithm>
#include <cmath>
#include <vector>

#include "autograd/function.h"
#include "autograd/ops/shape.h"
#include "core/random.h"
#include "nn/degrees/degree_learner.h"
#include "nn/degrees/sigmoid.h"

namespace filigree {

namespace {

constexpr double kBeta = 0.33, kLow = -0.1, kHigh = 1.1;

/// x (G, 1) to g (G, R+1), the noise ln u - ln (1 - u) of each row given; empty: none.
class HardConcreteGate final : public Function {
 public:
  HardConcreteGate(int64_t reach, std::vector<double> noise)
      : reach_(reach), noise_(std::move(noise)) {}
  std::string_view name() const override { return "hard_concrete_gate"; }

  Tensors forward(const Tensors& in) override {
    const Tensor& x = in[0];
    Tensor g({x.size(0), reach_ + 1}, x.dtype());
    dispatch_float("hard_concrete_gate", x.dtype(), [&]<class T>() {
      for (int64_t row = 0; row < x.size(0); ++row) {
        T* to = g.data<T>() + row * g.size(1);
        to[0] = 1;
        const double stretched = kLow + (kHigh - kLow) * sigmoid(argument(x, row));
        std::fill(to + 1, to + g.size(1), static_cast<T>(std::clamp(stretched, 0.0, 1.0)));
      }
    });
    save_for_backward({x});
    return {g};
  }
  Tensors backward(const Tensors& grad) override {
    const Tensor& x = saved(0);
    Tensor slopes(x.shape(), x.dtype());
    dispatch_float("hard_concrete_gate", x.dtype(), [&]<class T>() {
      for (int64_t row = 0; row < x.size(0); ++row) {
        const double at = argument(x, row), s = sigmoid(at);
        const double stretched = kLow + (kHigh - kLow) * s;
        double sum = 0;
        for (int64_t d = 1; d <= reach_; ++d) sum += grad[0].at(row * (reach_ + 1) + d);
        const bool inside = stretched > 0 && stretched < 1;
        const double slope = (kHigh - kLow) * s * sigmoid(-at) * (noise_.empty() ? 1 : 1 / kBeta);
        slopes.data<T>()[row] = static_cast<T>(inside ? sum * slope : 0);
      }
    });
    return {slopes};
  }

 private:
  double argument(const Tensor& x, int64_t row) const {
    return noise_.empty() ? x.at(row) : (noise_[static_cast<size_t>(row)] + x.at(row)) / kBeta;
  }
  int64_t reach_;
  std::vector<double> noise_;  // (G)
};

/// x (G, 1) to the probability (G, R+1) that g > 0, the same at all distances but 0.
class OpenProbability final : public Function {
 public:
  explicit OpenProbability(int64_t reach) : reach_(reach) {}
  std::string_view name() const override { return "open_probability"; }

  Tensors forward(const Tensors& in) override {
    const Tensor& x = in[0];
    Tensor open({x.size(0), reach_ + 1}, x.dtype());
    dispatch_float("open_probability", x.dtype(), [&]<class T>() {
      for (int64_t e = 0; e < open.numel(); ++e) {
        const double p = sigmoid(x.at(e / open.size(1)) + kShift);
        open.data<T>()[e] = e % open.size(1) == 0 ? T(1) : static_cast<T>(p);
      }
    });
    save_for_backward({x});
    return {open};
  }
  Tensors backward(const Tensors& grad) override {
    const Tensor& x = saved(0);
    Tensor slopes(x.shape(), x.dtype());
    dispatch_float("open_probability", x.dtype(), [&]<class T>() {
      for (int64_t row = 0; row < x.size(0); ++row) {
        double sum = 0;
        for (int64_t d = 1; d <= reach_; ++d) sum += grad[0].at(row * (reach_ + 1) + d);
        const double at = x.at(row) + kShift;
        slopes.data<T>()[row] = static_cast<T>(sum * sigmoid(at) * sigmoid(-at));
      }
    });
    return {slopes};
  }

 private:
  static inline const double kShift = -kBeta * std::log(-kLow / kHigh);
  int64_t reach_;
};

class HeadGates final : public DegreeLearner {
 public:
  HeadGates(const DegreeShape& shape, DType dtype) : DegreeLearner(shape) {
    logits_ = add_parameter("logits", {shape.rows(), 1}, dtype, ParameterKind::offset);
    const std::string& start = shape.config.start;
    logits_.value().fill(start == "dense" ? 2.2 : start == "local" ? -2.2 : 0);
  }

 private:
  Variable gates(int64_t first, int64_t count, int layer,
                 const ForwardContext& context) const override {
    std::vector<double> noise;
    for (int64_t row = 0; context.training && row < count; ++row) {
      RandomStream random(context.seed, Purpose::head_gates,
                          {context.step, static_cast<uint64_t>(layer), static_cast<uint64_t>(row)});
      const double u = std::clamp(random.uniform(), 1e-12, 1 - 1e-12);
      noise.push_back(std::log(u) - std::log1p(-u));
    }
    return Function::apply<HardConcreteGate>({slice_rows(logits_, first, count)},
                                             shape().config.reach, std::move(noise));
  }
  Variable open_gates(int64_t first, int64_t count) const override {
    return Function::apply<OpenProbability>({slice_rows(logits_, first, count)},
                                            shape().config.reach);
  }
  Variable logits_;  // (rows, 1)
};

}  // namespace

DegreeLearnerKind head_gates() {
  return {"head_gates", "a head sees everything or itself alone (Voita 2019, Louizos 2018)", false,
          [](const DegreeShape& shape, DType dtype) {
            return std::make_unique<HeadGates>(shape, dtype);
          }};
}

}  // namespace filigree
