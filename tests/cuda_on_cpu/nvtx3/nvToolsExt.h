// The part of NVTX that Filigree uses: see cuda_runtime.h in the folder above. Nobody looks, but
// ranges must end as often as they begin: the depth is what the calls return.
#pragma once

namespace cuda_on_cpu {
inline thread_local int range_depth = 0;
}

inline int nvtxRangePushA(const char*) { return cuda_on_cpu::range_depth++; }
inline int nvtxRangePop() { return --cuda_on_cpu::range_depth; }
