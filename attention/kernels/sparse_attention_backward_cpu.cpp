#include <functional>

#include "attention/kernels/edges.h"
#include "attention/kernels/schedule.h"
#include "attention/kernels/sparse_attention.h"
#include "attention/kernels/task_sums.h"
#include "attention/kernels/tiles.h"
#include "attention/kernels/views.h"
#include "core/parallel.h"

namespace filigree::kernels::cpu {

namespace {

/// What a part of a divided sequence gives to its keys: dk, then dv, rows of padded(dim).
struct PartGradients {
  Tensor sums;
  bool failed = false;  // the rows kernel is to do it: see tiles_backward()
};

/// A whole sequence by the rows kernel.
template <class T>
void backward_rows(const HeadView<T>& head, const SequenceGraph& graph, const TaskSums<T>& sums) {
  const int64_t length = graph.length();
  for (T* target : {head.dq, head.dk, head.dv}) {
    for (int64_t i = 0; i < length; ++i) {
      std::fill(target + i * head.stride, target + i * head.stride + head.dim, T(0));
    }
  }
  RowScratch<T>& scratch = rows_scratch<T>(length);
  std::vector<T> row(static_cast<size_t>(sums.row_span()));
  T* dgate = row.empty() ? sums.dgate : row.data() + sums.row_reach();
  with_head_dim(head.dim, [&]<int D>() {
    for (int64_t i = 0; i < length; ++i) {
      const int64_t count = graph.row(i, scratch.columns.data());
      std::fill(row.begin(), row.end(), T(0));
      backward_row<D>(head, i, count, scratch, sums.dbias, dgate);
      if (!row.empty()) sums.give(i, row.data());
    }
  });
}

/// A part's inputs, copied side by side, and its gradients, zeros at first.
template <class T>
RowGradients<T> begin_part(const HeadView<T>& head, const BackwardPart& part, bool edges,
                           const TaskSums<T>& sums, int64_t keys, Scratch& scratch) {
  const int64_t count = part.last - part.first, width = padded<T>(head.dim);
  const int64_t seen = part.keys.end - part.keys.begin, row_span = sums.row_span();
  const auto copy = [&](const T* from, int64_t stride, int64_t rows, T factor) {
    T* to = scratch.take<T>(rows * width);
    pack_rows(from, stride, rows, head.dim, factor, to);
    return to;
  };
  const auto zeros = [&](int64_t size) {
    T* to = scratch.take<T>(size);
    std::fill(to, to + size, T(0));
    return to;
  };
  RowGradients<T> rows{};
  rows.q = copy(head.q + part.first * head.stride, head.stride, count, head.scale);
  rows.grad = copy(head.grad + part.first * head.width, head.width, count, T(1));
  if (edges) {
    rows.k = copy(head.k + part.keys.begin * head.stride, head.stride, seen, T(1));
    rows.v = copy(head.v + part.keys.begin * head.stride, head.stride, seen, T(1));
  }
  T *lse = scratch.take<T>(count), *delta = scratch.take<T>(count);
  for (int64_t r = 0; r < count; ++r) {
    const int64_t i = part.first + r;
    const T value = head.lse[i * head.heads];
    const bool empty = value == kMinusInfinity<T>;
    lse[r] = empty ? -kMinusInfinity<T> : value;
    delta[r] = empty ? T(0) : dot<0>(head.grad + i * head.width, head.o + i * head.width, head.dim);
  }
  rows.lse = lse;
  rows.delta = delta;
  rows.dq = zeros(count * width);
  rows.dk = zeros(keys * width);
  rows.dv = zeros(keys * width);
  rows.dbias = sums.dbias;
  rows.dgate = row_span > 0 ? zeros(count * row_span) + sums.row_reach() : sums.dgate;
  rows.dgate_stride = row_span;
  rows.first = part.first;
  rows.key_first = part.keys.begin;
  rows.width = width;
  return rows;
}

/// Passes a part's gradients on: rows of dq to the head, dk and dv to the head's or to `to`, what
/// an irregular gate gets to `sums`.
template <class T>
void finish_part(const HeadView<T>& head, const BackwardPart& part, const RowGradients<T>& rows,
                 const TaskSums<T>& sums, T* to) {
  const int64_t count = part.last - part.first, width = rows.width;
  const int64_t seen = part.keys.end - part.keys.begin;
  for (int64_t r = 0; rows.dgate_stride > 0 && r < count; ++r) {
    sums.give(part.first + r, rows.dgate_of(part.first + r) - sums.row_reach());
  }
  for (int64_t r = 0; r < count; ++r) {
    T* row = head.dq + (part.first + r) * head.stride;
    for (int64_t d = 0; d < head.dim; ++d) row[d] = rows.dq[r * width + d] * head.scale;
  }
  if (to) {
    std::copy(rows.dk, rows.dk + seen * width, to);
    std::copy(rows.dv, rows.dv + seen * width, to + seen * width);
    return;
  }
  for (int64_t r = 0; r < seen; ++r) {
    const int64_t at = (part.keys.begin + r) * head.stride;
    std::copy(rows.dk + r * width, rows.dk + r * width + head.dim, head.dk + at);
    std::copy(rows.dv + r * width, rows.dv + r * width + head.dim, head.dv + at);
  }
}

/// Tiles, edges or both for a part of a sequence: writes its rows of dq, adds to `sums`, and leaves
/// its dk and dv in `to` (rows of padded(dim), as many as it has keys), or, where that is null, in
/// the head's. False as tiles_backward(), with nothing done.
template <class T>
bool backward_part(const HeadView<T>& head, const SequenceSchedule& schedule,
                   const BackwardPart& part, const TaskSums<T>& sums, T* to) {
  const int64_t count = part.last - part.first, width = padded<T>(head.dim);
  const auto blocks = schedule.blocks_of(part.first, part.last);
  const int64_t scores = most_scores(blocks);
  // Tiles of keys are computed in whole vectors, from the interval's first key on.
  const int64_t keys = padded<T>(part.keys.end - part.keys.begin) + kBackwardKeys;
  Scratch& scratch = Scratch::of_thread();
  scratch.reset(3 * Scratch::bytes_for<T>(count * width) + 4 * Scratch::bytes_for<T>(keys * width) +
                Scratch::bytes_for<T>(count * sums.row_span()) + 2 * Scratch::bytes_for<T>(count) +
                2 * Scratch::bytes_for<T>(scores) + Scratch::bytes_for<int32_t>(scores) +
                Scratch::bytes_for<T>(2 * width) + tiles_backward_bytes<T>(head.dim));
  const RowGradients<T> rows = begin_part(head, part, !blocks.empty(), sums, keys, scratch);
  T* s = scratch.take<T>(scores);
  T* dp = scratch.take<T>(scores);
  int32_t* columns = scratch.take<int32_t>(scores);
  T* buffer = scratch.take<T>(2 * width);
  if (schedule.uses_tiles() &&
      !tiles_backward(head, schedule.intervals, part.first, part.last, rows, scratch)) {
    return false;
  }
  with_vectors<T>(head.dim, [&]<int V>() {
    for (const EdgeBlock& block : blocks) {
      edges_backward<V>(head, block, rows, s, dp, columns, buffer);
    }
  });
  finish_part(head, part, rows, sums, to);
  return true;
}

/// dk and dv of a divided sequence: the sums of its parts, in order.
template <class T>
void join_parts(const HeadView<T>& head, std::span<const BackwardPart> parts,
                std::span<const PartGradients> gradients, int64_t length) {
  const int64_t width = padded<T>(head.dim);
  for (int64_t j = 0; j < length; ++j) {
    T *dk = head.dk + j * head.stride, *dv = head.dv + j * head.stride;
    std::fill(dk, dk + head.dim, T(0));
    std::fill(dv, dv + head.dim, T(0));
    for (size_t p = 0; p < parts.size(); ++p) {
      const Span keys = parts[p].keys;
      if (j < keys.begin || j >= keys.end) continue;
      const T* from = gradients[p].sums.template data<T>() + (j - keys.begin) * width;
      const T* values = from + (keys.end - keys.begin) * width;
      for (int64_t d = 0; d < head.dim; ++d) dk[d] += from[d];
      for (int64_t d = 0; d < head.dim; ++d) dv[d] += values[d];
    }
  }
}

/// One part of one head of one sequence.
struct Task {
  int64_t sequence;
  int head;
  size_t part;   // of the sequence's parts
  size_t first;  // task of the first part of this sequence and head
  size_t count;  // parts
};

std::vector<Task> tasks_of(const AttentionGraph& graph, const BatchSchedule& schedule) {
  std::vector<Task> tasks;
  for (int64_t b = 0; b < graph.sequences(); ++b) {
    for (int h = 0; h < graph.heads(); ++h) {
      const size_t parts = schedule.at(graph.group_of_head(h), b).parts.size();
      const size_t first = tasks.size();
      for (size_t p = 0; p < parts; ++p) tasks.push_back({b, h, p, first, parts});
    }
  }
  return tasks;
}

/// dbias (H, 2R+1).
template <class T>
void add_up_bias(std::span<const Task> tasks, DistanceSums<T>& sums, Tensor& dbias) {
  dbias.fill(0);
  const int64_t span = dbias.size(1), reach = sums.reach();
  for (size_t t = 0; t < tasks.size(); ++t) {
    T* total = dbias.data<T>() + tasks[t].head * span + span / 2;
    const T* from = sums.of(t);
    for (int64_t d = -reach; d <= reach; ++d) total[d] += from[d];
  }
}

/// dgate (H, R+1): both sides of a distance; what an open one has summed up is g times that.
template <class T>
void add_up_gate(std::span<const Task> tasks, DistanceSums<T>& sums, const Tensor& gate,
                 const GateTables<T>& tables, Tensor& dgate) {
  dgate.fill(0);
  const int64_t span = gate.size(1);
  for (size_t t = 0; t < tasks.size(); ++t) {
    T* total = dgate.data<T>() + tasks[t].head * span;
    const T* from = sums.of(t);
    for (int64_t d = 1; d <= sums.reach(); ++d) total[d] += from[d] + from[-d];
  }
  for (int h = 0; h < static_cast<int>(gate.size(0)); ++h) {
    const uint8_t* closed = tables.closed_of(h);
    const T* g = gate.data<T>() + h * span;
    T* total = dgate.data<T>() + h * span;
    for (int64_t d = 1; d < span; ++d) {
      if (!closed[d]) total[d] /= g[d];
    }
  }
}

/// A backward pass. A task writes to nothing that another one writes to, so that sums run in a
/// fixed order.
template <class T>
class BackwardPass {
 public:
  using HeadOf = std::function<HeadView<T>(const Task&)>;

  BackwardPass(const AttentionArguments& arguments, int64_t gate_reach, DType dtype, HeadOf head_of)
      : graph_(*arguments.graph),
        schedule_(*arguments.schedule),
        irregular_(arguments.irregular),
        dtype_(dtype),
        tasks_(tasks_of(graph_, schedule_)),
        head_of_(std::move(head_of)),
        parts_(tasks_.size()),
        bias_sums_(arguments.bias_reach, schedule_.longest, tasks_.size()),
        gate_sums_(gate_reach, schedule_.longest, tasks_.size()) {
    if (irregular_.reach >= 0) irregular_.slopes->start(tasks_.size());
  }

  void run() {
    const auto count = static_cast<int64_t>(tasks_.size());
    parallel_for(count, 1, [&](int64_t t) { compute(static_cast<size_t>(t)); });
    parallel_for(count, 1, [&](int64_t t) { join(static_cast<size_t>(t)); });
  }
  std::span<const Task> tasks() const { return tasks_; }
  DistanceSums<T>& bias_sums() { return bias_sums_; }
  DistanceSums<T>& gate_sums() { return gate_sums_; }

 private:
  const SequenceGraph& graph_of(const Task& task) const {
    return graph_.sequence(graph_.group_of_head(task.head), task.sequence);
  }
  const SequenceSchedule& schedule_of(const Task& task) const {
    return schedule_.at(graph_.group_of_head(task.head), task.sequence);
  }
  TaskSums<T> sums_of(size_t t) {
    const Task& task = tasks_[t];
    const int64_t* bounds = graph_.offsets().template data<int64_t>() + task.sequence;
    return {bias_sums_.of(t), gate_sums_.of(t), irregular_,           t,
            task.head,        bounds[0],        bounds[1] - bounds[0]};
  }

  /// One task. What is a part of a divided sequence waits for join().
  void compute(size_t t) {
    const Task& task = tasks_[t];
    const SequenceSchedule& sequence = schedule_of(task);
    const BackwardPart& part = sequence.parts[task.part];
    const HeadView<T> head = head_of_(task);
    T* keys = nullptr;
    if (task.count > 1) {
      const int64_t seen = part.keys.end - part.keys.begin;
      parts_[t].sums = Tensor({2 * seen * padded<T>(head.dim)}, dtype_);
      keys = parts_[t].sums.template data<T>();
    }
    parts_[t].failed = sequence.kernel == AttentionKernel::rows ||
                       !backward_part(head, sequence, part, sums_of(t), keys);
    if (parts_[t].failed && task.count == 1) backward_rows(head, graph_of(task), sums_of(t));
  }

  /// A divided sequence, by its first task.
  void join(size_t t) {
    const Task& task = tasks_[t];
    if (task.count == 1 || task.first != t) return;
    const auto mine = std::span(parts_).subspan(t, task.count);
    const HeadView<T> head = head_of_(task);
    if (std::any_of(mine.begin(), mine.end(), [](const auto& part) { return part.failed; })) {
      bias_sums_.clear(t, task.count);
      gate_sums_.clear(t, task.count);
      for (size_t p = t; irregular_.reach >= 0 && p < t + task.count; ++p) {
        irregular_.slopes->clear(p);
      }
      backward_rows(head, graph_of(task), sums_of(t));
    } else {
      join_parts<T>(head, schedule_of(task).parts, mine, graph_of(task).length());
    }
    for (PartGradients& part : mine) part.sums = Tensor();
  }

  const AttentionGraph& graph_;
  const BatchSchedule& schedule_;
  const IrregularGate& irregular_;
  DType dtype_;
  std::vector<Task> tasks_;
  HeadOf head_of_;
  std::vector<PartGradients> parts_;  // a task
  DistanceSums<T> bias_sums_, gate_sums_;
};

}  // namespace

void attention_backward(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& bias,
                        const Tensor& gate, const Tensor& o, const Tensor& lse, const Tensor& grad,
                        const AttentionArguments& arguments, Tensor& dq, Tensor& dk, Tensor& dv,
                        Tensor& dbias, Tensor& dgate) {
  const int64_t* offsets = arguments.graph->offsets().data<int64_t>();
  dispatch_float("sparse_attention", q.dtype(), [&]<class T>() {
    const GateTables<T> gates(gate, true);
    const auto head_of = [&](const Task& task) {
      const int h = task.head;
      const int64_t first = offsets[task.sequence];
      HeadView<T> head = view_of(q, k, v, bias, gates, arguments, h, task.sequence);
      const int64_t row = first * head.width + h * head.dim;
      const int64_t column = first * head.stride + h * head.dim;
      head.o = o.data<T>() + row;
      head.grad = grad.data<T>() + row;
      head.lse = const_cast<T*>(lse.data<T>()) + first * head.heads + h;
      head.dq = dq.data<T>() + arguments.q_at + column;
      head.dk = dk.data<T>() + arguments.k_at + column;
      head.dv = dv.data<T>() + arguments.v_at + column;
      return head;
    };
    BackwardPass<T> pass(arguments, gate.defined() ? gate.size(1) - 1 : -1, q.dtype(), head_of);
    pass.run();
    if (bias.defined()) add_up_bias(pass.tasks(), pass.bias_sums(), dbias);
    if (gate.defined()) add_up_gate(pass.tasks(), pass.gate_sums(), gate, gates, dgate);
  });
}

}  // namespace filigree::kernels::cpu
