// A hash by which contents are told apart.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

namespace filigree {

/// 128 bits (XXH3): equal for equal bytes; different bytes have the same with a chance of 2^-128.
struct ContentHash {
  uint64_t low = 0, high = 0;
  bool operator==(const ContentHash&) const = default;
};

/// Cost: about 0.1 ns a byte.
ContentHash content_hash(std::span<const std::byte> bytes);

}  // namespace filigree

template <>
struct std::hash<filigree::ContentHash> {
  size_t operator()(const filigree::ContentHash& hash) const noexcept {
    return static_cast<size_t>(hash.low);
  }
};
