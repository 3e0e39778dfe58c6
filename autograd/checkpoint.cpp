#include "autograd/checkpoint.h"

#include "autograd/backward.h"
#include "autograd/function.h"

namespace filigree {

namespace {

class Checkpoint final : public Function {
 public:
  using Body = std::function<Variables(const Variables&)>;
  explicit Checkpoint(Body body) : body_(std::move(body)) {}

  std::string_view name() const override { return "checkpoint"; }

  Tensors forward(const Tensors& in) override {
    const NoGrad no_grad;
    Variables inputs;
    for (const Tensor& value : in) inputs.push_back(Variable(value));
    Tensors outputs;
    for (const Variable& output : body_(inputs)) outputs.push_back(output.value());
    save_for_backward(in);
    return outputs;
  }

  Tensors backward(const Tensors& grad) override {
    const EnableGrad enable_grad;
    const ModuleScope scope(module_path());
    Variables inputs;
    for (size_t i = 0; i < edges().size(); ++i) {
      inputs.push_back(Variable(saved(i), needs_grad(i)));
    }
    backward_all(body_(inputs), grad);
    Tensors result;
    for (size_t i = 0; i < inputs.size(); ++i) {
      Tensor arrived = inputs[i].grad();
      if (needs_grad(i) && !arrived.defined()) {
        arrived = Tensor::zeros(inputs[i].shape(), inputs[i].dtype(), inputs[i].device());
      }
      result.push_back(arrived);
    }
    return result;
  }

 private:
  Body body_;
};

}  // namespace

Variables checkpoint(const std::function<Variables(const Variables&)>& f, const Variables& inputs) {
  return Function::apply_all<Checkpoint>(inputs, f);
}

}  // namespace filigree
