#include "attention/irregular_attention.h"

#include <algorithm>
#include <fmt/format.h>
#include <optional>

#include "attention/attention_arguments.h"
#include "attention/degrees/distribution.h"
#include "attention/degrees/draws.h"
#include "attention/kernels/schedule.h"
#include "autograd/function.h"
#include "autograd/ops/shape.h"
#include "core/error.h"
#include "core/parallel.h"

namespace filigree {

namespace {

constexpr std::string_view kWhere = "irregular_attention";

std::vector<ReachDraws> draws_of(const Tensor& logits, const IrregularDegrees& degrees,
                                 const AttentionOptions& options) {
  expect_rank(kWhere, "logits", logits, 2);
  const int64_t count = degrees.reaches.count();
  if (logits.size(1) != count) {
    throw ShapeError(kWhere,
                     fmt::format("expected logits of {} reaches, got {}", count, logits.size(1)));
  }
  std::vector<ReachDraws> draws;
  for (int64_t h = 0; h < logits.size(0); ++h) {
    std::vector<double> row;
    for (int64_t k = 0; k < count; ++k) row.push_back(logits.at(h * count + k));
    draws.emplace_back(reach_probabilities(row), degrees.tau,
                       GraphKey{options.seed, options.step, options.layer, static_cast<int>(h)});
  }
  return draws;
}

/// From slopes by distance to the gradient of the logits: sums a task, added up in their order.
class LogitSlopes final : public RowSlopes {
 public:
  LogitSlopes(std::vector<ReachDraws> draws, const Reaches& reaches)
      : draws_(std::move(draws)), reaches_(reaches) {}

  void start(size_t tasks) override { tasks_.assign(tasks, {}); }
  void clear(size_t task) override { tasks_[task] = {}; }
  void add(size_t task, int head, int64_t token, std::span<const double> slopes) override {
    Task& mine = tasks_[task];
    mine.head = head;
    mine.sums.resize(static_cast<size_t>(reaches_.count()));
    thread_local std::vector<double> z, all;
    z.resize(mine.sums.size());
    all.assign(slopes.begin(), slopes.end());  // beyond them nothing was computed
    all.resize(static_cast<size_t>(reaches_.largest() + 1), 0);
    const ReachDraws& draws = draws_[static_cast<size_t>(head)];
    draws.soft(token, z);
    draws.add_logit_gradient(z, probability_gradient(all, reaches_), mine.sums);
  }

  /// (H, K)
  Tensor total(DType dtype) const {
    const int64_t count = reaches_.count();
    Tensor result = Tensor::zeros({static_cast<int64_t>(draws_.size()), count}, DType::f64);
    for (const Task& task : tasks_) {
      double* to = result.data<double>() + task.head * count;
      for (size_t k = 0; k < task.sums.size(); ++k) to[k] += task.sums[k];
    }
    return result.to(dtype);
  }

 private:
  struct Task {
    int head = 0;
    std::vector<double> sums;  // (K), or empty
  };
  std::vector<ReachDraws> draws_;  // (H)
  const Reaches& reaches_;
  std::vector<Task> tasks_;
};

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
    IrregularDegrees drawn = degrees_;
    drawn.logits = Variable(in[1]);
    own_ = draw_reaches(drawn, qkv.size(0), options_);
    const AttentionArguments arguments = arguments_for(
        in, reach_graph(offsets_, own_, 0, degrees_.reaches.largest(), degrees_.always.get()));
    Tensor o({qkv.size(0), qkv.size(1) / 3}, qkv.dtype());             // (T, H D)
    Tensor lse({qkv.size(0), arguments.graph->heads()}, qkv.dtype());  // (T, H)
    kernels::attention_forward(qkv, qkv, qkv, bias_of(in), {}, arguments, o, lse);
    Tensors kept(in);
    kept.insert(kept.end(), {o, lse});
    save_for_backward(std::move(kept));
    return {o};
  }

  Tensors backward(const Tensors& grad) override {
    Tensors in;
    for (size_t i = 0; i < edges().size(); ++i) in.push_back(saved(i));
    const int64_t most = degrees_.reaches.largest();
    AttentionArguments arguments =
        arguments_for(in, reach_graph(offsets_, own_, std::min(degrees_.grad_margin, most), most,
                                      degrees_.always.get()));
    LogitSlopes slopes(draws_of(in[1], degrees_, options_), degrees_.reaches);
    const std::span<int32_t> own = own_.span<int32_t>();
    const int64_t furthest = own.empty() ? 0 : *std::max_element(own.begin(), own.end());
    arguments.always = degrees_.always;
    arguments.irregular = {own_, std::min(furthest + degrees_.grad_margin, most), &slopes};
    Tensor dqkv(in[0].shape(), in[0].dtype()), dgate;
    Tensor dbias = in.size() > 2 ? Tensor(in[2].shape(), in[2].dtype()) : Tensor();
    kernels::attention_backward(in[0], in[0], in[0], bias_of(in), {}, saved(in.size()),
                                saved(in.size() + 1), grad[0], arguments, dqkv, dqkv, dqkv, dbias,
                                dgate);
    Tensors results{dqkv, slopes.total(in[1].dtype())};
    if (dbias.defined()) results.push_back(dbias);
    return results;
  }

 private:
  static Tensor bias_of(const Tensors& in) { return in.size() > 2 ? in[2] : Tensor(); }
  AttentionArguments arguments_for(const Tensors& in,
                                   std::shared_ptr<const AttentionGraph> graph) const {
    const Tensor& qkv = in[0];
    const int64_t width = qkv.size(1) / 3;
    AttentionArguments arguments =
        attention_arguments(std::move(graph), qkv, width, bias_of(in), options_);
    arguments.stride = qkv.size(1);
    arguments.k_at = width;
    arguments.v_at = 2 * width;
    return arguments;
  }

  Tensor offsets_;
  IrregularDegrees degrees_;
  AttentionOptions options_;
  Tensor own_;  // (H, T) i32
};

}  // namespace

Tensor draw_reaches(const IrregularDegrees& degrees, int64_t tokens,
                    const AttentionOptions& options) {
  const std::vector<ReachDraws> draws = draws_of(degrees.logits.value(), degrees, options);
  Tensor own({static_cast<int64_t>(draws.size()), tokens}, DType::i32);
  int32_t* to = own.data<int32_t>();
  parallel_for(own.numel(), 256, [&](int64_t at) {
    const int64_t k = draws[static_cast<size_t>(at / tokens)].hard(at % tokens);
    to[at] = static_cast<int32_t>(degrees.reaches[k]);
  });
  return own;
}

std::shared_ptr<const AttentionGraph> reach_graph(const Tensor& offsets, const Tensor& own,
                                                  int64_t margin, int64_t most,
                                                  const AlwaysOn* always) {
  expect_offsets(offsets);
  const int64_t* bounds = offsets.data<int64_t>();
  const int64_t sequences = offsets.numel() - 1;
  expect_rank(kWhere, "reaches", own, 2);
  if (own.size(1) != bounds[sequences]) {
    throw ShapeError(kWhere, fmt::format("expected reaches of {} tokens, got {}", bounds[sequences],
                                         own.size(1)));
  }
  if (margin < 0)
    throw ConfigError(kWhere, fmt::format("expected a margin from 0, got {}", margin));
  if (always) expect_always_on(kWhere, *always, offsets);
  std::vector<SequenceGraphs> groups(static_cast<size_t>(own.size(0)));
  std::vector<int> group_of_head;
  for (int64_t h = 0; h < own.size(0); ++h) {
    group_of_head.push_back(static_cast<int>(h));
    for (int64_t b = 0; b < sequences; ++b) {
      const int64_t n = bounds[b + 1] - bounds[b];
      const int32_t* reach = own.data<int32_t>() + h * own.size(1) + bounds[b];
      SequenceGraph::Parts parts;
      for (int64_t i = 0; i < n; ++i) {
        if (reach[i] < 0 || reach[i] > most) {
          throw DataError(kWhere,
                          fmt::format("expected reaches from 0 to {}, got {}", most, reach[i]));
        }
        const int64_t to = std::min(reach[i] + margin, most);
        parts.lo.push_back(static_cast<int32_t>(std::max<int64_t>(0, i - to)));
        parts.hi.push_back(static_cast<int32_t>(std::min(n, i + to + 1)));
      }
      if (always) {
        const auto tokens = always->of(b);
        parts.globals.assign(tokens.begin(), tokens.end());
        for (const int32_t token : tokens) {
          parts.lo[static_cast<size_t>(token)] = 0;
          parts.hi[static_cast<size_t>(token)] = static_cast<int32_t>(n);
        }
      }
      groups[static_cast<size_t>(h)].push_back(
          std::make_shared<const SequenceGraph>(std::move(parts)));
    }
  }
  return std::make_shared<const AttentionGraph>(offsets, std::move(groups),
                                                std::move(group_of_head));
}

Variable irregular_attention_qkv(const Variable& qkv, const Tensor& offsets,
                                 const IrregularDegrees& degrees, const AttentionOptions& options,
                                 const Variable& bias) {
  if (!degrees.logits.defined()) throw ShapeError(kWhere, "the logits are missing");
  // Its kernels are the CPU's, of f32 and f64.
  if (const Device device = qkv.device(); !device.is_cpu()) {
    const DType dtype = degrees.logits.dtype();
    const auto on_host = [&](const Variable& x) { return cast(to_device(x, kCpu), dtype); };
    const Variable o = irregular_attention_qkv(on_host(qkv), offsets, degrees, options,
                                               bias.defined() ? on_host(bias) : bias);
    return to_device(cast(o, qkv.dtype()), device);
  }
  expect_same_kind(kWhere, qkv.value(), degrees.logits.value());
  if (degrees.grad_margin < 0) {
    throw ConfigError(kWhere, fmt::format("expected a margin from 0, got {}", degrees.grad_margin));
  }
  Variables inputs{qkv, degrees.logits};
  if (bias.defined()) inputs.push_back(bias);
  return Function::apply<IrregularAttention>(inputs, offsets, degrees, options);
}

}  // namespace filigree
