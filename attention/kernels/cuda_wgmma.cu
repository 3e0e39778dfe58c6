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

bool wgmma_takes(int64_t dim, Device device) {
  if (!kBuiltForHopper || !is_wanted()) return false;
  const cudaDeviceProp& found = filigree::cuda::context_of(device).properties();
  if (found.major != 9 || found.minor != 0) return false;
  return dim >= kNarrowestWgmma && dim <= kWidestTensor && dim % 8 == 0;
}

bool wgmma_takes(const TilePass<Half>& pass, const Tensor& where) {
  const auto aligned = [](const void* at) { return reinterpret_cast<uintptr_t>(at) % 16 == 0; };
  return wgmma_takes(pass.dim, where.device()) && pass.stride % 8 == 0 && aligned(pass.q) &&
         aligned(pass.k) && aligned(pass.v) && aligned(pass.grad);
}

template struct TensorPasses<WgmmaCores>;

}  // namespace filigree::kernels::cuda
