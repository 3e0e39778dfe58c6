#include "attention/sparse_attention.h"

#include <cmath>
#include <fmt/format.h>

#include "attention/kernels/schedule.h"
#include "autograd/function.h"
#include "core/error.h"
#include "core/random.h"

namespace filigree {

namespace {

/// Checks the graph, the sizes and the options that both layouts share; fills the arguments.
AttentionArguments make_arguments(std::shared_ptr<const AttentionGraph> graph, const Tensor& q,
                                  int64_t width, const Tensor& bias,
                                  const AttentionOptions& options) {
  constexpr std::string_view kWhere = "sparse_attention";
  if (!graph) throw ShapeError(kWhere, "the graph is missing");
  if (q.size(0) != graph->tokens()) {
    throw ShapeError(kWhere, fmt::format("expected {} tokens as in the graph, got {}",
                                         graph->tokens(), q.size(0)));
  }
  const int64_t heads = graph->heads();
  if (heads == 0 || width % heads != 0) {
    throw ShapeError(kWhere, fmt::format("width {} is not a multiple of {} heads", width, heads));
  }
  if (!(options.dropout >= 0 && options.dropout < 1)) {
    throw ConfigError(kWhere, fmt::format("expected dropout in [0, 1), got {}", options.dropout));
  }
  AttentionArguments arguments;
  arguments.head_dim = width / heads;
  arguments.scale = attention_scale(kWhere, options.scale, arguments.head_dim);
  arguments.dropout = options.dropout;
  arguments.dropout_key = attention_dropout_key(options);
  if (bias.defined()) {
    expect_attention_bias(kWhere, bias, q, heads);
    arguments.bias_reach = bias.size(1) / 2;
  }
  if (q.device().is_cpu()) {
    arguments.schedule =
        graph->schedules().get(*graph, options.kernel, q.dtype(), arguments.head_dim);
  }
  arguments.graph = std::move(graph);
  return arguments;
}

Tensor like(const Tensor& x) { return Tensor(x.shape(), x.dtype(), x.device()); }

class SparseAttention final : public Function {
 public:
  SparseAttention(std::shared_ptr<const AttentionGraph> graph, const AttentionOptions& options,
                  bool fused)
      : graph_(std::move(graph)), options_(options), fused_(fused) {}

  std::string_view name() const override { return "sparse_attention"; }

  Tensors forward(const Tensors& in) override {
    const Tensor& q = in[0];
    expect_rank("sparse_attention", "q", q, 2);
    const size_t inputs = fused_ ? 1 : 3;
    if (fused_ && q.size(1) % 3 != 0) {
      throw ShapeError("sparse_attention",
                       fmt::format("expected qkv of width 3 H D, got {}", q.size(1)));
    }
    for (size_t i = 1; i < inputs; ++i) {
      expect_same_kind("sparse_attention", q, in[i]);
      expect_shape("sparse_attention", i == 1 ? "k" : "v", q.shape(), in[i].shape());
    }
    const Tensor bias = in.size() > inputs ? in[inputs] : Tensor();
    const int64_t width = fused_ ? q.size(1) / 3 : q.size(1);
    arguments_ = make_arguments(std::move(graph_), q, width, bias, options_);
    arguments_.stride = q.size(1);
    arguments_.k_at = fused_ ? width : 0;
    arguments_.v_at = fused_ ? 2 * width : 0;
    Tensor o({q.size(0), width}, q.dtype(), q.device());                        // (T, H D)
    Tensor lse({q.size(0), arguments_.graph->heads()}, q.dtype(), q.device());  // (T, H)
    kernels::attention_forward(q, in[fused_ ? 0 : 1], in[fused_ ? 0 : 2], bias, arguments_, o, lse);
    Tensors kept{o, lse};
    kept.insert(kept.end(), in.begin(), in.end());
    save_for_backward(std::move(kept));
    return {o};
  }

  Tensors backward(const Tensors& grad) override {
    const size_t inputs = fused_ ? 1 : 3;
    const Tensor &o = saved(0), &lse = saved(1), &q = saved(2);
    const Tensor &k = saved(fused_ ? 2 : 3), &v = saved(fused_ ? 2 : 4);
    const bool has_bias = edges().size() > inputs;
    const Tensor bias = has_bias ? saved(2 + inputs) : Tensor();
    Tensor dq = like(q), dbias = has_bias ? like(bias) : Tensor();
    Tensor dk = fused_ ? dq : like(k), dv = fused_ ? dq : like(v);
    kernels::attention_backward(q, k, v, bias, o, lse, grad[0], arguments_, dq, dk, dv, dbias);
    if (fused_) return has_bias ? Tensors{dq, dbias} : Tensors{dq};
    return has_bias ? Tensors{dq, dk, dv, dbias} : Tensors{dq, dk, dv};
  }

  Variables backward_graph(const Variables&) override {
    throw GradientError("sparse_attention", "the fused op has no double backward",
                        "use attention_reference() for gradients of gradients");
  }

 private:
  std::shared_ptr<const AttentionGraph> graph_;
  AttentionOptions options_;
  bool fused_;
  AttentionArguments arguments_;
};

Variables with_bias(Variables inputs, const Variable& bias) {
  if (bias.defined()) inputs.push_back(bias);
  return inputs;
}

}  // namespace

double attention_scale(std::string_view where, double wanted, int64_t dim) {
  if (wanted == 0) return 1 / std::sqrt(static_cast<double>(std::max<int64_t>(1, dim)));
  if (std::isfinite(wanted) && wanted > 0) return wanted;
  throw ConfigError(where,
                    fmt::format("expected a scale above 0, or 0 for 1 / sqrt(D), got {}", wanted));
}

void expect_attention_bias(std::string_view where, const Tensor& bias, const Tensor& like,
                           int64_t heads) {
  expect_rank(where, "bias", bias, 2);
  expect_same_kind(where, like, bias);
  if (bias.size(0) == heads && bias.size(1) % 2 == 1) return;
  throw ShapeError(where, fmt::format("expected bias of shape ({}, 2R+1), got {}", heads,
                                      to_string(bias.shape())));
}

Variable sparse_attention(const Variable& q, const Variable& k, const Variable& v,
                          std::shared_ptr<const AttentionGraph> graph,
                          const AttentionOptions& options, const Variable& bias) {
  return Function::apply<SparseAttention>(with_bias({q, k, v}, bias), std::move(graph), options,
                                          false);
}

Variable sparse_attention_qkv(const Variable& qkv, std::shared_ptr<const AttentionGraph> graph,
                              const AttentionOptions& options, const Variable& bias) {
  return Function::apply<SparseAttention>(with_bias({qkv}, bias), std::move(graph), options, true);
}

namespace {

constexpr std::pair<std::string_view, AttentionKernel> kKernelNames[] = {
    {"automatic", AttentionKernel::automatic}, {"rows", AttentionKernel::rows},
    {"tiles", AttentionKernel::tiles},         {"edges", AttentionKernel::edges},
    {"mixed", AttentionKernel::mixed},
};

}  // namespace

std::string_view name_of(AttentionKernel kernel) {
  for (const auto& [name, value] : kKernelNames) {
    if (value == kernel) return name;
  }
  return "";
}

AttentionKernel parse_kernel(std::string_view text) {
  std::vector<std::string> names;
  for (const auto& [name, value] : kKernelNames) {
    if (name == text) return value;
    names.emplace_back(name);
  }
  throw ConfigError("attention kernel", fmt::format("unknown kernel \"{}\"", text),
                    fmt::format("the nearest name is \"{}\"", nearest_name(text, names)));
}

uint64_t attention_dropout_key(const AttentionOptions& options) {
  return mix_key({options.seed, static_cast<uint64_t>(Purpose::attention_dropout), options.step,
                  static_cast<uint64_t>(options.layer)});
}

}  // namespace filigree
