// Which attention weights dropout keeps: a pure function of the key and the packed tokens i and j,
// many at a time. Private to kernels.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

namespace filigree::kernels {

/// The factor of a_ij under dropout with probability p: 1 / (1 - p) where the uniform number of
/// (key, i, j) is at least p, else 0. That number is word j % 4 of philox(key, i, j / 4); the
/// rounds of many counters run side by side in vector registers. (Philox4x32-10: Salmon et al.,
/// SC'11.)
class KeepBits {
 public:
  KeepBits() = default;  // keeps all
  /// i and j below count from packed token `origin` on.
  KeepBits(double p, uint64_t key, int64_t origin)
      : origin_(origin),
        least_(static_cast<uint32_t>(std::ceil(std::ldexp(static_cast<float>(p), 24)))),
        key_(key),
        kept_(1 / (1 - p)) {}

  bool drops() const { return least_ > 0; }

  /// factors[c] of columns first .. first + count - 1.
  template <class T>
  void consecutive(int64_t i, int64_t first, int64_t count, T* factors) const {
    const T kept = static_cast<T>(kept_);
    for (int64_t c = 0; c < count;) {
      const int64_t at = origin_ + first + c, skipped = at % 4;
      const int64_t columns = std::min(4 * kBlocks - skipped, count - c);
      Words blocks;
      for (uint32_t l = 0; l < kBlocks; ++l) blocks[l] = static_cast<uint32_t>(at / 4) + l;
      const auto bits = philox_of(i, blocks);
      alignas(64) T all[4 * kBlocks];
      for (size_t l = 0; l < kBlocks; ++l) {
        for (size_t w = 0; w < 4; ++w) all[4 * l + w] = bits[w][l] >> 8 >= least_ ? kept : T(0);
      }
      std::copy(all + skipped, all + skipped + columns, factors + c);
      c += columns;
    }
  }

  /// factors[c] of the columns columns[c].
  template <class T>
  void listed(int64_t i, const int32_t* columns, int64_t count, T* factors) const {
    const T kept = static_cast<T>(kept_);
    for (int64_t c = 0; c < count; c += kBlocks) {
      const auto here = static_cast<size_t>(std::min<int64_t>(kBlocks, count - c));
      Words blocks{}, places{};
      for (size_t l = 0; l < here; ++l) {
        const auto at = static_cast<uint32_t>(origin_ + columns[c + static_cast<int64_t>(l)]);
        blocks[l] = at / 4;
        places[l] = at % 4;
      }
      const auto bits = philox_of(i, blocks);
      for (size_t l = 0; l < here; ++l) {
        const uint32_t low = places[l] & 1 ? bits[1][l] : bits[0][l];
        const uint32_t high = places[l] & 1 ? bits[3][l] : bits[2][l];
        const uint32_t word = places[l] & 2 ? high : low;
        factors[c + static_cast<int64_t>(l)] = word >> 8 >= least_ ? kept : T(0);
      }
    }
  }

 private:
  static constexpr int64_t kBlocks = 16;
  using Words = std::array<uint32_t, kBlocks>;

  // Not inlined: in larger surroundings GCC 12 unrolls the inner loop before it could vectorise it.
  [[gnu::noinline]] std::array<Words, 4> philox_of(int64_t i, const Words& blocks) const {
    alignas(64) Words a = blocks, b{}, c, d{};
    c.fill(static_cast<uint32_t>(origin_ + i));
    auto k0 = static_cast<uint32_t>(key_), k1 = static_cast<uint32_t>(key_ >> 32);
    for (int round = 0; round < 10; ++round) {
      for (size_t l = 0; l < kBlocks; ++l) {
        const uint64_t p = uint64_t{0xD2511F53} * a[l], q = uint64_t{0xCD9E8D57} * c[l];
        const auto p_high = static_cast<uint32_t>(p >> 32), q_high = static_cast<uint32_t>(q >> 32);
        a[l] = q_high ^ b[l] ^ k0;
        c[l] = p_high ^ d[l] ^ k1;
        b[l] = static_cast<uint32_t>(q);
        d[l] = static_cast<uint32_t>(p);
      }
      k0 += 0x9E3779B9;
      k1 += 0xBB67AE85;
    }
    return {a, b, c, d};
  }

  int64_t origin_ = 0;
  uint32_t least_ = 0;
  uint64_t key_ = 0;
  double kept_ = 1;
};

/// Columns of a stretch of scores: one behind the other, or from a list.
struct Consecutive {
  int64_t first;

  int64_t operator()(int64_t c) const { return first + c; }
  template <class T>
  void factors(const KeepBits& keep, int64_t i, int64_t c, int64_t count, T* to) const {
    keep.consecutive(i, first + c, count, to);
  }
};
struct Listed {
  const int32_t* columns;

  int64_t operator()(int64_t c) const { return columns[c]; }
  template <class T>
  void factors(const KeepBits& keep, int64_t i, int64_t c, int64_t count, T* to) const {
    keep.listed(i, columns + c, count, to);
  }
};

}  // namespace filigree::kernels
