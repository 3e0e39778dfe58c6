#include "attention/irregular_attention.h"

#include <fmt/format.h>

#include "attention/attention_arguments.h"
#include "attention/degrees/draws.h"
#include "attention/kernels/drawn_attention.h"
#include "autograd/function.h"
#include "core/error.h"

namespace filigree {

namespace {

constexpr std::string_view kWhere = "irregular_attention";

kernels::DrawnReaches drawn_reaches(const Tensor& offsets, const Tensor& logits,
                                    const IrregularDegrees& degrees,
                                    const AttentionOptions& options) {
  expect_rank(kWhere, "logits", logits, 2);
  const int64_t count = degrees.reaches.count();
  if (logits.size(1) != count) {
    throw ShapeError(kWhere,
                     fmt::format("expected logits of {} reaches, got {}", count, logits.size(1)));
  }
  ReachDraws::expect_temperature(degrees.tau);
  std::vector<GraphKey> keys;
  for (int head = 0; head < logits.size(0); ++head) {
    keys.push_back({options.seed, options.step, options.layer, head});
  }
  return {offsets,         logits,        std::move(keys),
          degrees.reaches, degrees.tau,   degrees.grad_margin,
          degrees.always,  degrees.shared};
}

/// Inputs: qkv, logits, and the bias, if there is one.
class IrregularAttention final : public Function {
 public:
  IrregularAttention(Tensor offsets, IrregularDegrees degrees, const AttentionOptions& options)
      : offsets_(std::move(offsets)), degrees_(std::move(degrees)), options_(options) {
    degrees_.logits = {};  // an input: held twice, the graph would hold itself
  }

  std::string_view name() const override { return "irregular_attention"; }

  Tensors forward(const Tensors& in) override {
    const Tensor& qkv = in[0];
    expect_rank(kWhere, "qkv", qkv, 2);
    if (qkv.size(1) % 3 != 0) {
      throw ShapeError(kWhere, fmt::format("expected qkv of width 3 H D, got {}", qkv.size(1)));
    }
    const kernels::DrawnReaches drawn = drawn_reaches(offsets_, in[1], degrees_, options_);
    expect_packed(qkv);
    const AttentionArguments arguments = arguments_for(in);
    Tensor o({qkv.size(0), qkv.size(1) / 3}, qkv.dtype(), qkv.device());  // (T, H D)
    Tensor lse({qkv.size(0), in[1].size(0)}, statistics_dtype(qkv.dtype()),
               qkv.device());  // (T, H)
    kernels::drawn_attention_forward(qkv, bias_of(in), drawn, arguments, state_, o, lse);
    Tensors kept(in);
    kept.insert(kept.end(), {o, lse});
    save_for_backward(std::move(kept));
    return {o};
  }

  Tensors backward(const Tensors& grad) override {
    Tensors in, results;
    for (size_t i = 0; i < edges().size(); ++i) in.push_back(saved(i));
    for (const Tensor& x : in) results.emplace_back(x.shape(), x.dtype(), x.device());
    Tensor dbias = bias_of(results);
    kernels::drawn_attention_backward(in[0], bias_of(in), saved(in.size()), saved(in.size() + 1),
                                      grad[0], drawn_reaches(offsets_, in[1], degrees_, options_),
                                      arguments_for(in), state_, results[0], dbias, results[1]);
    return results;
  }

 private:
  static Tensor bias_of(const Tensors& in) { return in.size() > 2 ? in[2] : Tensor(); }
  void expect_packed(const Tensor& qkv) const {
    expect_offsets(offsets_);
    const int64_t tokens = offsets_.data<int64_t>()[offsets_.numel() - 1];
    if (qkv.size(0) != tokens) {
      throw ShapeError(kWhere, fmt::format("expected {} tokens, got {}", tokens, qkv.size(0)));
    }
    if (degrees_.always) expect_always_on(kWhere, *degrees_.always, offsets_);
  }
  AttentionArguments arguments_for(const Tensors& in) const {
    const Tensor& qkv = in[0];
    const int64_t width = qkv.size(1) / 3;
    AttentionArguments arguments =
        attention_settings(qkv, in[1].size(0), width, bias_of(in), options_);
    arguments.stride = qkv.size(1);
    arguments.k_at = width;
    arguments.v_at = 2 * width;
    return arguments;
  }

  Tensor offsets_;
  IrregularDegrees degrees_;
  AttentionOptions options_;
  kernels::DrawnState state_;
};

}  // namespace

Tensor draw_reaches(const IrregularDegrees& degrees, int64_t tokens,
                    const AttentionOptions& options) {
  const kernels::DrawnReaches drawn = drawn_reaches({}, degrees.logits.value(), degrees, options);
  return kernels::draw_all(drawn, tokens);
}

Variable irregular_attention_qkv(const Variable& qkv, const Tensor& offsets,
                                 const IrregularDegrees& degrees, const AttentionOptions& options,
                                 const Variable& bias) {
  if (!degrees.logits.defined()) throw ShapeError(kWhere, "the logits are missing");
  if (qkv.device().is_cpu()) {
    expect_same_kind(kWhere, qkv.value(), degrees.logits.value());
  } else {
    expect_same_device(kWhere, qkv.value(), degrees.logits.value());
  }
  if (degrees.grad_margin < 0) {
    throw ConfigError(kWhere, fmt::format("expected a margin from 0, got {}", degrees.grad_margin));
  }
  Variables inputs{qkv, degrees.logits};
  if (bias.defined()) inputs.push_back(bias);
  return Function::apply<IrregularAttention>(inputs, offsets, degrees, options);
}

}  // namespace filigree
