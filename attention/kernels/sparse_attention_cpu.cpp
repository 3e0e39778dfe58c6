#include "attention/kernels/attention_rows.h"
#include "attention/kernels/attention_tiles.h"
#include "attention/kernels/sparse_attention.h"
#include "core/parallel.h"

namespace filigree::kernels::cpu {

namespace {

constexpr int64_t kWideInterval = 24;  // measured: docs/attention, "Which kernel"

/// True where a group's intervals are computed by tiles.
bool uses_tiles(const AttentionGraph& graph, int g, AttentionKernel kernel) {
  const HeadGraph& group = graph.group(g);
  if (kernel == AttentionKernel::rows) return false;
  if (kernel == AttentionKernel::tiles && !group.intervals_only()) {
    throw ConfigError("sparse_attention", "the tiles kernel takes graphs of intervals alone",
                      "use kernel=automatic or kernel=rows");
  }
  if (kernel == AttentionKernel::tiles) return true;
  if (!group.intervals_only()) return false;
  int64_t edges = 0;
  const int32_t *lo = group.lo.data<int32_t>(), *hi = group.hi.data<int32_t>();
  for (int64_t i = 0; i < graph.tokens(); ++i) edges += std::max(0, hi[i] - lo[i]);
  return edges >= kWideInterval * graph.tokens();
}

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
  head.dropout = arguments.dropout;
  head.key = mix_key({arguments.dropout_key, static_cast<uint64_t>(h)});
  return head;
}

/// Consecutive blocks of at most kTileRows rows, none across a sequence border.
struct Block {
  int64_t sequence, first, last;
};
std::vector<Block> row_blocks(const AttentionGraph& graph) {
  std::vector<Block> blocks;
  const int64_t* offsets = graph.offsets().data<int64_t>();
  for (int64_t b = 0; b < graph.sequences(); ++b) {
    for (int64_t first = offsets[b]; first < offsets[b + 1]; first += kTileRows) {
      blocks.push_back({b, first, std::min(offsets[b + 1], first + kTileRows)});
    }
  }
  return blocks;
}

template <class T>
RowScratch<T>& scratch_for(int64_t length) {
  thread_local RowScratch<T> scratch;
  scratch.reserve(length);
  return scratch;
}

int64_t longest_sequence(const AttentionGraph& graph) {
  const int64_t* offsets = graph.offsets().data<int64_t>();
  int64_t longest = 0;
  for (int64_t b = 0; b < graph.sequences(); ++b) {
    longest = std::max(longest, offsets[b + 1] - offsets[b]);
  }
  return longest;
}

std::vector<bool> tiled_groups(const AttentionGraph& graph, AttentionKernel kernel) {
  std::vector<bool> tiled;
  for (int g = 0; g < graph.groups(); ++g) tiled.push_back(uses_tiles(graph, g, kernel));
  return tiled;
}

}  // namespace

void attention_forward(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& bias,
                       const AttentionArguments& arguments, Tensor& o, Tensor& lse) {
  const AttentionGraph& graph = *arguments.graph;
  const std::vector<Block> blocks = row_blocks(graph);
  const std::vector<bool> tiled = tiled_groups(graph, arguments.kernel);
  const int64_t longest = longest_sequence(graph), heads = graph.heads();
  dispatch_float("sparse_attention", q.dtype(), [&]<class T>() {
    parallel_for(static_cast<int64_t>(blocks.size()) * heads, 1, [&](int64_t task) {
      const Block& block = blocks[static_cast<size_t>(task / heads)];
      const int h = static_cast<int>(task % heads), g = graph.group_of_head(h);
      HeadView<T> head = view_of<T>(q, k, v, bias, arguments, h);
      head.out = o.data<T>() + h * head.dim;
      head.lse = lse.data<T>() + h;
      if (tiled[static_cast<size_t>(g)]) {
        const Tile tile = make_tile(graph.group(g), block.first, block.last);
        if (!tile.masked || tile_is_finite(head, tile)) {
          forward_tile(head, graph.group(g), tile);
          return;
        }
      }
      RowScratch<T>& scratch = scratch_for<T>(longest);
      with_head_dim(head.dim, [&]<int D>() {
        for (int64_t i = block.first; i < block.last; ++i) {
          const int64_t count = graph.row(g, block.sequence, i, scratch.columns.data());
          forward_row<D>(head, i, count, scratch);
        }
      });
    });
  });
}

void attention_backward(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& bias,
                        const Tensor& o, const Tensor& lse, const Tensor& grad,
                        const AttentionArguments& arguments, Tensor& dq, Tensor& dk, Tensor& dv,
                        Tensor& dbias) {
  const AttentionGraph& graph = *arguments.graph;
  const std::vector<Block> blocks = row_blocks(graph);
  const std::vector<bool> tiled = tiled_groups(graph, arguments.kernel);
  const int64_t longest = longest_sequence(graph), heads = graph.heads();
  const int64_t sequences = graph.sequences(), span = 2 * arguments.bias_reach + 1;
  std::vector<size_t> first_block(static_cast<size_t>(sequences) + 1, blocks.size());
  for (size_t b = blocks.size(); b-- > 0;) first_block[static_cast<size_t>(blocks[b].sequence)] = b;
  for (size_t b = static_cast<size_t>(sequences); b-- > 0;) {
    first_block[b] = std::min(first_block[b], first_block[b + 1]);
  }
  dispatch_float("sparse_attention", q.dtype(), [&]<class T>() {
    // A task owns one head of one sequence: nothing is shared, sums run in order of the rows.
    std::vector<T> partial(bias.defined() ? static_cast<size_t>(sequences * heads * span) : 0);
    const int64_t* offsets = graph.offsets().data<int64_t>();
    parallel_for(sequences * heads, 1, [&](int64_t task) {
      const auto b = static_cast<size_t>(task / heads);
      const int h = static_cast<int>(task % heads), g = graph.group_of_head(h);
      HeadView<T> head = view_of<T>(q, k, v, bias, arguments, h);
      head.o = o.data<T>() + h * head.dim;
      head.grad = grad.data<T>() + h * head.dim;
      head.lse = const_cast<T*>(lse.data<T>()) + h;
      head.dq = dq.data<T>() + arguments.q_at + h * head.dim;
      head.dk = dk.data<T>() + arguments.k_at + h * head.dim;
      head.dv = dv.data<T>() + arguments.v_at + h * head.dim;
      for (T* target : {head.dq, head.dk, head.dv}) {
        for (int64_t i = offsets[b]; i < offsets[b + 1]; ++i) {
          std::fill(target + i * head.stride, target + i * head.stride + head.dim, T(0));
        }
      }
      T* bias_sums =
          partial.empty() ? nullptr : partial.data() + task * span + arguments.bias_reach;
      RowScratch<T>& scratch = scratch_for<T>(longest);
      for (size_t at = first_block[b]; at < first_block[b + 1]; ++at) {
        const Block& block = blocks[at];
        if (tiled[static_cast<size_t>(g)]) {
          const Tile tile = make_tile(graph.group(g), block.first, block.last);
          if (!tile.masked || tile_is_finite(head, tile)) {
            backward_tile(head, graph.group(g), tile, bias_sums);
            continue;
          }
        }
        with_head_dim(head.dim, [&]<int D>() {
          for (int64_t i = block.first; i < block.last; ++i) {
            const int64_t count = graph.row(g, block.sequence, i, scratch.columns.data());
            backward_row<D>(head, i, count, scratch, bias_sums);
          }
        });
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
