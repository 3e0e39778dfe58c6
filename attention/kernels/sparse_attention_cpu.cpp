#include "attention/kernels/edges.h"
#include "attention/kernels/schedule.h"
#include "attention/kernels/sparse_attention.h"
#include "attention/kernels/tiles.h"
#include "attention/kernels/views.h"
#include "core/parallel.h"

namespace filigree::kernels::cpu {

namespace {

template <class T>
void forward_rows(const HeadView<T>& head, const SequenceGraph& graph, int64_t longest,
                  const RowChunk& chunk) {
  RowScratch<T>& scratch = rows_scratch<T>(longest);
  with_head_dim(head.dim, [&]<int D>() {
    for (int64_t i = chunk.first; i < chunk.last; ++i) {
      const int64_t count = graph.row(i, scratch.columns.data());
      forward_row<D>(head, i, count, scratch);
    }
  });
}

/// Tiles, edges or both for a chunk of rows; false as tiles_forward().
template <class T>
bool forward_chunk(const HeadView<T>& head, const SequenceSchedule& schedule,
                   const RowChunk& chunk) {
  const int64_t rows = chunk.last - chunk.first, width = padded<T>(head.dim);
  const auto blocks = schedule.blocks_of(chunk.first, chunk.last);
  const int64_t scores = most_scores(blocks);
  const Span keys =
      schedule.uses_tiles() ? schedule.intervals.keys_of(chunk.first, chunk.last) : Span{};
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
  if (schedule.uses_tiles() &&
      !tiles_forward(head, schedule.intervals, chunk.first, chunk.last, q, state, scratch)) {
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

}  // namespace

void attention_forward(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& bias,
                       const Tensor& gate, const AttentionArguments& arguments, Tensor& o,
                       Tensor& lse) {
  const AttentionGraph& graph = *arguments.graph;
  const BatchSchedule& schedule = *arguments.schedule;
  const int64_t heads = graph.heads();
  const int64_t* offsets = graph.offsets().data<int64_t>();
  dispatch_float("sparse_attention", q.dtype(), [&]<class T>() {
    const GateTables<T> gates(gate, false);
    parallel_for(static_cast<int64_t>(schedule.chunks.size()) * heads, 1, [&](int64_t task) {
      const RowChunk& chunk = schedule.chunks[static_cast<size_t>(task / heads)];
      const int h = static_cast<int>(task % heads), g = graph.group_of_head(h);
      const SequenceSchedule& sequence = schedule.at(g, chunk.sequence);
      const int64_t first = offsets[chunk.sequence];
      HeadView<T> head = view_of(q, k, v, bias, gates, arguments, h, chunk.sequence);
      head.out = o.data<T>() + first * head.width + h * head.dim;
      head.lse = lse.data<T>() + first * heads + h;
      if (sequence.kernel == AttentionKernel::rows || !forward_chunk(head, sequence, chunk)) {
        forward_rows(head, graph.sequence(g, chunk.sequence), schedule.longest, chunk);
      }
    });
  });
}

void attention_units(const Tensor&, int64_t, std::string& units) { units = "CPU"; }

}  // namespace filigree::kernels::cpu
