#include "core/tensor.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <limits>

#include "core/allocator.h"
#include "core/convert.h"
#include "core/device_backend.h"
#include "core/kernels/cast.h"
#include "core/kernels/fill.h"

namespace filigree {

namespace {

std::atomic<uint64_t> last_version{0};

}  // namespace

/// Memory that tensors share: from the allocator, or borrowed from an owner (a mapped file).
class Storage {
 public:
  Storage(Device device, int64_t bytes) : device_(device), data_(allocate(device, bytes)) {
    may_be_written();
  }
  Storage(const void* data, std::shared_ptr<const void> owner)
      : data_(const_cast<void*>(data)), owner_(std::move(owner)), borrowed_(true) {}
  ~Storage() {
    if (!borrowed_) deallocate(device_, data_);
  }
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  void* data() const { return data_; }
  bool borrowed() const { return borrowed_; }
  uint64_t version() const { return version_.load(); }
  void may_be_written() {
    if (!device_.is_cpu()) version_.store(++last_version);
  }

 private:
  Device device_;
  void* data_;
  std::shared_ptr<const void> owner_;
  bool borrowed_ = false;
  std::atomic<uint64_t> version_{0};
};

Tensor::Tensor(const Shape& shape, DType dtype, Device device)
    : shape_(shape), dtype_(dtype), device_(device) {
  int64_t bytes = 0;
  if (__builtin_mul_overflow(shape.numel(), size_of(dtype), &bytes)) {
    throw MemoryError("tensor", "size of " + to_string(shape) + " overflows int64");
  }
  storage_ = std::make_shared<Storage>(device, bytes);
}

Tensor Tensor::zeros(const Shape& shape, DType dtype, Device device) {
  return full(shape, 0, dtype, device);
}

Tensor Tensor::full(const Shape& shape, double value, DType dtype, Device device) {
  Tensor result(shape, dtype, device);
  result.fill(value);
  return result;
}

Tensor Tensor::scalar(double value, DType dtype, Device device) {
  return full({}, value, dtype, device);
}

template <class T>
Tensor Tensor::from(std::span<const T> values, const Shape& shape) {
  if (static_cast<int64_t>(values.size()) != shape.numel()) {
    throw ShapeError("tensor", fmt::format("expected {} values for shape {}, got {}", shape.numel(),
                                           to_string(shape), values.size()));
  }
  Tensor result(shape, dtype_of<T>);
  if (!values.empty()) std::memcpy(result.raw(), values.data(), values.size_bytes());
  return result;
}

template Tensor Tensor::from<float>(std::span<const float>, const Shape&);
template Tensor Tensor::from<double>(std::span<const double>, const Shape&);
template Tensor Tensor::from<int32_t>(std::span<const int32_t>, const Shape&);
template Tensor Tensor::from<int64_t>(std::span<const int64_t>, const Shape&);
template Tensor Tensor::from<uint8_t>(std::span<const uint8_t>, const Shape&);

Tensor Tensor::borrow(const void* data, const Shape& shape, DType dtype,
                      std::shared_ptr<const void> owner) {
  Tensor result;
  result.storage_ = std::make_shared<Storage>(data, std::move(owner));
  result.shape_ = shape;
  result.dtype_ = dtype;
  return result;
}

void Tensor::expect_dtype(DType wanted) const {
  if (wanted != dtype_) throw_dtype("tensor", name_of(wanted), dtype_);
}

const void* Tensor::raw() const {
  if (!storage_) throw ShapeError("tensor", "is undefined");
  return static_cast<const char*>(storage_->data()) + offset_;
}
void* Tensor::raw() {
  void* const data = const_cast<void*>(std::as_const(*this).raw());
  storage_->may_be_written();
  return data;
}
uint64_t Tensor::version() const { return storage_ ? storage_->version() : 0; }

Tensor Tensor::view(const Shape& shape) const {
  if (shape.numel() != numel()) {
    throw ShapeError("view", fmt::format("{} does not hold the elements of {}", to_string(shape),
                                         to_string(shape_)));
  }
  Tensor result = *this;
  result.shape_ = shape;
  return result;
}

Tensor Tensor::slice(int64_t first, int64_t count) const {
  if (shape_.rank() == 0 || first < 0 || count < 0 || first > shape_[0] - count) {
    throw ShapeError(
        "slice", fmt::format("rows {} .. {} of shape {}", first, first + count, to_string(shape_)));
  }
  Tensor result = *this;
  const int64_t row = shape_[0] == 0 ? 0 : numel() / shape_[0];
  result.offset_ += first * row * size_of(dtype_);
  result.shape_ = shape_.with(0, count);
  return result;
}

Tensor Tensor::clone() const {
  Tensor result(shape_, dtype_, device_);
  result.copy_from(*this);
  return result;
}

Tensor Tensor::to(DType dtype) const {
  if (dtype == dtype_) return *this;
  Tensor result(shape_, dtype, device_);
  kernels::cast(*this, result);
  return result;
}

Tensor Tensor::to(Device device) const {
  if (device == device_) return *this;
  Tensor result(shape_, dtype_, device);
  result.copy_from(*this);
  return result;
}

void Tensor::copy_from(const Tensor& source) {
  expect_shape("copy_from", "source", shape_, source.shape_);
  if (source.dtype_ != dtype_) throw_dtype("copy_from", name_of(dtype_), source.dtype_);
  if (numel() == 0) return;
  if (device_.is_cpu() && source.device_.is_cpu()) {
    std::memmove(raw(), source.raw(), static_cast<size_t>(bytes()));
  } else if (source.device_.is_cpu()) {
    backend_of(device_).upload(device_.index, raw(), source.raw(), bytes());
  } else if (device_.is_cpu()) {
    backend_of(source.device_).download(source.device_.index, raw(), source.raw(), bytes());
  } else if (device_ == source.device_) {
    backend_of(device_).copy(device_.index, raw(), source.raw(), bytes());
  } else {
    copy_from(source.to(kCpu));
  }
}

void Tensor::fill(double value) { kernels::fill(*this, value); }

double Tensor::item() const {
  if (numel() != 1) {
    throw ShapeError("item", "expected one element, got shape " + to_string(shape_));
  }
  return at(0);
}

double Tensor::at(int64_t index) const {
  if (index < 0 || index >= numel()) {
    throw ShapeError("at", fmt::format("index {} of {} elements", index, numel()));
  }
  if (!device_.is_cpu()) return view({numel()}).slice(index, 1).to(kCpu).at(0);
  return dispatch_any(dtype_, [&](auto element) {
    return convert<double>(span<decltype(element)>()[static_cast<size_t>(index)]);
  });
}

bool Tensor::same_data(const Tensor& other) const {
  return storage_ && storage_ == other.storage_ && offset_ == other.offset_ &&
         shape_ == other.shape_ && dtype_ == other.dtype_;
}

bool Tensor::unique() const {
  return storage_ && storage_.use_count() == 1 && !storage_->borrowed();
}

std::string describe(const Tensor& tensor) {
  if (!tensor.defined()) return "undefined";
  return fmt::format("{} {} on {}", name_of(tensor.dtype()), to_string(tensor.shape()),
                     name_of(tensor.device()));
}

std::string statistics(const Tensor& tensor) {
  if (!tensor.defined()) return "undefined";
  const Tensor here = tensor.to(kCpu);
  int64_t nan = 0, inf = 0, finite = 0;
  double low = std::numeric_limits<double>::infinity(), high = -low, sum = 0;
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    const double value = here.at(i);
    if (std::isnan(value)) {
      ++nan;
    } else if (std::isinf(value)) {
      ++inf;
    } else {
      ++finite;
      low = std::min(low, value);
      high = std::max(high, value);
      sum += value;
    }
  }
  std::string text = fmt::format("{}: {} NaN, {} Inf", describe(tensor), nan, inf);
  if (finite > 0) {
    text += fmt::format(", finite min {:.6g}, max {:.6g}, mean {:.6g}", low, high,
                        sum / static_cast<double>(finite));
  }
  return text;
}

void expect_defined(std::string_view where, std::string_view name, const Tensor& tensor) {
  if (!tensor.defined()) throw ShapeError(where, fmt::format("{} is undefined", name));
}

void expect_same_kind(std::string_view where, const Tensor& a, const Tensor& b) {
  expect_defined(where, "first tensor", a);
  expect_defined(where, "second tensor", b);
  if (a.dtype() != b.dtype()) {
    throw DTypeError(where, fmt::format("expected one dtype, got {} and {}", name_of(a.dtype()),
                                        name_of(b.dtype())));
  }
  expect_same_device(where, a, b);
}

void expect_parameter_of(std::string_view where, const Tensor& x, const Tensor& parameter) {
  expect_defined(where, "input", x);
  expect_defined(where, "parameter", parameter);
  if (x.dtype() != DType::bf16) return expect_same_kind(where, x, parameter);
  if (parameter.dtype() != DType::bf16 && parameter.dtype() != DType::f32) {
    throw_dtype(where, "bf16 or f32 for a parameter", parameter.dtype());
  }
  expect_same_device(where, x, parameter);
}

void expect_same_device(std::string_view where, const Tensor& a, const Tensor& b) {
  if (a.device() == b.device()) return;
  throw DeviceError(where, fmt::format("expected one device, got {} and {}", name_of(a.device()),
                                       name_of(b.device())));
}

void expect_rank(std::string_view where, std::string_view name, const Tensor& tensor, int rank) {
  expect_defined(where, name, tensor);
  if (tensor.shape().rank() != rank) {
    throw ShapeError(where, fmt::format("expected {} of rank {}, got shape {}", name, rank,
                                        to_string(tensor.shape())));
  }
}

}  // namespace filigree
