#include "attention/kernels/attention_rows.h"
#include "attention/kernels/edges.h"
#include "attention/kernels/schedule.h"
#include "attention/kernels/sparse_attention.h"
#include "attention/kernels/tiles.h"
#include "core/parallel.h"
#include "core/random.h"

namespace filigree::kernels::cpu {

namespace {

/// The pointers of one head. Tensors that a pass does not have stay null.
template <class T>
HeadView<T> view_of(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& bias,
                    const AttentionArguments& arguments, int h) {
  const int64_t column = h * arguments.head_dim;
  HeadView<T> head{};
  head.q = q.data<T>() + arguments.q_at + column;
  head.k = k.data<T>() + arguments.k_at + column;
  head.v = v.data<T>() + arguments.v_at + column;
  head.heads = arguments.graph->heads();
  head.dim = arguments.head_dim;
  head.stride = arguments.stride;
  head.width = head.heads * head.dim;
  head.scale = static_cast<T>(arguments.scale);
  head.reach = arguments.bias_reach;
  if (bias.defined()) {
    head.bias = bias.data<T>() + h * (2 * head.reach + 1) + head.reach;
  }
  if (arguments.dropout > 0) {
    head.keep =
        KeepBits(arguments.dropout, mix_key({arguments.dropout_key, static_cast<uint64_t>(h)}));
  }
  return head;
}

template <class T>
RowScratch<T>& rows_scratch(int64_t length) {
  thread_local RowScratch<T> scratch;
  scratch.reserve(length);
  return scratch;
}

/// The blocks of rows [first, last) of sequence b.
std::span<const EdgeBlock> blocks_of(const GroupSchedule& group, int64_t b, int64_t sequence_first,
                                     int64_t first, int64_t last) {
  if (group.blocks.empty()) return {};
  const EdgeBlock* begin = group.blocks.data() + group.first_block[static_cast<size_t>(b)];
  return {begin + (first - sequence_first) / kEdgeRows,
          begin + (last - sequence_first + kEdgeRows - 1) / kEdgeRows};
}

int64_t most_scores(std::span<const EdgeBlock> blocks) {
  int64_t most = 0;
  for (const EdgeBlock& block : blocks) most = std::max(most, block.scores());
  return most;
}

template <class T>
void forward_rows(const HeadView<T>& head, const AttentionGraph& graph, int g, int64_t longest,
                  const RowChunk& chunk) {
  RowScratch<T>& scratch = rows_scratch<T>(longest);
  with_head_dim(head.dim, [&]<int D>() {
    for (int64_t i = chunk.first; i < chunk.last; ++i) {
      const int64_t count = graph.row(g, chunk.sequence, i, scratch.columns.data());
      forward_row<D>(head, i, count, scratch);
    }
  });
}

/// Tiles, edges or both for a chunk of rows; false as tiles_forward().
template <class T>
bool forward_chunk(const HeadView<T>& head, const GroupSchedule& group, const RowChunk& chunk,
                   int64_t sequence_first) {
  const int64_t rows = chunk.last - chunk.first, width = padded<T>(head.dim);
  const auto blocks = blocks_of(group, chunk.sequence, sequence_first, chunk.first, chunk.last);
  const int64_t scores = most_scores(blocks);
  const Span keys = group.uses_tiles() ? group.intervals.keys_of(chunk.first, chunk.last) : Span{};
  Scratch& scratch = Scratch::of_thread();
  scratch.reset(2 * Scratch::bytes_for<T>(rows * width) + 2 * Scratch::bytes_for<T>(rows) +
                Scratch::bytes_for<T>(scores) + Scratch::bytes_for<int32_t>(scores) +
                Scratch::bytes_for<T>(width) +
                tiles_forward_bytes<T>(keys.end - keys.begin, head.dim));
  T* q = scratch.take<T>(rows * width);
  RowState<T> state{scratch.take<T>(rows), scratch.take<T>(rows), scratch.take<T>(rows * width),
                    width};
  state.clear(rows);
  pack_rows(head.q + chunk.first * head.stride, head.stride, rows, head.dim, head.scale, q);
  T* s = scratch.take<T>(scores);
  int32_t* columns = scratch.take<int32_t>(scores);
  T* buffer = scratch.take<T>(width);
  if (group.uses_tiles() &&
      !tiles_forward(head, group.intervals, chunk.first, chunk.last, q, state, scratch)) {
    return false;
  }
  with_vectors<T>(head.dim, [&]<int V>() {
    for (const EdgeBlock& block : blocks) {
      edges_forward<V>(head, block, chunk.first, q, state, s, columns, buffer);
    }
  });
  for (int64_t r = 0; r < rows; ++r) state.finish(head, r, chunk.first + r);
  return true;
}

/// Rows [first, last) are a sequence.
template <class T>
void backward_rows(const HeadView<T>& head, const AttentionGraph& graph, int g, int64_t longest,
                   const RowChunk& rows, T* dbias) {
  for (T* target : {head.dq, head.dk, head.dv}) {
    for (int64_t i = rows.first; i < rows.last; ++i) {
      std::fill(target + i * head.stride, target + i * head.stride + head.dim, T(0));
    }
  }
  RowScratch<T>& scratch = rows_scratch<T>(longest);
  with_head_dim(head.dim, [&]<int D>() {
    for (int64_t i = rows.first; i < rows.last; ++i) {
      const int64_t count = graph.row(g, rows.sequence, i, scratch.columns.data());
      backward_row<D>(head, i, count, scratch, dbias);
    }
  });
}

/// Tiles, edges or both for a sequence; false as tiles_forward(), then dbias is as it was.
template <class T>
bool backward_sequence(const HeadView<T>& head, const GroupSchedule& group, const RowChunk& rows,
                       T* dbias) {
  const int64_t count = rows.last - rows.first, width = padded<T>(head.dim);
  const auto blocks = blocks_of(group, rows.sequence, rows.first, rows.first, rows.last);
  const int64_t scores = most_scores(blocks);
  // Tiles of keys are computed in whole vectors.
  const int64_t keys = padded<T>(count) + kBackwardKeys;
  Scratch& scratch = Scratch::of_thread();
  scratch.reset(3 * Scratch::bytes_for<T>(count * width) + 2 * Scratch::bytes_for<T>(keys * width) +
                2 * Scratch::bytes_for<T>(count) + 2 * Scratch::bytes_for<T>(scores) +
                Scratch::bytes_for<int32_t>(scores) + Scratch::bytes_for<T>(2 * width) +
                tiles_backward_bytes<T>(head.dim));
  T* q = scratch.take<T>(count * width);
  T* grad = scratch.take<T>(count * width);
  T* dq = scratch.take<T>(count * width);
  T* dk = scratch.take<T>(keys * width);
  T* dv = scratch.take<T>(keys * width);
  T* lse = scratch.take<T>(count);
  T* delta = scratch.take<T>(count);
  pack_rows(head.q + rows.first * head.stride, head.stride, count, head.dim, head.scale, q);
  pack_rows(head.grad + rows.first * head.width, head.width, count, head.dim, T(1), grad);
  std::fill(dq, dq + count * width, T(0));
  std::fill(dk, dk + keys * width, T(0));
  std::fill(dv, dv + keys * width, T(0));
  for (int64_t r = 0; r < count; ++r) {
    const int64_t i = rows.first + r;
    const T value = head.lse[i * head.heads];
    const bool empty = value == kMinusInfinity<T>;
    lse[r] = empty ? -kMinusInfinity<T> : value;
    delta[r] = empty ? T(0) : dot<0>(head.grad + i * head.width, head.o + i * head.width, head.dim);
  }
  const RowGradients<T> gradients{q, grad, lse, delta, dq, dk, dv, dbias, rows.first, width};
  T* s = scratch.take<T>(scores);
  T* dp = scratch.take<T>(scores);
  int32_t* columns = scratch.take<int32_t>(scores);
  T* buffer = scratch.take<T>(2 * width);
  if (group.uses_tiles() &&
      !tiles_backward(head, group.intervals, rows.first, rows.last, gradients, scratch)) {
    return false;
  }
  with_vectors<T>(head.dim, [&]<int V>() {
    for (const EdgeBlock& block : blocks) {
      edges_backward<V>(head, block, gradients, s, dp, columns, buffer);
    }
  });
  for (int64_t r = 0; r < count; ++r) {
    const int64_t to = (rows.first + r) * head.stride;
    for (int64_t d = 0; d < head.dim; ++d) head.dq[to + d] = dq[r * width + d] * head.scale;
    std::copy(dk + r * width, dk + r * width + head.dim, head.dk + to);
    std::copy(dv + r * width, dv + r * width + head.dim, head.dv + to);
  }
  return true;
}

}  // namespace

void attention_forward(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& bias,
                       const AttentionArguments& arguments, Tensor& o, Tensor& lse) {
  const AttentionGraph& graph = *arguments.graph;
  const Schedule& schedule = *arguments.schedule;
  const int64_t heads = graph.heads();
  const int64_t* offsets = graph.offsets().data<int64_t>();
  dispatch_float("sparse_attention", q.dtype(), [&]<class T>() {
    parallel_for(static_cast<int64_t>(schedule.chunks.size()) * heads, 1, [&](int64_t task) {
      const RowChunk& chunk = schedule.chunks[static_cast<size_t>(task / heads)];
      const int h = static_cast<int>(task % heads), g = graph.group_of_head(h);
      const GroupSchedule& group = schedule.groups[static_cast<size_t>(g)];
      HeadView<T> head = view_of<T>(q, k, v, bias, arguments, h);
      head.out = o.data<T>() + h * head.dim;
      head.lse = lse.data<T>() + h;
      if (group.kernel == AttentionKernel::rows ||
          !forward_chunk(head, group, chunk, offsets[chunk.sequence])) {
        forward_rows(head, graph, g, schedule.longest, chunk);
      }
    });
  });
}

void attention_backward(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& bias,
                        const Tensor& o, const Tensor& lse, const Tensor& grad,
                        const AttentionArguments& arguments, Tensor& dq, Tensor& dk, Tensor& dv,
                        Tensor& dbias) {
  const AttentionGraph& graph = *arguments.graph;
  const Schedule& schedule = *arguments.schedule;
  const int64_t heads = graph.heads();
  const int64_t sequences = graph.sequences(), span = 2 * arguments.bias_reach + 1;
  const int64_t* offsets = graph.offsets().data<int64_t>();
  dispatch_float("sparse_attention", q.dtype(), [&]<class T>() {
    // A task owns one head of one sequence: nothing is shared, sums run in a fixed order.
    std::vector<T> partial(bias.defined() ? static_cast<size_t>(sequences * heads * span) : 0);
    parallel_for(sequences * heads, 1, [&](int64_t task) {
      const int64_t b = task / heads;
      const int h = static_cast<int>(task % heads), g = graph.group_of_head(h);
      const GroupSchedule& group = schedule.groups[static_cast<size_t>(g)];
      HeadView<T> head = view_of<T>(q, k, v, bias, arguments, h);
      head.o = o.data<T>() + h * head.dim;
      head.grad = grad.data<T>() + h * head.dim;
      head.lse = const_cast<T*>(lse.data<T>()) + h;
      head.dq = dq.data<T>() + arguments.q_at + h * head.dim;
      head.dk = dk.data<T>() + arguments.k_at + h * head.dim;
      head.dv = dv.data<T>() + arguments.v_at + h * head.dim;
      T* bias_sums =
          partial.empty() ? nullptr : partial.data() + task * span + arguments.bias_reach;
      const RowChunk rows{b, offsets[b], offsets[b + 1]};
      if (group.kernel == AttentionKernel::rows ||
          !backward_sequence(head, group, rows, bias_sums)) {
        backward_rows(head, graph, g, schedule.longest, rows, bias_sums);
      }
    });
    if (!bias.defined()) return;
    T* sums = dbias.data<T>();
    std::fill(sums, sums + heads * span, T(0));
    for (int64_t b = 0; b < sequences; ++b) {
      for (int64_t e = 0; e < heads * span; ++e) {
        sums[e] += partial[static_cast<size_t>(b * heads * span + e)];
      }
    }
  });
}

}  // namespace filigree::kernels::cpu
