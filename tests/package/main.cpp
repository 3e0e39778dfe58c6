// Uses the installed library through find_package(Filigree): one gradient.
#include <autograd/backward.h>
#include <autograd/lambda_op.h>
#include <core/tensor.h>
#include <cstdio>

int main() {
  using namespace filigree;
  const Variable x(Tensor::scalar(3), /*requires_grad=*/true);
  const Variables y = lambda_op(
      "square",
      [](const Tensors& in) { return Tensors{Tensor::scalar(in[0].item() * in[0].item())}; },
      [](const Tensors& in, const Tensors&, const Tensors& grad) {
        return Tensors{Tensor::scalar(2 * in[0].item() * grad[0].item())};
      },
      {x});
  backward(y[0]);
  std::printf("%g\n", x.grad().item());
  return x.grad().item() == 6 ? 0 : 1;
}
