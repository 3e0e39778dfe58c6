// Tensor: a contiguous, row-major, reference-counted block of elements on one device.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/device.h"
#include "core/dtype.h"
#include "core/shape.h"

namespace filigree {

class Storage;

/// A contiguous, row-major array. Copying a Tensor shares its storage (like a shared_ptr); clone()
/// copies the elements. There are no strides: the only views are whole reshapes and slices along
/// the first dimension. A default-constructed Tensor is undefined (holds nothing).
class Tensor {
 public:
  Tensor() = default;
  /// Uninitialised elements. Throws MemoryError if there is no memory.
  explicit Tensor(const Shape& shape, DType dtype = DType::f32, Device device = kCpu);

  static Tensor zeros(const Shape& shape, DType dtype = DType::f32, Device device = kCpu);
  static Tensor full(const Shape& shape, double value, DType dtype = DType::f32,
                     Device device = kCpu);
  static Tensor scalar(double value, DType dtype = DType::f32, Device device = kCpu);
  /// Copies host values into a CPU tensor. Throws ShapeError if the counts differ.
  template <class T>
  static Tensor from(std::span<const T> values, const Shape& shape);
  template <class T>
  static Tensor from(const std::vector<T>& values, const Shape& shape) {
    return from(std::span<const T>(values), shape);
  }
  template <class T>
  static Tensor from(const std::vector<T>& values) {
    return from(std::span<const T>(values), Shape{static_cast<int64_t>(values.size())});
  }
  /// Wraps memory that somebody else owns (a mapped file) without copying; `owner` keeps it alive.
  /// The memory must not be written through the tensor.
  static Tensor borrow(const void* data, const Shape& shape, DType dtype,
                       std::shared_ptr<const void> owner);

  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  int64_t size(int dim) const { return shape_[dim]; }
  int64_t numel() const { return shape_.numel(); }
  int64_t bytes() const { return numel() * size_of(dtype_); }
  DType dtype() const { return dtype_; }
  Device device() const { return device_; }

  /// Typed pointer; throws DTypeError if T is not the dtype. For device tensors a device pointer.
  template <class T>
  T* data() {
    expect_dtype(dtype_of<T>);
    return static_cast<T*>(raw());
  }
  template <class T>
  const T* data() const {
    expect_dtype(dtype_of<T>);
    return static_cast<const T*>(raw());
  }
  template <class T>
  std::span<T> span() {
    return {data<T>(), static_cast<size_t>(numel())};
  }
  template <class T>
  std::span<const T> span() const {
    return {data<T>(), static_cast<size_t>(numel())};
  }
  void* raw();
  const void* raw() const;
  /// On a device a number that no other storage has ever had, and that changes whenever a pointer
  /// to write through is asked for: same number, same elements. Kernels take such pointers when
  /// they are launched and work in that order. 0 on the CPU, where a pointer may be kept and
  /// written through later.
  uint64_t version() const;

  /// The same elements under another shape (shared storage). Throws ShapeError if counts differ.
  Tensor view(const Shape& shape) const;
  /// Rows first .. first+count-1 along the first dimension (shared storage).
  Tensor slice(int64_t first, int64_t count) const;

  /// A copy in storage of its own.
  Tensor clone() const;
  /// A copy in another dtype (floating types and integers convert by value) or on another device;
  /// *this* itself when nothing changes.
  Tensor to(DType dtype) const;
  Tensor to(Device device) const;
  /// Copies the elements of a tensor of the same shape and dtype (devices may differ).
  void copy_from(const Tensor& source);
  /// Sets every element.
  void fill(double value);
  /// Value of the only element, as double. Throws ShapeError if there is more than one.
  double item() const;
  /// Element at a flat index, as double, whatever the dtype. For tests and printing: slow on a GPU.
  double at(int64_t index) const;

  /// True if the two share storage, offset and shape: the same data seen the same way.
  bool same_data(const Tensor& other) const;
  /// True if this is the only tensor that refers to its storage (so it may be changed in place).
  bool unique() const;

 private:
  void expect_dtype(DType wanted) const;

  std::shared_ptr<Storage> storage_;
  int64_t offset_ = 0;  // bytes from the start of the storage
  Shape shape_;
  DType dtype_ = DType::f32;
  Device device_;
};

using Tensors = std::vector<Tensor>;

/// "f32 (2, 3) on cpu".
std::string describe(const Tensor& tensor);
/// Count of NaN and Inf, and min, max, mean of the finite rest; for error texts.
std::string statistics(const Tensor& tensor);

/// Throws ShapeError or DeviceError, naming the op, if a tensor is undefined or has another device,
/// dtype or shape than wanted.
void expect_defined(std::string_view where, std::string_view name, const Tensor& tensor);
void expect_same_kind(std::string_view where, const Tensor& a, const Tensor& b);
/// For a parameter of an op on x: its dtype is x's or, the master copy's of a bf16 x, f32.
void expect_parameter_of(std::string_view where, const Tensor& x, const Tensor& parameter);
/// Throws DeviceError.
void expect_same_device(std::string_view where, const Tensor& a, const Tensor& b);
void expect_rank(std::string_view where, std::string_view name, const Tensor& tensor, int rank);

extern template Tensor Tensor::from<float>(std::span<const float>, const Shape&);
extern template Tensor Tensor::from<double>(std::span<const double>, const Shape&);
extern template Tensor Tensor::from<int32_t>(std::span<const int32_t>, const Shape&);
extern template Tensor Tensor::from<int64_t>(std::span<const int64_t>, const Shape&);
extern template Tensor Tensor::from<uint8_t>(std::span<const uint8_t>, const Shape&);

}  // namespace filigree
