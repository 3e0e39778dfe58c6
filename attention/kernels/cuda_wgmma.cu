#include <cstdlib>

#include "attention/kernels/cuda_tensor_launch.cuh"
#include "attention/kernels/cuda_wgmma.cuh"

namespace filigree::kernels::cuda {

namespace {

constexpr int64_t kNarrowestWgmma = 40;
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

}  // namespace

bool wgmma_takes(const TilePass<Half>& pass, const Tensor& where) {
  if (!kBuiltForHopper || !is_wanted()) return false;
  const cudaDeviceProp& device = filigree::cuda::context_of(where.device()).properties();
  if (device.major != 9 || device.minor != 0) return false;
  const auto aligned = [](const void* at) { return reinterpret_cast<uintptr_t>(at) % 16 == 0; };
  return pass.dim >= kNarrowestWgmma && pass.dim <= kWidestTensor && pass.dim % 8 == 0 &&
         pass.stride % 8 == 0 && aligned(pass.q) && aligned(pass.k) && aligned(pass.v) &&
         aligned(pass.grad);
}

template struct TensorPasses<WgmmaCores>;

}  // namespace filigree::kernels::cuda
