#include <algorithm>

#include "attention/degrees/distribution.h"
#include "attention/degrees/draws.h"
#include "attention/kernels/drawn_attention.h"
#include "attention/kernels/schedule.h"
#include "attention/reach_graph.h"
#include "core/parallel.h"

namespace filigree::kernels {

namespace {

/// Those of the heads.
std::vector<ReachDraws> draws_of(const DrawnReaches& drawn) {
  const int64_t count = drawn.reaches.count();
  std::vector<ReachDraws> draws;
  for (int64_t h = 0; h < drawn.heads(); ++h) {
    std::vector<double> row;
    for (int64_t k = 0; k < count; ++k) row.push_back(drawn.logits.at(h * count + k));
    draws.emplace_back(reach_probabilities(row), drawn.tau, drawn.keys[static_cast<size_t>(h)]);
  }
  return draws;
}

}  // namespace

Tensor draw_all(const DrawnReaches& drawn, int64_t tokens) {
  const std::vector<ReachDraws> draws = draws_of(drawn);
  Tensor own({drawn.heads(), tokens}, DType::i32);
  int32_t* to = own.data<int32_t>();
  parallel_for(own.numel(), 256, [&](int64_t at) {
    const int64_t k = draws[static_cast<size_t>(at / tokens)].hard(at % tokens);
    to[at] = static_cast<int32_t>(drawn.reaches[k]);
  });
  return own;
}

namespace cpu {

namespace {

/// From slopes by distance to the gradient of the logits: sums a task, added up in their order.
class LogitSlopes final : public RowSlopes {
 public:
  explicit LogitSlopes(const DrawnReaches& drawn)
      : draws_(draws_of(drawn)), reaches_(drawn.reaches) {}

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

  /// To (H, K).
  void add_up(Tensor& dlogits) const {
    const int64_t count = reaches_.count();
    Tensor sums = Tensor::zeros(dlogits.shape(), DType::f64);
    for (const Task& task : tasks_) {
      double* to = sums.data<double>() + task.head * count;
      for (size_t k = 0; k < task.sums.size(); ++k) to[k] += task.sums[k];
    }
    dlogits.copy_from(sums.to(dlogits.dtype()));
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

/// The arguments, on the graph of what was drawn and `margin` tokens more.
AttentionArguments on_graph(const AttentionArguments& arguments, const DrawnReaches& drawn,
                            const Tensor& own, int64_t margin, DType dtype) {
  AttentionArguments on = arguments;
  on.graph = reach_graph(drawn.offsets, own, margin, drawn.reaches.largest(), drawn.always.get());
  on.schedule = on.graph->schedules().get(*on.graph, on.kernel, dtype, on.head_dim);
  return on;
}

}  // namespace

void drawn_attention_forward(const Tensor& qkv, const Tensor& bias, const DrawnReaches& drawn,
                             const AttentionArguments& arguments, DrawnState& state, Tensor& o,
                             Tensor& lse) {
  state.own = draw_all(drawn, qkv.size(0));
  attention_forward(qkv, qkv, qkv, bias, {}, on_graph(arguments, drawn, state.own, 0, qkv.dtype()),
                    o, lse);
}

void drawn_attention_backward(const Tensor& qkv, const Tensor& bias, const Tensor& o,
                              const Tensor& lse, const Tensor& grad, const DrawnReaches& drawn,
                              const AttentionArguments& arguments, const DrawnState& state,
                              Tensor& dqkv, Tensor& dbias, Tensor& dlogits) {
  const int64_t most = drawn.reaches.largest();
  AttentionArguments on =
      on_graph(arguments, drawn, state.own, std::min(drawn.margin, most), qkv.dtype());
  LogitSlopes slopes(drawn);
  const std::span<const int32_t> own = state.own.span<int32_t>();
  const int64_t furthest = own.empty() ? 0 : *std::max_element(own.begin(), own.end());
  on.always = drawn.always;
  on.irregular = {state.own, std::min(furthest + drawn.margin, most), &slopes};
  Tensor dgate;
  attention_backward(qkv, qkv, qkv, bias, {}, o, lse, grad, on, dqkv, dqkv, dqkv, dbias, dgate);
  slopes.add_up(dlogits);
}

}  // namespace cpu

}  // namespace filigree::kernels
