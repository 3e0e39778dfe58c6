#include "attention/kernels/edges.h"
#include "attention/kernels/schedule.h"
#include "attention/kernels/sparse_attention.h"
#include "attention/kernels/tiles.h"
#include "attention/kernels/views.h"
#include "core/parallel.h"

namespace filigree::kernels::cpu {

namespace {

/// What a part of a divided sequence gives to its keys: dk, then dv, rows of padded(dim).
struct PartGradients {
  Tensor sums;
  bool failed = false;  // a key that some row does not see is not finite: see tiles_backward()
};

/// Sums by distance that every task makes for itself, so that they are added up in a fixed order.
template <class T>
class DistanceSums {
 public:
  /// Distances -reach .. reach, for `tasks`; none if reach < 0.
  DistanceSums(int64_t reach, size_t tasks) : reach_(reach) {
    if (reach >= 0) sums_.assign(tasks * span(), T(0));
  }
  /// The task's sums, pointing at distance 0; null for none.
  T* of(size_t task) { return reach_ < 0 ? nullptr : sums_.data() + task * span() + reach_; }
  void clear(size_t task, size_t count) {
    if (reach_ < 0) return;
    std::fill_n(sums_.begin() + static_cast<std::ptrdiff_t>(task * span()), count * span(), T(0));
  }

 private:
  size_t span() const { return static_cast<size_t>(2 * reach_ + 1); }
  int64_t reach_;
  std::vector<T> sums_;
};

/// The sums by distance of one task: those of the bias and of a soft gate, null for none; those of
/// an irregular gate go on row by row.
template <class T>
struct TaskSums {
  T *dbias, *dgate;
  const IrregularGate& irregular;
  size_t task;
  int head;
  int64_t origin;  // packed token that row 0 is

  int64_t row_span() const { return irregular.reach < 0 ? 0 : 2 * irregular.reach + 1; }
  /// What row i has at distances -R .. R.
  void give(int64_t i, const T* row) const {
    thread_local std::vector<double> slopes;
    slopes.assign(static_cast<size_t>(irregular.reach + 1), 0);
    for (int64_t d = 1; d <= irregular.reach; ++d) {
      slopes[static_cast<size_t>(d)] = static_cast<double>(row[irregular.reach + d]) +
                                       static_cast<double>(row[irregular.reach - d]);
    }
    irregular.slopes->add(task, head, origin + i, slopes);
  }
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
  T* dgate = row.empty() ? sums.dgate : row.data() + sums.irregular.reach;
  with_head_dim(head.dim, [&]<int D>() {
    for (int64_t i = 0; i < length; ++i) {
      const int64_t count = graph.row(i, scratch.columns.data());
      std::fill(row.begin(), row.end(), T(0));
      backward_row<D>(head, i, count, scratch, sums.dbias, dgate);
      if (!row.empty()) sums.give(i, row.data());
    }
  });
}

/// Tiles, edges or both for a part of a sequence: writes its rows of dq, adds to `sums`, and
/// leaves its dk and dv in `to` (rows of padded(dim), as many as it has keys), or, where that
/// is null, in the head's. False as tiles_forward(), with nothing done but perhaps dq.
template <class T>
bool backward_part(const HeadView<T>& head, const SequenceSchedule& schedule,
                   const BackwardPart& part, const TaskSums<T>& sums, T* to) {
  const int64_t count = part.last - part.first, width = padded<T>(head.dim);
  const int64_t seen = part.keys.end - part.keys.begin;
  const auto blocks = schedule.blocks_of(part.first, part.last);
  const int64_t scores = most_scores(blocks);
  // Tiles of keys are computed in whole vectors, from the interval's first key on.
  const int64_t keys = padded<T>(seen) + kBackwardKeys;
  Scratch& scratch = Scratch::of_thread();
  scratch.reset(3 * Scratch::bytes_for<T>(count * width) + 4 * Scratch::bytes_for<T>(keys * width) +
                Scratch::bytes_for<T>(count * sums.row_span()) + 2 * Scratch::bytes_for<T>(count) +
                2 * Scratch::bytes_for<T>(scores) + Scratch::bytes_for<int32_t>(scores) +
                Scratch::bytes_for<T>(2 * width) + tiles_backward_bytes<T>(head.dim));
  T* q = scratch.take<T>(count * width);
  T* grad = scratch.take<T>(count * width);
  T* k = scratch.take<T>(blocks.empty() ? 0 : seen * width);
  T* v = scratch.take<T>(blocks.empty() ? 0 : seen * width);
  T* dq = scratch.take<T>(count * width);
  T* dk = scratch.take<T>(keys * width);
  T* dv = scratch.take<T>(keys * width);
  T* lse = scratch.take<T>(count);
  T* delta = scratch.take<T>(count);
  pack_rows(head.q + part.first * head.stride, head.stride, count, head.dim, head.scale, q);
  if (!blocks.empty()) {
    const int64_t from = part.keys.begin * head.stride;
    pack_rows(head.k + from, head.stride, seen, head.dim, T(1), k);
    pack_rows(head.v + from, head.stride, seen, head.dim, T(1), v);
  }
  pack_rows(head.grad + part.first * head.width, head.width, count, head.dim, T(1), grad);
  std::fill(dq, dq + count * width, T(0));
  std::fill(dk, dk + keys * width, T(0));
  std::fill(dv, dv + keys * width, T(0));
  for (int64_t r = 0; r < count; ++r) {
    const int64_t i = part.first + r;
    const T value = head.lse[i * head.heads];
    const bool empty = value == kMinusInfinity<T>;
    lse[r] = empty ? -kMinusInfinity<T> : value;
    delta[r] = empty ? T(0) : dot<0>(head.grad + i * head.width, head.o + i * head.width, head.dim);
  }
  const int64_t row_span = sums.row_span();
  T* row_sums = scratch.take<T>(count * row_span);  // of an irregular gate
  std::fill(row_sums, row_sums + count * row_span, T(0));
  T* dgate = row_span > 0 ? row_sums + sums.irregular.reach : sums.dgate;
  const RowGradients<T> gradients{
      q,  grad,       k,     v,        lse,        delta,           dq,   dk,
      dv, sums.dbias, dgate, row_span, part.first, part.keys.begin, width};
  T* s = scratch.take<T>(scores);
  T* dp = scratch.take<T>(scores);
  int32_t* columns = scratch.take<int32_t>(scores);
  T* buffer = scratch.take<T>(2 * width);
  if (schedule.uses_tiles() &&
      !tiles_backward(head, schedule.intervals, part.first, part.last, gradients, scratch)) {
    return false;
  }
  with_vectors<T>(head.dim, [&]<int V>() {
    for (const EdgeBlock& block : blocks) {
      edges_backward<V>(head, block, gradients, s, dp, columns, buffer);
    }
  });
  for (int64_t r = 0; row_span > 0 && r < count; ++r) {
    sums.give(part.first + r, row_sums + r * row_span);
  }
  for (int64_t r = 0; r < count; ++r) {
    T* row = head.dq + (part.first + r) * head.stride;
    for (int64_t d = 0; d < head.dim; ++d) row[d] = dq[r * width + d] * head.scale;
  }
  if (to) {
    std::copy(dk, dk + seen * width, to);
    std::copy(dv, dv + seen * width, to + seen * width);
    return true;
  }
  for (int64_t r = 0; r < seen; ++r) {
    const int64_t at = (part.keys.begin + r) * head.stride;
    std::copy(dk + r * width, dk + r * width + head.dim, head.dk + at);
    std::copy(dv + r * width, dv + r * width + head.dim, head.dv + at);
  }
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
void add_up_bias(std::span<const Task> tasks, DistanceSums<T>& sums, int64_t reach, Tensor& dbias) {
  dbias.fill(0);
  const int64_t span = 2 * reach + 1;
  for (size_t t = 0; t < tasks.size(); ++t) {
    T* total = dbias.data<T>() + tasks[t].head * span + reach;
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
    for (int64_t d = 1; d < span; ++d) total[d] += from[d] + from[-d];
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

}  // namespace

void attention_backward(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& bias,
                        const Tensor& gate, const Tensor& o, const Tensor& lse, const Tensor& grad,
                        const AttentionArguments& arguments, Tensor& dq, Tensor& dk, Tensor& dv,
                        Tensor& dbias, Tensor& dgate) {
  const AttentionGraph& graph = *arguments.graph;
  const BatchSchedule& schedule = *arguments.schedule;
  const int64_t* offsets = graph.offsets().data<int64_t>();
  const std::vector<Task> tasks = tasks_of(graph, schedule);
  std::vector<PartGradients> parts(tasks.size());
  dispatch_float("sparse_attention", q.dtype(), [&]<class T>() {
    // A task writes to nothing that another one writes to: sums run in a fixed order.
    DistanceSums<T> bias_sums(arguments.bias_reach, tasks.size());
    DistanceSums<T> gate_sums(gate.defined() ? gate.size(1) - 1 : -1, tasks.size());
    const GateTables<T> gates(gate, true);
    const IrregularGate& irregular = arguments.irregular;
    if (irregular.reach >= 0) irregular.slopes->start(tasks.size());
    const auto sums_of = [&](size_t t) {
      return TaskSums<T>{bias_sums.of(t), gate_sums.of(t),           irregular, t,
                         tasks[t].head,   offsets[tasks[t].sequence]};
    };
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
    parallel_for(static_cast<int64_t>(tasks.size()), 1, [&](int64_t at) {
      const auto t = static_cast<size_t>(at);
      const Task& task = tasks[t];
      const int g = graph.group_of_head(task.head);
      const SequenceSchedule& sequence = schedule.at(g, task.sequence);
      const BackwardPart& part = sequence.parts[task.part];
      const HeadView<T> head = head_of(task);
      T* sums = nullptr;
      if (task.count > 1) {
        const int64_t seen = part.keys.end - part.keys.begin;
        parts[t].sums = Tensor({2 * seen * padded<T>(head.dim)}, q.dtype());
        sums = parts[t].sums.template data<T>();
      }
      if (sequence.kernel != AttentionKernel::rows &&
          backward_part(head, sequence, part, sums_of(t), sums)) {
        return;
      }
      parts[t].failed = true;
      if (task.count > 1) return;  // below, for all parts
      backward_rows(head, graph.sequence(g, task.sequence), sums_of(t));
    });
    parallel_for(static_cast<int64_t>(tasks.size()), 1, [&](int64_t at) {
      const auto t = static_cast<size_t>(at);
      const Task& task = tasks[t];
      if (task.count == 1 || task.first != t) return;
      const int g = graph.group_of_head(task.head);
      const auto mine = std::span(parts).subspan(t, task.count);
      const SequenceGraph& sequence = graph.sequence(g, task.sequence);
      const HeadView<T> head = head_of(task);
      if (std::any_of(mine.begin(), mine.end(), [](const auto& part) { return part.failed; })) {
        bias_sums.clear(t, task.count);
        gate_sums.clear(t, task.count);
        for (size_t p = 0; irregular.reach >= 0 && p < task.count; ++p)
          irregular.slopes->clear(t + p);
        backward_rows(head, sequence, sums_of(t));
      } else {
        join_parts<T>(head, schedule.at(g, task.sequence).parts, mine, sequence.length());
      }
      for (PartGradients& part : mine) part.sums = Tensor();
    });
    if (bias.defined()) add_up_bias(tasks, bias_sums, arguments.bias_reach, dbias);
    if (gate.defined()) add_up_gate(tasks, gate_sums, gate, gates, dgate);
  });
}

}  // namespace filigree::kernels::cpu
