#include "autograd/ops/embedding.h"

#include <fmt/format.h>

#include "autograd/function.h"
#include "core/kernels/embedding.h"

namespace filigree {

namespace {

class Embedding final : public Function {
 public:
  explicit Embedding(Tensor ids) : ids_(std::move(ids)) {}
  std::string_view name() const override { return "embedding"; }
  Tensors forward(const Tensors& in) override {
    const Tensor& weight = in[0];
    expect_rank("embedding", "weight", weight, 2);
    expect_rank("embedding", "ids", ids_, 1);
    if (ids_.device().is_cpu()) expect_ids(weight.size(0));
    ids_ = ids_.to(weight.device());
    shape_ = weight.shape();
    Tensor y({ids_.numel(), weight.size(1)}, weight.dtype(), weight.device());  // (T, E)
    kernels::embedding_forward(weight, ids_, y);
    return {y};
  }
  Tensors backward(const Tensors& grad) override {
    Tensor dweight(shape_, grad[0].dtype(), grad[0].device());
    kernels::embedding_backward(grad[0], ids_, dweight);
    return {dweight};
  }

 private:
  void expect_ids(int64_t rows) const {
    const auto ids = std::as_const(ids_).span<int32_t>();
    for (size_t t = 0; t < ids.size(); ++t) {
      if (ids[t] >= 0 && ids[t] < rows) continue;
      throw DataError("embedding",
                      fmt::format("id {} at position {} is outside [0, {})", ids[t], t, rows),
                      "was the dataset made with this model's tokenizer and maximum length?");
    }
  }

  Tensor ids_;
  Shape shape_;
};

}  // namespace

Variable embedding(const Variable& weight, const Tensor& ids) {
  return Function::apply<Embedding>({weight}, ids);
}

}  // namespace filigree
