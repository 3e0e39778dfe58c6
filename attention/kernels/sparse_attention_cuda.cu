#include "attention/kernels/cuda_edges_passes.cuh"
#include "attention/kernels/cuda_mma_backward.cuh"
#include "attention/kernels/cuda_mma_forward.cuh"
#include "attention/kernels/cuda_tile_backward.cuh"
#include "attention/kernels/cuda_tile_forward.cuh"
#include "attention/kernels/cuda_wgmma_passes.cuh"
#include "attention/kernels/schedule.h"
#include "attention/kernels/sparse_attention.h"
#include "core/cuda/map.cuh"
#include "core/cuda/rows.cuh"
#include "core/error.h"

namespace filigree::kernels::cuda {

namespace {

constexpr std::string_view kOp = "sparse_attention";

/// log g by distance; -inf where it is closed (no normal number, as on the CPU).
template <class S>
struct LogGate {
  using T = filigree::cuda::Compute<S>;
  const S* g;
  T* log;
  __device__ void operator()(int64_t i) const {
    const T open = load(g[i]);
    log[i] =
        open < std::numeric_limits<T>::min() ? -std::numeric_limits<T>::infinity() : std::log(open);
  }
};

/// delta (T, H) = <do, o> of every token and head: row t H + h of the loops.
template <class S>
struct Delta {
  using T = filigree::cuda::Compute<S>;
  const S *grad, *o;
  T* delta;
  __device__ void operator()(filigree::cuda::WarpRow row) const {
    const int64_t at = row.row * row.width;
    const T sum = row.sum<T>([&](int64_t d) { return load(grad[at + d]) * load(o[at + d]); });
    if (row.lane == 0) delta[row.row] = sum;
  }
};

/// dgate (H, R+1) from sums by distance (H, 2R+1): what an open distance has is g times its slope.
template <class S>
struct JoinSides {
  using T = filigree::cuda::Compute<S>;
  const T* sums;
  const S* g;
  S* dgate;
  int64_t reach;
  __device__ void operator()(int64_t i) const {
    const int64_t head = i / (reach + 1), d = i % (reach + 1);
    const T* middle = sums + head * (2 * reach + 1) + reach;
    const T sum = d == 0 ? T(0) : middle[d] + middle[-d];
    const T open = load(g[i]);
    dgate[i] = convert<S>(open < std::numeric_limits<T>::min() ? sum : sum / open);
  }
};

Tensor always_on(const AttentionArguments& arguments, Device device) {
  const AttentionGraph& graph = *arguments.graph;
  Tensor flags = Tensor::zeros({graph.tokens()}, DType::u8);
  const auto offsets = graph.offsets().span<int64_t>();
  for (int64_t b = 0; b < graph.sequences(); ++b) {
    for (const int32_t token : arguments.always->of(b)) {
      flags.data<uint8_t>()[offsets[static_cast<size_t>(b)] + token] = 1;
    }
  }
  return flags.to(device);
}

/// The tensors that a pass points at, and the pass.
template <class S>
struct Prepared {
  std::shared_ptr<const DeviceGraph> graph;
  Tensor log_gate, always, not_finite;
  TilePass<S> pass{};
};

template <class S>
Prepared<S> prepare(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& bias,
                    const Tensor& gate, const AttentionArguments& arguments) {
  using T = filigree::cuda::Compute<S>;
  Prepared<S> made;
  const AttentionGraph& graph = *arguments.graph;
  made.graph = graph.schedules().tiles.get(graph, q.device());
  TilePass<S>& pass = made.pass;
  pass.describe(q, k, v, arguments);
  pass.bias_reach = pass.gate_reach = -1;
  if (bias.defined()) {
    pass.bias = bias.data<S>();
    pass.bias_reach = arguments.bias_reach;
  }
  if (gate.defined()) {
    made.log_gate = Tensor(gate.shape(), dtype_of<T>, gate.device());
    filigree::cuda::for_each(kOp, gate, gate.numel(),
                             LogGate<S>{gate.data<S>(), made.log_gate.template data<T>()});
    pass.log_gate = made.log_gate.template data<T>();
    if (arguments.always && !arguments.always->tokens.empty()) {
      made.always = always_on(arguments, q.device());
      pass.always = made.always.template data<uint8_t>();
    }
    pass.gate_reach = gate.size(1) - 1;
  }
  const DeviceGraph& tiles = *made.graph;
  pass.lo = tiles.lo;
  pass.hi = tiles.hi;
  pass.block_first = tiles.block_first;
  pass.block_count = tiles.block_count;
  pass.group_of_head = tiles.group_of_head;
  pass.masks = tiles.masks;
  pass.blocks = tiles.blocks;
  return made;
}

/// Whether the pass goes edge by edge. Throws where that was asked for and there is no such kernel.
bool by_edges(const AttentionArguments& arguments, const Tensor& bias, const Tensor& gate) {
  if (arguments.kernel != AttentionKernel::edges) return false;
  if (!bias.defined() && !gate.defined()) return true;
  throw ConfigError(kOp, "the kernel by edges of CUDA takes no bias and no gate",
                    "take automatic or tiles");
}

/// Tensor cores take heads of up to so many elements.
constexpr int64_t kWidestMma = 128;

/// Whether tensor cores take the pass; then makes room for what they find (TilePass::not_finite).
template <class S>
bool tensor_cores_take(Prepared<S>& made, Device device) {
  if (!std::is_same_v<S, Half> || made.pass.dim > kWidestMma) return false;
  made.not_finite = Tensor::zeros({1}, DType::i32, device);
  made.pass.not_finite = made.not_finite.template data<int32_t>();
  return true;
}

/// body.template operator()<W>() with W the elements of a head, filled up.
template <class Body>
void with_width(int64_t dim, Body body) {
  if (dim <= 16) return body.template operator()<16>();
  if (dim <= 32) return body.template operator()<32>();
  if (dim <= 64) return body.template operator()<64>();
  return body.template operator()<kWidestMma>();
}

template <class S>
void walk_rows(const DeviceGraph& tiles, TilePass<S>& pass) {
  pass.bounds = tiles.row_bounds;
  pass.entries = tiles.row_entries;
}
template <class S>
void walk_columns(const DeviceGraph& tiles, TilePass<S>& pass) {
  pass.bounds = tiles.column_bounds;
  pass.entries = tiles.column_entries;
}

/// body.template operator()<C>() with 16 C >= dim columns a thread.
template <class Body>
void with_columns(int64_t dim, Body body) {
  if (dim <= 16) return body.template operator()<1>();
  if (dim <= 32) return body.template operator()<2>();
  if (dim <= 64) return body.template operator()<4>();
  if (dim <= 128) return body.template operator()<8>();
  if (dim <= 256) return body.template operator()<16>();
  throw ShapeError(kOp, "heads of " + std::to_string(dim) + " elements have no CUDA kernel",
                   "heads of up to 256 have one");
}

template <class S>
filigree::cuda::Grid grid_of(const TilePass<S>& pass, int64_t shared, int threads = kThreads) {
  return {.blocks = pass.blocks, .heads = pass.heads, .threads = threads, .shared = shared};
}

}  // namespace

void attention_forward(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& bias,
                       const Tensor& gate, const AttentionArguments& arguments, Tensor& o,
                       Tensor& lse) {
  if (by_edges(arguments, bias, gate)) return edges_forward_pass(q, k, v, arguments, o, lse);
  filigree::cuda::dispatch_stored(kOp, q.dtype(), [&]<class S>() {
    using T = filigree::cuda::Compute<S>;
    Prepared<S> made = prepare<S>(q, k, v, bias, gate, arguments);
    walk_rows(*made.graph, made.pass);
    if (tensor_cores_take(made, q.device())) {
      if constexpr (std::is_same_v<S, Half>) {
        if (wgmma_takes(made.pass, q)) {
          wgmma_forward_pass(made.pass, q, o.data<Half>(), lse.data<float>());
        } else {
          with_width(made.pass.dim, [&]<int W>() {
            filigree::cuda::launch(kOp, q,
                                   grid_of(made.pass, mma_forward_shared_bytes(W), kMmaThreads),
                                   mma_forward<W>, made.pass, o.data<Half>(), lse.data<float>());
          });
        }
      }
    }
    with_columns(arguments.head_dim, [&]<int C>() {
      filigree::cuda::launch(kOp, q, grid_of(made.pass, forward_shared_bytes<T>(made.pass.dim)),
                             tile_forward<S, C>, made.pass, o.data<S>(), lse.data<T>());
    });
  });
}

void attention_backward(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& bias,
                        const Tensor& gate, const Tensor& o, const Tensor& lse, const Tensor& grad,
                        const AttentionArguments& arguments, Tensor& dq, Tensor& dk, Tensor& dv,
                        Tensor& dbias, Tensor& dgate) {
  filigree::cuda::dispatch_stored(kOp, q.dtype(), [&]<class S>() {
    using T = filigree::cuda::Compute<S>;
    Tensor delta(lse.shape(), lse.dtype(), lse.device());
    filigree::cuda::for_rows(kOp, q, lse.numel(), arguments.head_dim,
                             Delta<S>{grad.data<S>(), o.data<S>(), delta.data<T>()});
    if (by_edges(arguments, bias, gate)) {
      return edges_backward_pass(q, k, v, lse, delta, grad, arguments, dq, dk, dv);
    }
    Prepared<S> made = prepare<S>(q, k, v, bias, gate, arguments);
    TilePass<S>& pass = made.pass;
    pass.grad = grad.data<S>();
    pass.lse = lse.data<T>();
    pass.delta = std::as_const(delta).data<T>();
    const auto parts_of = [&](const Tensor& wanted, int64_t reach) {
      if (!wanted.defined()) return Tensor();
      const Shape shape{pass.blocks, pass.heads * (2 * reach + 1)};
      return Tensor(shape, dtype_of<T>, q.device());
    };
    Tensor bias_parts = parts_of(bias, pass.bias_reach),
           gate_parts = parts_of(gate, pass.gate_reach);
    const DistanceParts<T> parts{bias.defined() ? bias_parts.data<T>() : nullptr,
                                 gate.defined() ? gate_parts.data<T>() : nullptr};
    if (tensor_cores_take(made, q.device())) {
      if constexpr (std::is_same_v<S, Half>) {
        Half* const dq_at = dq.data<Half>() + arguments.q_at;
        Half* const dk_at = dk.data<Half>() + arguments.k_at;
        Half* const dv_at = dv.data<Half>() + arguments.v_at;
        if (wgmma_takes(pass, q)) {
          walk_rows(*made.graph, pass);
          wgmma_rows_pass(pass, q, dq_at, parts);
          walk_columns(*made.graph, pass);
          wgmma_columns_pass(pass, q, dk_at, dv_at);
        } else {
          with_width(pass.dim, [&]<int W>() {
            const int64_t shared = mma_rows_shared_bytes(W, parts.bias || parts.gate);
            walk_rows(*made.graph, pass);
            filigree::cuda::launch(kOp, q, grid_of(pass, shared, kMmaThreads), mma_backward_rows<W>,
                                   pass, dq_at, parts);
            walk_columns(*made.graph, pass);
            filigree::cuda::launch(kOp, q, grid_of(pass, mma_columns_shared_bytes(W), kMmaThreads),
                                   mma_backward_columns<W>, pass, dk_at, dv_at);
          });
        }
      }
    }
    const filigree::cuda::Grid grid = grid_of(pass, backward_shared_bytes<T>(pass.dim));
    with_columns(arguments.head_dim, [&]<int C>() {
      walk_rows(*made.graph, pass);
      filigree::cuda::launch(kOp, q, grid, tile_backward_rows<S, C>, pass,
                             dq.data<S>() + arguments.q_at, parts);
      walk_columns(*made.graph, pass);
      filigree::cuda::launch(kOp, q, grid, tile_backward_columns<S, C>, pass,
                             dk.data<S>() + arguments.k_at, dv.data<S>() + arguments.v_at);
    });
    const auto add_up = [&](const Tensor& from, auto* to) {
      filigree::cuda::column_sums(kOp, q, from.size(0), from.size(1), from.data<T>(), to);
    };
    if (bias.defined()) add_up(bias_parts, dbias.data<S>());
    if (gate.defined()) {
      Tensor sums({gate_parts.size(1)}, dtype_of<T>, q.device());
      add_up(gate_parts, sums.data<T>());
      filigree::cuda::for_each(
          kOp, q, dgate.numel(),
          JoinSides<S>{sums.data<T>(), gate.data<S>(), dgate.data<S>(), pass.gate_reach});
    }
  });
}

}  // namespace filigree::kernels::cuda
