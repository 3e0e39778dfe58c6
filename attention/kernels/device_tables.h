// Tables of plain numbers that go to a device as one copy. Private to kernels.
#pragma once

#include <cstddef>
#include <cstring>
#include <functional>
#include <utility>
#include <vector>

#include "core/tensor.h"

namespace filigree::kernels {

/// Tables one behind the other in one block of memory, each at a multiple of 16 bytes. The tables
/// must outlive copy().
class DeviceTables {
 public:
  /// `pointer` will lead to the table's copy; to nothing that may be read, where it is empty.
  template <class T>
  void add(const std::vector<T>& table, const T*& pointer) {
    const auto bytes = static_cast<int64_t>(table.size() * sizeof(T));
    parts_.push_back({table.data(), bytes, [&pointer](const std::byte* at) {
                        pointer = reinterpret_cast<const T*>(at);
                      }});
    total_ += padded(bytes);
  }
  /// The block that the pointers lead into.
  Tensor copy(Device device) const {
    Tensor all = Tensor::zeros({total_}, DType::u8);
    auto* to = static_cast<std::byte*>(all.raw());
    for (const Part& part : parts_) {
      if (part.bytes > 0) std::memcpy(to, part.data, static_cast<size_t>(part.bytes));
      to += padded(part.bytes);
    }
    Tensor there = all.to(device);
    const auto* from = static_cast<const std::byte*>(std::as_const(there).raw());
    for (const Part& part : parts_) {
      part.found(from);
      from += padded(part.bytes);
    }
    return there;
  }

 private:
  struct Part {
    const void* data;
    int64_t bytes;
    std::function<void(const std::byte*)> found;
  };
  static int64_t padded(int64_t bytes) { return (bytes + 15) / 16 * 16; }

  std::vector<Part> parts_;
  int64_t total_ = 0;
};

}  // namespace filigree::kernels
