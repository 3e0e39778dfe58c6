#include "autograd/ops/shape.h"

#include <algorithm>

#include "autograd/function.h"
#include "core/kernels/swap_axes.h"

namespace filigree {

namespace {

class Reshape final : public Function {
 public:
  explicit Reshape(const Shape& shape) : shape_(shape) {}
  std::string_view name() const override { return "reshape"; }
  Tensors forward(const Tensors& in) override {
    before_ = in[0].shape();
    return {in[0].view(shape_)};
  }
  Tensors backward(const Tensors& grad) override { return {grad[0].view(before_)}; }
  Variables backward_graph(const Variables& grad) override { return {reshape(grad[0], before_)}; }

 private:
  Shape shape_, before_;
};

class SwapAxes final : public Function {
 public:
  SwapAxes(int a, int b) : a_(a), b_(b) {}
  std::string_view name() const override { return "swap_axes"; }
  Tensors forward(const Tensors& in) override { return {swapped(in[0])}; }
  Tensors backward(const Tensors& grad) override { return {swapped(grad[0])}; }
  Variables backward_graph(const Variables& grad) override { return {swap_axes(grad[0], a_, b_)}; }

 private:
  Tensor swapped(const Tensor& x) const {
    const int rank = x.shape().rank();
    const int a = a_ < 0 ? a_ + rank : a_, b = b_ < 0 ? b_ + rank : b_;
    Tensor y(x.shape().with(a, x.size(b)).with(b, x.size(a)), x.dtype(), x.device());
    if (a == b) return x;
    kernels::swap_axes(x, std::min(a, b), std::max(a, b), y);
    return y;
  }
  int a_, b_;
};

class ConcatRows final : public Function {
 public:
  std::string_view name() const override { return "concat_rows"; }
  Tensors forward(const Tensors& in) override {
    int64_t rows = 0;
    for (const Tensor& part : in) {
      expect_same_kind("concat_rows", in[0], part);
      if (part.shape().rank() == 0) throw ShapeError("concat_rows", "expected rank 1 or more");
      expect_shape("concat_rows", "part", in[0].shape().with(0, part.size(0)), part.shape());
      rows += part.size(0);
      counts_.push_back(part.size(0));
    }
    Tensor y(in[0].shape().with(0, rows), in[0].dtype(), in[0].device());
    rows = 0;
    for (const Tensor& part : in) {
      y.slice(rows, part.size(0)).copy_from(part);
      rows += part.size(0);
    }
    return {y};
  }
  Tensors backward(const Tensors& grad) override {
    Tensors parts;
    int64_t rows = 0;
    for (const int64_t count : counts_) {
      parts.push_back(grad[0].slice(rows, count));
      rows += count;
    }
    return parts;
  }
  Variables backward_graph(const Variables& grad) override {
    Variables parts;
    int64_t rows = 0;
    for (const int64_t count : counts_) {
      parts.push_back(slice_rows(grad[0], rows, count));
      rows += count;
    }
    return parts;
  }

 private:
  std::vector<int64_t> counts_;
};

class SliceRows final : public Function {
 public:
  SliceRows(int64_t first, int64_t count) : first_(first), count_(count) {}
  std::string_view name() const override { return "slice_rows"; }
  Tensors forward(const Tensors& in) override {
    before_ = in[0].shape();
    return {in[0].slice(first_, count_)};
  }
  Tensors backward(const Tensors& grad) override {
    Tensor dx = Tensor::zeros(before_, grad[0].dtype(), grad[0].device());
    dx.slice(first_, count_).copy_from(grad[0]);
    return {dx};
  }
  Variables backward_graph(const Variables& grad) override {
    const auto zeros = [&](int64_t rows) {
      return Variable(Tensor::zeros(before_.with(0, rows), grad[0].dtype(), grad[0].device()));
    };
    return {concat_rows({zeros(first_), grad[0], zeros(before_[0] - first_ - count_)})};
  }

 private:
  int64_t first_, count_;
  Shape before_;
};

class Cast final : public Function {
 public:
  explicit Cast(DType dtype) : dtype_(dtype) {}
  std::string_view name() const override { return "cast"; }
  Tensors forward(const Tensors& in) override {
    if (!is_floating(dtype_)) throw_dtype("cast", "a floating dtype", dtype_);
    before_ = in[0].dtype();
    return {in[0].to(dtype_)};
  }
  Tensors backward(const Tensors& grad) override { return {grad[0].to(before_)}; }
  Variables backward_graph(const Variables& grad) override { return {cast(grad[0], before_)}; }

 private:
  DType dtype_, before_ = DType::f32;
};

class ToDevice final : public Function {
 public:
  explicit ToDevice(Device device) : device_(device) {}
  std::string_view name() const override { return "to_device"; }
  Tensors forward(const Tensors& in) override {
    before_ = in[0].device();
    return {in[0].to(device_)};
  }
  Tensors backward(const Tensors& grad) override { return {grad[0].to(before_)}; }
  Variables backward_graph(const Variables& grad) override { return {to_device(grad[0], before_)}; }

 private:
  Device device_, before_;
};

}  // namespace

Variable reshape(const Variable& x, const Shape& shape) {
  return Function::apply<Reshape>({x}, shape);
}
Variable swap_axes(const Variable& x, int a, int b) { return Function::apply<SwapAxes>({x}, a, b); }
Variable slice_rows(const Variable& x, int64_t first, int64_t count) {
  return Function::apply<SliceRows>({x}, first, count);
}
Variable concat_rows(const Variables& parts) {
  if (parts.empty()) throw ShapeError("concat_rows", "expected at least one part, got none");
  return Function::apply<ConcatRows>(parts);
}
Variable cast(const Variable& x, DType dtype) { return Function::apply<Cast>({x}, dtype); }
Variable to_device(const Variable& x, Device device) {
  return x.device() == device ? x : Function::apply<ToDevice>({x}, device);
}

}  // namespace filigree
