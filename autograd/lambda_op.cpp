#include "autograd/lambda_op.h"

#include "autograd/function.h"

namespace filigree {

namespace {

class LambdaOp final : public Function {
 public:
  using Forward = std::function<Tensors(const Tensors&)>;
  using Backward = std::function<Tensors(const Tensors&, const Tensors&, const Tensors&)>;
  LambdaOp(std::string name, Forward forward, Backward backward)
      : name_(std::move(name)), forward_(std::move(forward)), backward_(std::move(backward)) {}

  std::string_view name() const override { return name_; }

  Tensors forward(const Tensors& in) override {
    Tensors outputs = forward_(in);
    inputs_ = in.size();
    Tensors kept = in;
    kept.insert(kept.end(), outputs.begin(), outputs.end());
    save_for_backward(std::move(kept));
    return outputs;
  }

  Tensors backward(const Tensors& grad) override {
    Tensors inputs, outputs;
    for (size_t i = 0; i < inputs_; ++i) inputs.push_back(saved(i));
    for (size_t i = 0; i < grad.size(); ++i) outputs.push_back(saved(inputs_ + i));
    return backward_(inputs, outputs, grad);
  }

 private:
  std::string name_;
  Forward forward_;
  Backward backward_;
  size_t inputs_ = 0;
};

}  // namespace

Variables lambda_op(
    std::string name, const std::function<Tensors(const Tensors&)>& forward,
    const std::function<Tensors(const Tensors&, const Tensors&, const Tensors&)>& backward,
    const Variables& inputs) {
  return Function::apply_all<LambdaOp>(inputs, std::move(name), forward, backward);
}

}  // namespace filigree
