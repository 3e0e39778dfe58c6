#include "autograd/ops/select_rows.h"

#include <fmt/format.h>
#include <utility>
#include <vector>

#include "autograd/function.h"
#include "core/kernels/embedding.h"

namespace filigree {

namespace {

constexpr const char* kName = "select_rows";

class SelectRows final : public Function {
 public:
  explicit SelectRows(Tensor rows) : rows_(std::move(rows)) {}
  std::string_view name() const override { return kName; }
  Tensors forward(const Tensors& in) override {
    expect_rank(kName, "rows", rows_, 1);
    for (const Tensor& x : in) {
      expect_rank(kName, "x", x, 2);
      expect_shape(kName, "x", {in[0].size(0), x.size(1)}, x.shape());
      inputs_.push_back({x.shape(), x.dtype()});
    }
    if (rows_.device().is_cpu()) expect_rows(in[0].size(0));
    rows_ = rows_.to(in[0].device());
    Tensors out;
    for (const Tensor& x : in) {
      Tensor y({rows_.numel(), x.size(1)}, x.dtype(), x.device());  // (R, E)
      kernels::embedding_forward(x, rows_, y);
      out.push_back(y);
    }
    return out;
  }
  Tensors backward(const Tensors& grad) override {
    Tensors dx(grad.size());
    for (size_t i = 0; i < grad.size(); ++i) {
      if (!needs_grad(i)) continue;
      dx[i] = Tensor(inputs_[i].shape, inputs_[i].dtype, rows_.device());
      if (grad[i].defined()) {
        kernels::scatter_rows(grad[i], rows_, dx[i]);
      } else {  // the loss looks at the others alone
        dx[i].fill(0);
      }
    }
    return dx;
  }

 private:
  void expect_rows(int64_t count) const {
    int64_t before = -1;
    const auto rows = std::as_const(rows_).span<int32_t>();
    for (size_t i = 0; i < rows.size(); ++i) {
      if (rows[i] <= before || rows[i] >= count) {
        throw DataError(kName, fmt::format("expected ascending rows in [0, {}), got {} after {} at "
                                           "position {}",
                                           count, rows[i], before, i));
      }
      before = rows[i];
    }
  }

  Tensor rows_;
  struct Input {
    Shape shape;
    DType dtype;
  };
  std::vector<Input> inputs_;
};

}  // namespace

Variables select_rows(const Variables& x, const Tensor& rows) {
  return Function::apply_all<SelectRows>(x, rows);
}

}  // namespace filigree
