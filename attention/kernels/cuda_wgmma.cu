#include <cstdlib>

#include "attention/kernels/cuda_wgmma_backward.cuh"
#include "attention/kernels/cuda_wgmma_forward.cuh"
#include "attention/kernels/cuda_wgmma_passes.cuh"
#include "core/cuda/context.cuh"

namespace filigree::kernels::cuda {

namespace {

constexpr std::string_view kOp = "sparse_attention";
constexpr int64_t kNarrowestWgmma = 40, kWidestWgmma = 128;
#ifdef FILIGREE_SM_90A  // the build has code for it
constexpr bool kBuiltForHopper = true;
#else
constexpr bool kBuiltForHopper = false;
#endif

bool is_wanted() {
  static const bool wanted = [] {
    const char* set = std::getenv("FILIGREE_WGMMA");
    return !set || std::string_view(set) != "0";
  }();
  return wanted;
}

template <int W, Scores kScores, class Body>
void with_dropout(const TilePass<Half>& pass, Body body) {
  pass.least != 0 ? body.template operator()<W, true, kScores>()
                  : body.template operator()<W, false, kScores>();
}
template <int W, class Body>
void with_scores(const TilePass<Half>& pass, Body body) {
  if (pass.bias || pass.log_gate) return with_dropout<W, Scores::added>(pass, body);
  if (pass.drawn.own) return with_dropout<W, Scores::drawn>(pass, body);
  with_dropout<W, Scores::plain>(pass, body);
}
/// body.template operator()<W, Dropout, Scores>() with W the elements of a head, filled up.
template <class Body>
void with_kind(const TilePass<Half>& pass, Body body) {
  pass.dim <= 64 ? with_scores<64>(pass, body) : with_scores<128>(pass, body);
}

filigree::cuda::Grid grid_of(const TilePass<Half>& pass, int64_t shared) {
  return {.blocks = pass.blocks, .heads = pass.heads, .threads = kWarpgroup, .shared = shared};
}

}  // namespace

bool wgmma_takes(const TilePass<Half>& pass, const Tensor& where) {
  if (!kBuiltForHopper || !is_wanted()) return false;
  const cudaDeviceProp& device = filigree::cuda::context_of(where.device()).properties();
  if (device.major != 9 || device.minor != 0) return false;
  if (!(pass.scale > 0)) return false;
  const auto aligned = [](const void* at) { return reinterpret_cast<uintptr_t>(at) % 16 == 0; };
  return pass.dim >= kNarrowestWgmma && pass.dim <= kWidestWgmma && pass.dim % 8 == 0 &&
         pass.stride % 8 == 0 && aligned(pass.q) && aligned(pass.k) && aligned(pass.v) &&
         aligned(pass.grad);
}

void wgmma_forward_pass(const TilePass<Half>& pass, const Tensor& where, Half* o, float* lse) {
  with_kind(pass, [&]<int W, bool Dropout, Scores kScores>() {
    filigree::cuda::launch(kOp, where, grid_of(pass, wgmma_forward_shared_bytes(W)),
                           wgmma_forward<W, Dropout, kScores>, pass, o, lse);
  });
}

void wgmma_rows_pass(const TilePass<Half>& pass, const Tensor& where, Half* dq,
                     DistanceParts<float> parts) {
  with_kind(pass, [&]<int W, bool Dropout, Scores kScores>() {
    filigree::cuda::launch(kOp, where,
                           grid_of(pass, wgmma_rows_shared_bytes(W, kScores == Scores::added)),
                           wgmma_backward_rows<W, Dropout, kScores>, pass, dq, parts);
  });
}

void wgmma_columns_pass(const TilePass<Half>& pass, const Tensor& where, Half* dk, Half* dv) {
  with_kind(pass, [&]<int W, bool Dropout, Scores kScores>() {
    filigree::cuda::launch(kOp, where, grid_of(pass, wgmma_columns_shared_bytes(W)),
                           wgmma_backward_columns<W, Dropout, kScores>, pass, dk, dv);
  });
}

}  // namespace filigree::kernels::cuda
