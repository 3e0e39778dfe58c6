#include "autograd/ops/matmul.h"

#include <fmt/format.h>

#include "autograd/function.h"
#include "core/kernels/matmul.h"

namespace filigree {

namespace {

Tensor product(const Tensor& a, const Tensor& b, bool ta, bool tb) {
  expect_same_kind("matmul", a, b);
  const int rank = a.shape().rank();
  const bool fits = (rank == 2 || rank == 3) && b.shape().rank() == rank &&
                    a.size(ta ? -2 : -1) == b.size(tb ? -1 : -2) &&
                    (rank == 2 || a.size(0) == b.size(0));
  if (!fits) {
    throw ShapeError("matmul", fmt::format("expected (M, K) and (K, N), got {}{} and {}{}",
                                           to_string(a.shape()), ta ? " transposed" : "",
                                           to_string(b.shape()), tb ? " transposed" : ""));
  }
  Shape shape = a.shape().with(-2, a.size(ta ? -1 : -2)).with(-1, b.size(tb ? -2 : -1));
  Tensor c(shape, a.dtype(), a.device());
  kernels::matmul(a, b, {ta, tb, false}, c);
  return c;
}

class Matmul final : public Function {
 public:
  Matmul(bool ta, bool tb) : ta_(ta), tb_(tb) {}
  std::string_view name() const override { return "matmul"; }
  Tensors forward(const Tensors& in) override {
    save_for_backward({in[0], in[1]});
    return {product(in[0], in[1], ta_, tb_)};
  }
  // C = A' B' with A' = op(A): dA' = dC B'^T, dB' = A'^T dC, transposed back where op transposes.
  Tensors backward(const Tensors& grad) override {
    const Tensor &a = saved(0), &b = saved(1), &c = grad[0];
    Tensor da, db;
    if (needs_grad(0)) da = ta_ ? product(b, c, tb_, true) : product(c, b, false, !tb_);
    if (needs_grad(1)) db = tb_ ? product(c, a, true, ta_) : product(a, c, !ta_, false);
    return {da, db};
  }
  Variables backward_graph(const Variables& grad) override {
    const Variable a = saved_input(0, 0), b = saved_input(1, 1), c = grad[0];
    return {ta_ ? matmul(b, c, tb_, true) : matmul(c, b, false, !tb_),
            tb_ ? matmul(c, a, true, ta_) : matmul(a, c, !ta_, false)};
  }

 private:
  bool ta_, tb_;
};

}  // namespace

Variable matmul(const Variable& a, const Variable& b, bool transpose_a, bool transpose_b) {
  return Function::apply<Matmul>({a, b}, transpose_a, transpose_b);
}

}  // namespace filigree
