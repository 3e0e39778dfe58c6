// What the CPU attention kernels share: pointers of one head, and keep bits. Private to kernels.
#pragma once

#include <cmath>

#include "attention/kernels/sparse_attention.h"
#include "core/random.h"

namespace filigree::kernels {

/// One head of a packed batch. Row t of q stands at q + t * stride, of o at o + t * width.
template <class T>
struct HeadView {
  const T *q, *k, *v;
  const T* bias;      // bias + R + (j - i); null for none
  const T *o, *grad;  // backward only
  T *dq, *dk, *dv;    // backward only
  T* out;             // forward only
  T* lse;             // (T, H): lse[t * heads]
  int64_t stride, width, heads, dim;
  T scale;
  int64_t reach;
  double dropout;
  uint64_t key;
};

/// The factor of a_ij under dropout: 0 or 1 / (1 - p), a pure function of (key, i, j).
class KeepBits {
 public:
  KeepBits(double p, uint64_t key, int64_t i)
      : p_(static_cast<float>(p)), key_(key), row_(static_cast<uint64_t>(i)), kept_(1 / (1 - p)) {}

  double factor(int32_t j) {
    const auto block = static_cast<uint64_t>(j) / 4;
    if (block != block_) {
      bits_ = philox(key_, row_, block);
      block_ = block;
    }
    return to_uniform(bits_[static_cast<size_t>(j % 4)]) >= p_ ? kept_ : 0.0;
  }

 private:
  float p_;
  uint64_t key_, row_, block_ = UINT64_MAX;
  RandomBlock bits_{};
  double kept_;
};

template <class T>
T bias_of(const HeadView<T>& head, int64_t i, int64_t j) {
  const int64_t distance = j - i;
  return head.bias && distance >= -head.reach && distance <= head.reach ? head.bias[distance]
                                                                        : T(0);
}

}  // namespace filigree::kernels
