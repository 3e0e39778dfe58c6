#include "autograd/checkpoint.h"

#include "autograd/engine.h"
#include "autograd/function.h"

namespace filigree {

namespace {

class Checkpoint final : public Function {
 public:
  using Body = std::function<Variables(const Variables&)>;
  explicit Checkpoint(Body body) : body_(std::move(body)) {}

  std::string_view name() const override { return "checkpoint"; }
  bool records_always() const override { return true; }  // body_ may hold parameters

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
    const RestoredModulePath path(module_path());
    Variables inputs;
    for (size_t i = 0; i < edges().size(); ++i) {
      inputs.push_back(Variable(saved(i), needs_grad(i)));
    }
    Engine engine(inputs, number());
    const Variables outputs = body_(inputs);
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (!grad[i].defined() || !outputs[i].requires_grad()) continue;
      engine.start(outputs[i], Variable(grad[i]));
    }
    engine.run();
    const Variables arrived = engine.take_target_grads();
    Tensors result;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const Variable& x = inputs[i];
      if (!needs_grad(i)) {
        result.push_back({});
      } else if (arrived[i].defined()) {
        result.push_back(arrived[i].value());
      } else {
        result.push_back(Tensor::zeros(x.shape(), x.dtype(), x.device()));
      }
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
