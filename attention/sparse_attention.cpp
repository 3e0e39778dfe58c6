#include "attention/sparse_attention.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include "attention/attention_arguments.h"
#include "attention/kernels/schedule.h"
#include "autograd/function.h"
#include "core/error.h"
#include "core/random.h"

namespace filigree {

namespace {

constexpr std::string_view kWhere = "sparse_attention";

Tensor like(const Tensor& x) { return Tensor(x.shape(), x.dtype(), x.device()); }

/// Inputs: q, k, v or qkv; the bias, if there is one; g, if there is a gate.
class SparseAttention final : public Function {
 public:
  struct Setting {
    AttentionOptions options;
    bool fused = false, bias = false, gate = false;
    std::shared_ptr<const AlwaysOn> always;

    size_t sides() const { return fused ? 1 : 3; }
  };
  SparseAttention(std::shared_ptr<const AttentionGraph> graph, Setting setting)
      : graph_(std::move(graph)), setting_(std::move(setting)) {}

  std::string_view name() const override { return "sparse_attention"; }

  Tensors forward(const Tensors& in) override {
    const Tensor& q = in[0];
    const bool fused = setting_.fused;
    expect_rank("sparse_attention", "q", q, 2);
    if (fused && q.size(1) % 3 != 0) {
      throw ShapeError("sparse_attention",
                       fmt::format("expected qkv of width 3 H D, got {}", q.size(1)));
    }
    for (size_t i = 1; i < setting_.sides(); ++i) {
      expect_same_kind("sparse_attention", q, in[i]);
      expect_shape("sparse_attention", i == 1 ? "k" : "v", q.shape(), in[i].shape());
    }
    const int64_t width = fused ? q.size(1) / 3 : q.size(1);
    arguments_ = attention_arguments(std::move(graph_), q, width, bias_of(in), setting_.options);
    arguments_.stride = q.size(1);
    arguments_.k_at = fused ? width : 0;
    arguments_.v_at = fused ? 2 * width : 0;
    arguments_.always = setting_.always;
    Tensor o({q.size(0), width}, q.dtype(), q.device());  // (T, H D)
    Tensor lse({q.size(0), arguments_.graph->heads()}, statistics_dtype(q.dtype()),
               q.device());  // (T, H)
    kernels::attention_forward(q, in[fused ? 0 : 1], in[fused ? 0 : 2], bias_of(in), gate_of(in),
                               arguments_, o, lse);
    Tensors kept(in);
    kept.insert(kept.end(), {o, lse});
    save_for_backward(std::move(kept));
    return {o};
  }

  Tensors backward(const Tensors& grad) override {
    const bool fused = setting_.fused;
    Tensors in;
    for (size_t i = 0; i < edges().size(); ++i) in.push_back(saved(i));
    const Tensor &o = saved(in.size()), &lse = saved(in.size() + 1);
    Tensors results;
    for (const Tensor& input : in) results.push_back(like(input));
    const Tensor bias = bias_of(in), gate = gate_of(in);
    Tensor dq = results[0], dk = results[fused ? 0 : 1], dv = results[fused ? 0 : 2];
    Tensor dbias = bias_of(results), dgate = gate_of(results);
    kernels::attention_backward(in[0], in[fused ? 0 : 1], in[fused ? 0 : 2], bias, gate, o, lse,
                                grad[0], arguments_, dq, dk, dv, dbias, dgate);
    return results;
  }

  Variables backward_graph(const Variables&) override {
    throw GradientError("sparse_attention", "the fused op has no double backward",
                        "use attention_reference() for gradients of gradients");
  }

 private:
  Tensor bias_of(const Tensors& in) const {
    return setting_.bias ? in[setting_.sides()] : Tensor();
  }
  Tensor gate_of(const Tensors& in) const { return setting_.gate ? in.back() : Tensor(); }

  std::shared_ptr<const AttentionGraph> graph_;
  Setting setting_;
  AttentionArguments arguments_;
};

Variable apply(Variables inputs, std::shared_ptr<const AttentionGraph> graph,
               const AttentionGate* gate, const AttentionOptions& options, const Variable& bias) {
  SparseAttention::Setting setting{options, inputs.size() == 1, bias.defined(), gate != nullptr,
                                   nullptr};
  if (bias.defined()) inputs.push_back(bias);
  if (gate) {
    if (!graph) throw ShapeError("gated_attention", "the graph is missing");
    expect_attention_gate("gated_attention", *gate, inputs[0].value(), *graph);
    setting.always = gate->always;
    inputs.push_back(gate->g);
  }
  return Function::apply<SparseAttention>(std::move(inputs), std::move(graph), std::move(setting));
}

}  // namespace

AttentionArguments attention_arguments(std::shared_ptr<const AttentionGraph> graph, const Tensor& q,
                                       int64_t width, const Tensor& bias,
                                       const AttentionOptions& options) {
  if (!graph) throw ShapeError(kWhere, "the graph is missing");
  if (q.size(0) != graph->tokens()) {
    throw ShapeError(kWhere, fmt::format("expected {} tokens as in the graph, got {}",
                                         graph->tokens(), q.size(0)));
  }
  AttentionArguments arguments = attention_settings(q, graph->heads(), width, bias, options);
  if (q.device().is_cpu()) {
    arguments.schedule =
        graph->schedules().get(*graph, options.kernel, q.dtype(), arguments.head_dim);
  }
  arguments.graph = std::move(graph);
  return arguments;
}

AttentionArguments attention_settings(const Tensor& q, int64_t heads, int64_t width,
                                      const Tensor& bias, const AttentionOptions& options) {
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
  const bool of_cpu =
      options.kernel == AttentionKernel::rows || options.kernel == AttentionKernel::mixed;
  if (of_cpu && !q.device().is_cpu()) {
    throw ConfigError(kWhere, fmt::format("{} is a kernel of the CPU", name_of(options.kernel)),
                      "on CUDA take automatic, tiles or edges");
  }
  arguments.kernel = options.kernel;
  return arguments;
}

void expect_always_on(std::string_view where, const AlwaysOn& always, const Tensor& offsets) {
  const int64_t sequences = offsets.numel() - 1;
  const auto wrong = [&](const std::string& what) {
    throw ShapeError(where, "tokens that are always on: " + what);
  };
  if (static_cast<int64_t>(always.bounds.size()) != sequences + 1) {
    wrong(fmt::format("expected {} bounds, got {}", sequences + 1, always.bounds.size()));
  }
  if (always.bounds.front() != 0 ||
      always.bounds.back() != static_cast<int64_t>(always.tokens.size()) ||
      !std::is_sorted(always.bounds.begin(), always.bounds.end())) {
    wrong("the bounds do not ascend from 0 to their number");
  }
  const int64_t* bounds = offsets.data<int64_t>();
  for (int64_t b = 0; b < sequences; ++b) {
    int64_t before = -1;
    for (const int32_t token : always.of(b)) {
      if (token <= before || token >= bounds[b + 1] - bounds[b]) {
        wrong(fmt::format("token {} of sequence {} is out of order or range", token, b));
      }
      before = token;
    }
  }
}

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

void expect_attention_gate(std::string_view where, const AttentionGate& gate, const Tensor& like,
                           const AttentionGraph& graph) {
  if (!gate.g.defined()) throw ShapeError(where, "the gate is missing");
  const Tensor& g = gate.g.value();
  expect_rank(where, "g", g, 2);
  expect_same_kind(where, like, g);
  if (g.size(0) != graph.heads() || g.size(1) < 1) {
    throw ShapeError(where, fmt::format("expected g of shape ({}, R+1), got {}", graph.heads(),
                                        to_string(g.shape())));
  }
  for (int64_t e = 0; g.device().is_cpu() && e < g.numel(); ++e) {
    if (g.at(e) >= 0 && g.at(e) <= 1) continue;
    throw NumericError(where, fmt::format("expected a gate in [0, 1], got {} at ({}, {})", g.at(e),
                                          e / g.size(1), e % g.size(1)));
  }
  if (gate.always) expect_always_on(where, *gate.always, graph.offsets());
}

Variable sparse_attention(const Variable& q, const Variable& k, const Variable& v,
                          std::shared_ptr<const AttentionGraph> graph,
                          const AttentionOptions& options, const Variable& bias) {
  return apply({q, k, v}, std::move(graph), nullptr, options, bias);
}
Variable sparse_attention_qkv(const Variable& qkv, std::shared_ptr<const AttentionGraph> graph,
                              const AttentionOptions& options, const Variable& bias) {
  return apply({qkv}, std::move(graph), nullptr, options, bias);
}
Variable gated_attention(const Variable& q, const Variable& k, const Variable& v,
                         std::shared_ptr<const AttentionGraph> graph, const AttentionGate& gate,
                         const AttentionOptions& options, const Variable& bias) {
  return apply({q, k, v}, std::move(graph), &gate, options, bias);
}
Variable gated_attention_qkv(const Variable& qkv, std::shared_ptr<const AttentionGraph> graph,
                             const AttentionGate& gate, const AttentionOptions& options,
                             const Variable& bias) {
  return apply({qkv}, std::move(graph), &gate, options, bias);
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
