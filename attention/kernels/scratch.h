// Working memory of one thread, kept from call to call. Private to kernels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

namespace filigree::kernels {

/// Hands out arrays one behind the other, each on a cache line of its own.
class Scratch {
 public:
  /// Forgets all arrays, and makes room for `bytes` (as bytes_for() adds them up).
  void reset(size_t bytes) {
    if (bytes > size_) {
      memory_.reset(static_cast<std::byte*>(::operator new(bytes, kLine)));
      size_ = bytes;
    }
    used_ = 0;
  }
  /// `count` elements, not initialised.
  template <class T>
  T* take(int64_t count) {
    T* array = reinterpret_cast<T*>(memory_.get() + used_);
    used_ += bytes_for<T>(count);
    return array;
  }
  template <class T>
  static size_t bytes_for(int64_t count) {
    return (static_cast<size_t>(count) * sizeof(T) + 127) / 64 * 64;
  }
  /// The calling thread's.
  static Scratch& of_thread() {
    thread_local Scratch scratch;
    return scratch;
  }

 private:
  static constexpr std::align_val_t kLine{64};
  struct Free {
    void operator()(std::byte* memory) const { ::operator delete(memory, kLine); }
  };
  std::unique_ptr<std::byte, Free> memory_;
  size_t size_ = 0, used_ = 0;
};

}  // namespace filigree::kernels
