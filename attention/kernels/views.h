// What the forward and the backward pass of a head begin with. Private to kernels.
#pragma once

#include <algorithm>
#include <span>

#include "attention/kernels/attention_rows.h"
#include "attention/kernels/edge_blocks.h"
#include "core/random.h"

namespace filigree::kernels {

/// The pointers of head h of sequence b. Those that a pass does not have stay null.
template <class T>
HeadView<T> view_of(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& bias,
                    const GateTables<T>& gates, const AttentionArguments& arguments, int h,
                    int64_t b) {
  const int64_t* bounds = arguments.graph->offsets().data<int64_t>() + b;
  const int64_t first = bounds[0], farthest = std::max<int64_t>(0, bounds[1] - first - 1);
  const int64_t column = first * arguments.stride + h * arguments.head_dim;
  HeadView<T> head{};
  head.q = q.data<T>() + arguments.q_at + column;
  head.k = k.data<T>() + arguments.k_at + column;
  head.v = v.data<T>() + arguments.v_at + column;
  head.heads = arguments.graph->heads();
  head.dim = arguments.head_dim;
  head.stride = arguments.stride;
  head.width = head.heads * head.dim;
  head.scale = static_cast<T>(arguments.scale);
  // Sums by distance end where the sequence does; columns that only fill a vector lie beyond.
  head.reach = std::min(arguments.bias_reach, farthest);
  if (bias.defined()) {
    head.bias = bias.data<T>() + h * (2 * arguments.bias_reach + 1) + arguments.bias_reach;
  }
  if (arguments.dropout > 0) {
    head.keep = KeepBits(arguments.dropout,
                         mix_key({arguments.dropout_key, static_cast<uint64_t>(h)}), first);
  }
  const auto always = arguments.always ? arguments.always->of(b) : std::span<const int32_t>();
  head.gate = gates.view(h, always);
  head.gate.reach = std::min(head.gate.reach, farthest);
  if (const IrregularGate& irregular = arguments.irregular; irregular.reach >= 0) {
    head.gate.own = irregular.own.data<int32_t>() + h * irregular.own.size(1) + first;
    head.gate.reach = std::min(irregular.reach, farthest);
    head.gate.always = always;
  }
  return head;
}

template <class T>
RowScratch<T>& rows_scratch(int64_t length) {
  thread_local RowScratch<T> scratch;
  scratch.reserve(length);
  return scratch;
}

inline int64_t most_scores(std::span<const EdgeBlock> blocks) {
  int64_t most = 0;
  for (const EdgeBlock& block : blocks) most = std::max(most, block.scores());
  return most;
}

}  // namespace filigree::kernels
