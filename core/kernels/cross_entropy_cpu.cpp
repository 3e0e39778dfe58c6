#include <cmath>

#include "core/kernels/cross_entropy.h"
#include "core/kernels/loops.h"
#include "core/kernels/vector_math.h"

namespace filigree::kernels::cpu {

void cross_entropy_forward(const Tensor& x, const Tensor& labels, int32_t ignore, double smoothing,
                           Tensor& losses, Tensor& probabilities) {
  dispatch_float("cross_entropy", x.dtype(), [&]<class T>() {
    const int64_t classes = x.size(1);
    const T* logits = x.data<T>();
    const int32_t* label = labels.data<int32_t>();
    T *loss = losses.data<T>(), *p = probabilities.data<T>();
    const T s = static_cast<T>(smoothing);
    for_rows(x.size(0), classes, [&](int64_t row) {
      const T* in = logits + row * classes;
      T* out = p + row * classes;
      T top = in[0];
      for (int64_t c = 1; c < classes; ++c) top = in[c] > top ? in[c] : top;
      for (int64_t c = 0; c < classes; ++c) out[c] = exp_of(in[c] - top);
      const T sum = sum_of<T>(classes, [&](int64_t c) { return out[c]; });
      for (int64_t c = 0; c < classes; ++c) out[c] /= sum;
      const T log_sum = top + std::log(sum);
      if (label[row] == ignore) {
        loss[row] = T(0);
        return;
      }
      loss[row] = (T(1) - s) * (log_sum - in[label[row]]);
      if (s > T(0)) {
        const T mean = sum_of<T>(classes, [&](int64_t c) { return in[c]; }) / T(classes);
        loss[row] += s * (log_sum - mean);
      }
    });
  });
}

void cross_entropy_backward(const Tensor& probabilities, const Tensor& labels, int32_t ignore,
                            double smoothing, double factor, const Tensor& dloss, Tensor& dx) {
  dispatch_float("cross_entropy", probabilities.dtype(), [&]<class T>() {
    const int64_t classes = dx.size(1);
    const T* p = probabilities.data<T>();
    const int32_t* label = labels.data<int32_t>();
    T* to = dx.data<T>();
    const T s = static_cast<T>(smoothing), f = static_cast<T>(factor * dloss.item());
    for_rows(dx.size(0), classes, [&](int64_t row) {
      const bool ignored = label[row] == ignore;
      for (int64_t c = 0; c < classes; ++c) {
        const T q = (c == label[row] ? T(1) - s : T(0)) + s / T(classes);
        to[row * classes + c] = ignored ? T(0) : f * (p[row * classes + c] - q);
      }
    });
  });
}

}  // namespace filigree::kernels::cpu
