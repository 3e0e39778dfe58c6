#include "autograd/ops/segment_pool.h"

#include <algorithm>

#include "autograd/function.h"

namespace filigree {

namespace {

class SegmentPool final : public Function {
 public:
  SegmentPool(Tensor offsets, Pool pool) : offsets_(std::move(offsets)), pool_(pool) {}
  std::string_view name() const override { return "segment_pool"; }
  Tensors forward(const Tensors& in) override {
    const Tensor& x = in[0];
    expect_rank("segment_pool", "x", x, 2);
    expect_rank("segment_pool", "offsets", offsets_, 1);
    if (offsets_.device().is_cpu()) {
      const auto offsets = std::as_const(offsets_).span<int64_t>();
      if (offsets.empty() || offsets.front() != 0 || offsets.back() != x.size(0) ||
          !std::is_sorted(offsets.begin(), offsets.end())) {
        throw DataError("segment_pool", "offsets do not ascend from 0 to the number of tokens");
      }
    }
    offsets_ = offsets_.to(x.device());
    shape_ = x.shape();
    Tensor y({offsets_.numel() - 1, x.size(1)}, x.dtype(), x.device());  // (B, E)
    kernels::segment_pool_forward(x, offsets_, pool_, y);
    return {y};
  }
  Tensors backward(const Tensors& grad) override {
    Tensor dx(shape_, grad[0].dtype(), grad[0].device());
    kernels::segment_pool_backward(grad[0], offsets_, pool_, dx);
    return {dx};
  }

 private:
  Tensor offsets_;
  Pool pool_;
  Shape shape_;
};

}  // namespace

Variable segment_pool(const Variable& x, const Tensor& offsets, Pool pool) {
  return Function::apply<SegmentPool>({x}, offsets, pool);
}

}  // namespace filigree
