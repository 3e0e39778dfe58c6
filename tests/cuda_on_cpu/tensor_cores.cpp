// The instructions of tensor cores, by plain loops: mma.sync, ldmatrix and wgmma of bf16.
#include <algorithm>
#include <cstring>

#include "cuda_runtime.h"
#include "fail.h"

namespace cuda_on_cpu {

void multiply_m16n8k16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  struct Parts {
    uint32_t a[4], b[2];
  } mine{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
  std::memcpy(exchange_slot(lane()), &mine, sizeof mine);
  meet_warp();
  const auto half = [](uint32_t pair, unsigned k) {
    return __uint_as_float((k % 2 == 0 ? pair << 16 : pair & 0xffff0000U));
  };
  const auto parts = [](unsigned from) {
    Parts of;
    std::memcpy(&of, exchange_slot(from), sizeof of);
    return of;
  };
  const unsigned g = lane() / 4, t = lane() % 4;
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned high = i / 2, column = 2 * t + i % 2;  // row g + 8 high
    for (unsigned k = 0; k < 16; ++k) {
      const unsigned owner = k % 8 / 2;
      c[i] += half(parts(4 * g + owner).a[high + 2 * (k / 8)], k) *
              half(parts(4 * column + owner).b[k / 8], k);
    }
  }
  next_exchange();
}

void load_matrices(const void* row, bool across, uint32_t (&r)[4]) {
  std::memcpy(exchange_slot(lane()), &row, sizeof row);
  meet_warp();
  const auto element = [](unsigned matrix, unsigned i, unsigned j) -> uint32_t {
    const uint16_t* from;
    std::memcpy(&from, exchange_slot(8 * matrix + i), sizeof from);
    return from[j];
  };
  const unsigned g = lane() / 4, t = lane() % 4;
  for (unsigned m = 0; m < 4; ++m) {
    const uint32_t low = across ? element(m, 2 * t, g) : element(m, g, 2 * t);
    const uint32_t high = across ? element(m, 2 * t + 1, g) : element(m, g, 2 * t + 1);
    r[m] = low | high << 16;
  }
  next_exchange();
}

namespace {

/// An operand of wgmma in shared memory, as its descriptor has it.
class SwizzledOperand {
 public:
  explicit SwizzledOperand(uint64_t descriptor)
      : start_((descriptor & 0x3fff) << 4),
        panels_((descriptor >> 16 & 0x3fff) << 4),
        groups_((descriptor >> 32 & 0x3fff) << 4) {
    if (descriptor >> 62 != 1) fail("wgmma: not a descriptor with 128-byte swizzle");
  }
  /// Elements (row, k) and (row, k + 1) of rows of 16.
  uint32_t along(size_t row, size_t k) const { return element(row, k) | element(row, k + 1) << 16; }
  /// Elements (k, column) and (k + 1, column) of 16 rows.
  uint32_t across(size_t k, size_t column) const {
    const auto one = [&](size_t at) {
      return element(at % 8, column % 64, column / 64 * panels_ + at / 8 * groups_);
    };
    return one(k) | one(k + 1) << 16;
  }

 private:
  uint32_t element(size_t row, size_t column) const {
    return element(row % 8, column, row / 8 * groups_);
  }
  uint32_t element(size_t row, size_t column, size_t offset) const {
    size_t at = start_ + offset + row * 128 + column * 2;
    at ^= (at >> 7 & 7) << 4;
    uint16_t value = 0;
    std::memcpy(&value, static_cast<const char*>(shared_memory()) + at, sizeof value);
    return value;
  }

  size_t start_, panels_, groups_;
};

}  // namespace

void multiply_warpgroup(float (*c)[4], const uint32_t* a, uint64_t a_descriptor,
                        uint64_t b_descriptor, int columns, bool across, bool add) {
  const SwizzledOperand right(b_descriptor);
  const unsigned g = lane() / 4, t = lane() % 4;
  uint32_t left[4];
  if (a) {
    std::memcpy(left, a, sizeof left);
  } else {
    const SwizzledOperand rows(a_descriptor);
    const unsigned first = threadIdx.x / 32 % 4 * 16 + g;
    for (unsigned i = 0; i < 4; ++i) left[i] = rows.along(first + i % 2 * 8, 2 * t + i / 2 * 8);
  }
  for (int n = 0; n < columns; ++n) {
    const unsigned column = 8 * static_cast<unsigned>(n) + g;
    uint32_t b[2];
    for (unsigned i = 0; i < 2; ++i) {
      b[i] = across ? right.across(2 * t + 8 * i, column) : right.along(column, 2 * t + 8 * i);
    }
    if (!add) std::fill_n(c[n], 4, 0.0F);
    multiply_m16n8k16(c[n], left, b);
  }
}

}  // namespace cuda_on_cpu
