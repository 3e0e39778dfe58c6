// A logit for every head and distance, g(d) = sigmoid(x_d): nothing says that what is nearer passes
// first. (The structured mask of SparseBERT's differentiable attention mask, Shi et al., arXiv
// 2102.12871.)
#include "autograd/function.h"
#include "autograd/ops/shape.h"
#include "nn/degrees/degree_learner.h"
#include "nn/degrees/sigmoid.h"

namespace filigree {

namespace {

/// x (G, R) of distances 1 .. R to g (G, R+1). dg/dx = g (1 - g).
class OffsetGate final : public Function {
 public:
  std::string_view name() const override { return "offset_gate"; }

  Tensors forward(const Tensors& in) override {
    const Tensor& x = in[0];
    Tensor g({x.size(0), x.size(1) + 1}, x.dtype());
    dispatch_float("offset_gate", x.dtype(), [&]<class T>() {
      for (int64_t e = 0; e < g.numel(); ++e) {
        const int64_t row = e / g.size(1), d = e % g.size(1);
        g.data<T>()[e] = d == 0 ? T(1) : static_cast<T>(sigmoid(x.at(row * x.size(1) + d - 1)));
      }
    });
    save_for_backward({x});
    return {g};
  }
  Tensors backward(const Tensors& grad) override {
    const Tensor& x = saved(0);
    Tensor slopes(x.shape(), x.dtype());
    dispatch_float("offset_gate", x.dtype(), [&]<class T>() {
      for (int64_t e = 0; e < x.numel(); ++e) {
        const int64_t row = e / x.size(1), d = e % x.size(1) + 1;
        const double passes = sigmoid(x.at(e)), stays = sigmoid(-x.at(e));
        slopes.data<T>()[e] =
            static_cast<T>(grad[0].at(row * (x.size(1) + 1) + d) * passes * stays);
      }
    });
    return {slopes};
  }
};

class FreeOffsets final : public DegreeLearner {
 public:
  FreeOffsets(const DegreeShape& shape, DType dtype) : DegreeLearner(shape) {
    const int64_t reach = shape.config.reach;
    logits_ = add_parameter("logits", {shape.rows(), reach}, dtype, ParameterKind::offset);
    Tensor start({shape.rows(), reach}, DType::f64);
    for (int64_t e = 0; e < start.numel(); ++e) {
      const double place = static_cast<double>(e % reach) / static_cast<double>(reach);
      const std::string& name = shape.config.start;
      start.data<double>()[e] = name == "dense" ? 2.2 : name == "local" ? 2.2 - 8 * place : 0;
    }
    logits_.value().copy_from(start.to(dtype));
  }

 private:
  Variable gates(int64_t first, int64_t count, int, const ForwardContext&) const override {
    return Function::apply<OffsetGate>({slice_rows(logits_, first, count)});
  }
  Variable logits_;  // (rows, R)
};

}  // namespace

DegreeLearnerKind free_offsets() {
  return {"free_offsets", "a logit for every head and distance, in any order (Shi et al. 2021)",
          false, [](const DegreeShape& shape, DType dtype) {
            return std::make_unique<FreeOffsets>(shape, dtype);
          }};
}

}  // namespace filigree
