#include "autograd/ops/segment_cross_entropy.h"

#include <algorithm>
#include <fmt/format.h>

#include "autograd/function.h"
#include "core/kernels/reduce.h"
#include "core/kernels/segment_cross_entropy.h"

namespace filigree {

namespace {

class SegmentCrossEntropy final : public Function {
 public:
  SegmentCrossEntropy(Tensor offsets, Tensor targets)
      : offsets_(std::move(offsets)), targets_(std::move(targets)) {}
  std::string_view name() const override { return "segment_cross_entropy"; }
  Tensors forward(const Tensors& in) override {
    const Tensor& x = in[0];
    expect_rank("segment_cross_entropy", "logits", x, 2);
    expect_rank("segment_cross_entropy", "offsets", offsets_, 1);
    if (offsets_.device().is_cpu()) check_offsets(x.size(0));
    expect_shape("segment_cross_entropy", "targets", {offsets_.numel() - 1, x.size(1)},
                 targets_.shape());
    if (offsets_.device().is_cpu() && targets_.device().is_cpu()) check_targets();
    offsets_ = offsets_.to(x.device());
    targets_ = targets_.to(x.device());
    Tensor losses(targets_.shape(), x.dtype(), x.device());  // (B, C)
    Tensor probabilities(x.shape(), x.dtype(), x.device());  // (T, C)
    kernels::segment_cross_entropy_forward(x, offsets_, targets_, losses, probabilities);
    save_for_backward({probabilities});
    Tensor loss({}, x.dtype(), x.device());
    kernels::sum_all(losses, 1, loss);
    return {loss};
  }
  Tensors backward(const Tensors& grad) override {
    const Tensor& probabilities = saved(0);
    Tensor dx(probabilities.shape(), probabilities.dtype(), probabilities.device());
    kernels::segment_cross_entropy_backward(probabilities, offsets_, targets_, grad[0], dx);
    return {dx};
  }

 private:
  void check_offsets(int64_t tokens) const {
    const auto offsets = std::as_const(offsets_).span<int64_t>();
    if (offsets.empty() || offsets.front() != 0 || offsets.back() != tokens ||
        !std::is_sorted(offsets.begin(), offsets.end())) {
      throw DataError("segment_cross_entropy",
                      "offsets do not ascend from 0 to the number of tokens");
    }
  }
  void check_targets() const {
    const auto offsets = std::as_const(offsets_).span<int64_t>();
    const auto targets = std::as_const(targets_).span<int32_t>();
    const auto columns = static_cast<size_t>(targets_.size(1));
    for (size_t i = 0; i < targets.size(); ++i) {
      const size_t b = i / columns;
      const int64_t length = offsets[b + 1] - offsets[b];
      if (targets[i] >= -1 && targets[i] < length) continue;
      throw DataError(
          "segment_cross_entropy",
          fmt::format("target {} of sequence {} is outside its {} tokens", targets[i], b, length));
    }
  }

  Tensor offsets_, targets_;
};

}  // namespace

Variable segment_cross_entropy(const Variable& logits, const Tensor& offsets,
                               const Tensor& targets) {
  return Function::apply<SegmentCrossEntropy>({logits}, offsets, targets);
}

}  // namespace filigree
