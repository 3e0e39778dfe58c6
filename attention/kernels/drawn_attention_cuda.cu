#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "attention/degrees/draws.h"
#include "attention/irregular_attention.h"
#include "attention/kernels/cuda_draws.cuh"
#include "attention/kernels/cuda_mma_cores.cuh"
#include "attention/kernels/cuda_reach_slopes.cuh"
#include "attention/kernels/cuda_tensor_passes.cuh"
#include "attention/kernels/cuda_tile_passes.cuh"
#include "attention/kernels/cuda_wgmma.cuh"
#include "attention/kernels/device_tables.h"
#include "attention/kernels/drawn_attention.h"
#include "attention/kernels/drawn_graph.h"
#include "core/error.h"

namespace filigree::kernels::cuda {

namespace {

constexpr std::string_view kOp = "irregular_attention";
constexpr int64_t kWidestDrawn = 256;
constexpr int kDrawWarps = 4;

/// own (H, T) and furthest (H, NB): what the tokens of a block of 64 draw, and the largest of it.
/// No reach is given as more than `tokens`.
__global__ void draw_reaches(DrawTables tables, const BlockPlace* places, int32_t tokens,
                             int32_t* own, int32_t* furthest) {
  __shared__ int32_t most[kDrawWarps];
  const auto block = blockIdx.x, head = blockIdx.y;
  const int warp = static_cast<int>(threadIdx.x) / filigree::cuda::kWarp;
  const bool leads = threadIdx.x % filigree::cuda::kWarp == 0;
  int32_t largest = 0;
  for (int row = warp; row < places[block].count; row += kDrawWarps) {
    const int64_t token = places[block].first + row;
    const int k = Race(tables, static_cast<int>(head), token).first();
    const int32_t reach = tables.reaches[k] < tokens ? tables.reaches[k] : tokens;
    largest = reach > largest ? reach : largest;
    if (leads) own[int64_t{head} * tokens + token] = reach;
  }
  if (leads) most[warp] = largest;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int w = 0; w < kDrawWarps; ++w) largest = most[w] > largest ? most[w] : largest;
  furthest[int64_t{head} * gridDim.x + block] = largest;
}

/// p (H, K) of logits: reach_probabilities(), row by row.
template <class S>
struct Probabilities {
  const S* logits;
  double* p;
  __device__ void operator()(filigree::cuda::WarpRow row) const {
    const S* from = logits + row.row * row.width;
    double* to = p + row.row * row.width;
    const auto value = [&](int64_t k) { return static_cast<double>(from[k]); };
    const double top = row.largest(-std::numeric_limits<double>::infinity(), value);
    const double sum = row.sum<double>([&](int64_t k) { return std::exp(value(k) - top); });
    row.each([&](int64_t k) { to[k] = std::exp(value(k) - top) / sum; });
  }
};

/// The tables of the draws on a device, and what holds them.
struct Draws {
  Tensor memory, p;
  DrawTables tables{};
};

/// By distance, the first reach that is at least as far; for all distances that there are.
std::vector<int32_t> first_reaches(const DrawnReaches& drawn) {
  const auto bounds = drawn.offsets.span<int64_t>();
  int64_t longest = 0;
  for (size_t b = 0; b + 1 < bounds.size(); ++b) {
    longest = std::max(longest, bounds[b + 1] - bounds[b]);
  }
  std::vector<int32_t> first;
  int32_t k = 0;
  for (int64_t d = 0; d < std::min(longest, drawn.reaches.largest() + 1); ++d) {
    while (drawn.reaches[k] < d) ++k;
    first.push_back(k);
  }
  return first;
}

Draws make_draws(const DrawnReaches& drawn, Device device) {
  std::vector<uint64_t> keys;
  for (const GraphKey& key : drawn.keys) keys.push_back(ReachDraws::key_of(key));
  const std::vector<int32_t> reaches(drawn.reaches.values().begin(), drawn.reaches.values().end());
  const std::vector<int32_t> first_reach = first_reaches(drawn);
  Draws made;
  DrawTables& tables = made.tables;
  tables.count = static_cast<int32_t>(reaches.size());
  tables.distances = static_cast<int32_t>(first_reach.size());
  tables.tau = drawn.tau;
  DeviceTables all;
  all.add(keys, tables.keys);
  all.add(reaches, tables.reaches);
  all.add(first_reach, tables.first_reach);
  made.memory = all.copy(device);
  made.p = Tensor(drawn.logits.shape(), DType::f64, device);
  dispatch_float(kOp, drawn.logits.dtype(), [&]<class S>() {
    filigree::cuda::for_rows(kOp, made.p, drawn.heads(), tables.count,
                             Probabilities<S>{drawn.logits.data<S>(), made.p.data<double>()});
  });
  tables.p = made.p.data<double>();
  return made;
}

std::shared_ptr<const DrawnGraph> tiles_of(const DrawnReaches& drawn, Device device) {
  if (drawn.shared && drawn.shared->tiles) return drawn.shared->tiles;
  auto made = std::make_shared<const DrawnGraph>(make_drawn_graph(
      drawn.offsets, drawn.heads(), drawn.reaches.largest(), drawn.always.get(), device));
  if (drawn.shared) drawn.shared->tiles = made;
  return made;
}

template <class S>
TilePass<S> make_pass(const Tensor& qkv, const Tensor& bias, const DrawnReaches& drawn,
                      const AttentionArguments& arguments, const DrawnState& state) {
  TilePass<S> pass{};
  pass.describe(qkv, qkv, qkv, static_cast<int>(drawn.heads()), arguments);
  pass.take(*state.tiles);
  pass.take_bias(bias, arguments.bias_reach);
  pass.gate_reach = -1;
  pass.always = state.tiles->always;
  pass.drawn = {state.own.data<int32_t>(), state.furthest.data<int32_t>(),
                state.tiles->always_columns, 0};
  return pass;
}

/// Launches a kernel of reach slopes that has `shared` bytes beside its sums, which go to global
/// memory where shared memory has no room for them.
template <class T, class Launch>
Tensor with_slope_memory(const Tensor& where, int64_t blocks, int64_t heads, int64_t count,
                         int64_t shared, Launch launch) {
  const Device device = where.device();
  Tensor parts({blocks, heads * count}, dtype_of<T>, device), apart;
  const int64_t sums = kTile * count * static_cast<int64_t>(sizeof(T));
  const auto most = filigree::cuda::context_of(device).properties().sharedMemPerBlockOptin;
  const bool fits = shared + sums <= static_cast<int64_t>(most);
  if (!fits) apart = Tensor({blocks * heads, kTile * count}, dtype_of<T>, device);
  launch(SlopeMemory<T>{fits ? nullptr : apart.data<T>(), parts.data<T>()},
         fits ? shared + sums : shared);
  return parts;
}

/// (blocks, H K): what blocks of queries give to the logits.
template <class S>
Tensor reach_slopes(const TilePass<S>& pass, const DrawTables& tables, const Tensor& where) {
  using T = filigree::cuda::Compute<S>;
  const auto launch = [&](int64_t shared, int threads, auto kernel) {
    return with_slope_memory<T>(
        where, pass.blocks, pass.heads, tables.count, shared,
        [&](SlopeMemory<T> memory, int64_t bytes) {
          filigree::cuda::launch(
              kOp, where,
              {.blocks = pass.blocks, .heads = pass.heads, .threads = threads, .shared = bytes},
              kernel, pass, tables, memory);
        });
  };
  if constexpr (std::is_same_v<S, Half>) {
    if (pass.dim <= kWidestTensor) {
      Tensor parts;
      with_cores(pass, where, [&]<class Cores>() {
        Cores::with_width(pass.dim, [&]<int W>() {
          parts = launch(tensor_slopes_shared_bytes(W), kWarpgroup, tensor_reach_slopes<Cores, W>);
        });
      });
      return parts;
    }
  }
  return launch(backward_shared_bytes<T>(pass.dim), kThreads, tile_reach_slopes<S>);
}

}  // namespace

void drawn_attention_forward(const Tensor& qkv, const Tensor& bias, const DrawnReaches& drawn,
                             const AttentionArguments& arguments, DrawnState& state, Tensor& o,
                             Tensor& lse) {
  if (arguments.kernel == AttentionKernel::edges) {
    throw ConfigError(kOp, "the kernel by edges of CUDA draws no reaches",
                      "take automatic or tiles");
  }
  if (arguments.head_dim > kWidestDrawn) {
    throw ShapeError(
        kOp, "heads of " + std::to_string(arguments.head_dim) + " elements have no CUDA kernel",
        "heads of up to " + std::to_string(kWidestDrawn) + " have one");
  }
  const Device device = qkv.device();
  const int64_t heads = drawn.heads(), tokens = qkv.size(0);
  state.tiles = tiles_of(drawn, device);
  const DrawnGraph& tiles = *state.tiles;
  state.own = Tensor({heads, tokens}, DType::i32, device);
  state.furthest = Tensor({heads, tiles.blocks}, DType::i32, device);
  const Draws draws = make_draws(drawn, device);
  filigree::cuda::launch(
      kOp, qkv,
      {.blocks = tiles.blocks, .heads = heads, .threads = kDrawWarps * filigree::cuda::kWarp},
      draw_reaches, draws.tables, tiles.places, static_cast<int32_t>(tokens),
      state.own.data<int32_t>(), state.furthest.data<int32_t>());
  filigree::cuda::dispatch_stored(kOp, qkv.dtype(), [&]<class S>() {
    tiles_forward_pass(make_pass<S>(qkv, bias, drawn, arguments, state), qkv, o.data<S>(),
                       lse.data<filigree::cuda::Compute<S>>());
  });
}

void drawn_attention_backward(const Tensor& qkv, const Tensor& bias, const Tensor& o,
                              const Tensor& lse, const Tensor& grad, const DrawnReaches& drawn,
                              const AttentionArguments& arguments, const DrawnState& state,
                              Tensor& dqkv, Tensor& dbias, Tensor& dlogits) {
  filigree::cuda::dispatch_stored(kOp, qkv.dtype(), [&]<class S>() {
    using T = filigree::cuda::Compute<S>;
    const Tensor delta = make_delta<S>(grad, o, lse, arguments.head_dim);
    TilePass<S> pass = make_pass<S>(qkv, bias, drawn, arguments, state);
    pass.grad = grad.data<S>();
    pass.lse = lse.data<T>();
    pass.delta = delta.data<T>();
    Tensor bias_parts = make_parts(pass, bias, pass.bias_reach);
    S* const to = dqkv.data<S>();
    tiles_backward_pass(pass, qkv, to + arguments.q_at, to + arguments.k_at, to + arguments.v_at,
                        DistanceParts<T>{bias.defined() ? bias_parts.data<T>() : nullptr, nullptr});
    if (bias.defined()) add_up_parts<T>(kOp, bias_parts, dbias.data<S>());

    pass.drawn.margin = static_cast<int32_t>(std::min(drawn.margin, pass.tokens));
    pass.drawn.always_columns = nullptr;  // nothing to learn there
    const Draws draws = make_draws(drawn, qkv.device());
    const Tensor parts = reach_slopes(pass, draws.tables, qkv);
    dispatch_float(kOp, dlogits.dtype(),
                   [&]<class Out>() { add_up_parts<T>(kOp, parts, dlogits.data<Out>()); });
  });
}

}  // namespace filigree::kernels::cuda
