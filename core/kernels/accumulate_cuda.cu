#include "core/kernels/accumulate.h"
#include "core/kernels/elementwise.h"

namespace filigree::kernels::cuda {

void accumulate(const Tensor& x, Tensor& y) { add(y, x, y); }

}  // namespace filigree::kernels::cuda
