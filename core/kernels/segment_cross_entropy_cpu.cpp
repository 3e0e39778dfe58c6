#include <algorithm>
#include <cmath>

#include "core/kernels/loops.h"
#include "core/kernels/segment_cross_entropy.h"
#include "core/kernels/vector_math.h"

namespace filigree::kernels::cpu {

void segment_cross_entropy_forward(const Tensor& x, const Tensor& offsets, const Tensor& targets,
                                   Tensor& losses, Tensor& probabilities) {
  dispatch_float("segment_cross_entropy", x.dtype(), [&]<class T>() {
    const int64_t width = x.size(1);
    const T* logits = x.data<T>();
    const int64_t* offset = offsets.data<int64_t>();
    const int32_t* target = targets.data<int32_t>();
    T *loss = losses.data<T>(), *p = probabilities.data<T>();
    std::fill(p, p + probabilities.numel(), T(0));
    parallel_for(losses.size(0), 1, [&](int64_t b) {
      const int64_t length = offset[b + 1] - offset[b];
      for (int64_t c = 0; c < width; ++c) {
        T& result = loss[b * width + c];
        result = T(0);
        if (length == 0) continue;
        const T* in = logits + offset[b] * width + c;
        T* out = p + offset[b] * width + c;
        T top = in[0];
        for (int64_t i = 1; i < length; ++i) top = std::max(top, in[i * width]);
        for (int64_t i = 0; i < length; ++i) out[i * width] = exp_of(in[i * width] - top);
        const T sum = sum_of<T>(length, [&](int64_t i) { return out[i * width]; });
        for (int64_t i = 0; i < length; ++i) out[i * width] /= sum;
        const int32_t wanted = target[b * width + c];
        if (wanted >= 0) result = top + std::log(sum) - in[wanted * width];
      }
    });
  });
}

void segment_cross_entropy_backward(const Tensor& probabilities, const Tensor& offsets,
                                    const Tensor& targets, const Tensor& dloss, Tensor& dx) {
  dispatch_float("segment_cross_entropy", probabilities.dtype(), [&]<class T>() {
    const int64_t width = dx.size(1);
    const T* p = probabilities.data<T>();
    const int64_t* offset = offsets.data<int64_t>();
    const int32_t* target = targets.data<int32_t>();
    T* to = dx.data<T>();
    const T f = *dloss.data<T>();
    std::fill(to, to + dx.numel(), T(0));
    parallel_for(targets.size(0), 1, [&](int64_t b) {
      const int64_t first = offset[b], length = offset[b + 1] - first;
      for (int64_t c = 0; c < width; ++c) {
        const int32_t wanted = target[b * width + c];
        if (wanted < 0) continue;
        for (int64_t i = 0; i < length; ++i) {
          const int64_t at = (first + i) * width + c;
          to[at] = f * (p[at] - (i == wanted ? T(1) : T(0)));
        }
      }
    });
  });
}

}  // namespace filigree::kernels::cpu
