#include "autograd/ops/cross_entropy.h"

#include <algorithm>
#include <fmt/format.h>

#include "autograd/function.h"
#include "core/kernels/cross_entropy.h"
#include "core/kernels/reduce.h"

namespace filigree {

namespace {

class CrossEntropy final : public Function {
 public:
  CrossEntropy(Tensor labels, const CrossEntropyOptions& options)
      : labels_(std::move(labels)), options_(options) {}
  std::string_view name() const override { return "cross_entropy"; }
  Tensors forward(const Tensors& in) override {
    const Tensor& x = in[0];
    expect_rank("cross_entropy", "logits", x, 2);
    expect_shape("cross_entropy", "labels", {x.size(0)}, labels_.shape());
    if (!(options_.smoothing >= 0 && options_.smoothing <= 1)) {
      throw ConfigError("cross_entropy", fmt::format("expected a label smoothing in [0, 1], got {}",
                                                     options_.smoothing));
    }
    const int64_t counted = count_labels(x.size(1));
    labels_ = labels_.to(x.device());
    factor_ = options_.mean ? 1.0 / static_cast<double>(std::max<int64_t>(1, counted)) : 1.0;
    Tensor losses({x.size(0)}, x.dtype(), x.device());
    Tensor probabilities(x.shape(), x.dtype(), x.device());  // (N, C)
    kernels::cross_entropy_forward(x, labels_, options_.ignore, options_.smoothing, losses,
                                   probabilities);
    save_for_backward({probabilities});
    Tensor loss({}, x.dtype(), x.device());
    kernels::sum_all(losses, factor_, loss);
    return {loss};
  }
  Tensors backward(const Tensors& grad) override {
    const Tensor& probabilities = saved(0);
    Tensor dx(probabilities.shape(), probabilities.dtype(), probabilities.device());
    kernels::cross_entropy_backward(probabilities, labels_, options_.ignore, options_.smoothing,
                                    factor_, grad[0], dx);
    return {dx};
  }

 private:
  int64_t count_labels(int64_t classes) const {
    const Tensor on_host = labels_.to(kCpu);
    const auto labels = on_host.span<int32_t>();
    int64_t counted = 0;
    for (size_t i = 0; i < labels.size(); ++i) {
      if (labels[i] == options_.ignore) continue;
      if (labels[i] < 0 || labels[i] >= classes) {
        throw DataError("cross_entropy", fmt::format("label {} of row {} is outside [0, {})",
                                                     labels[i], i, classes));
      }
      ++counted;
    }
    return counted;
  }
  Tensor labels_;
  CrossEntropyOptions options_;
  double factor_ = 1;
};

}  // namespace

Variable cross_entropy(const Variable& logits, const Tensor& labels,
                       const CrossEntropyOptions& options) {
  return Function::apply<CrossEntropy>({logits}, labels, options);
}

}  // namespace filigree
