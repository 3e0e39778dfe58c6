// The matrix product in every form, against three loops in double.
#include "core/kernels/matmul.h"

#include <cmath>
#include <gtest/gtest.h>

#include "core/random.h"

namespace filigree {

namespace {

struct Sizes {
  int64_t m, n, k;
};

Tensor made(const Shape& shape, DType dtype, uint64_t salt) {
  RandomStream random(5, Purpose::test, {salt});
  Tensor values(shape, DType::f64);
  for (double& value : values.span<double>()) value = random.normal();
  return values.to(dtype);
}

Shape with_batch(int64_t batch, int64_t rows, int64_t columns) {
  return batch == 0 ? Shape{rows, columns} : Shape{batch, rows, columns};
}

void check(Sizes s, int64_t batch, MatmulForm form, DType dtype) {
  const Tensor a = form.transpose_a ? made(with_batch(batch, s.k, s.m), dtype, 1)
                                    : made(with_batch(batch, s.m, s.k), dtype, 1);
  const Tensor b = form.transpose_b ? made(with_batch(batch, s.n, s.k), dtype, 2)
                                    : made(with_batch(batch, s.k, s.n), dtype, 2);
  Tensor c = made(with_batch(batch, s.m, s.n), dtype, 3);
  const Tensor before = c.clone();
  kernels::matmul(a, b, form, c);
  const double tolerance = (dtype == DType::f32 ? 1e-6 : 1e-14) * static_cast<double>(s.k + 1) * 4;
  for (int64_t batch_entry = 0; batch_entry < std::max<int64_t>(batch, 1); ++batch_entry) {
    for (int64_t i = 0; i < s.m; ++i) {
      for (int64_t j = 0; j < s.n; ++j) {
        const int64_t at = (batch_entry * s.m + i) * s.n + j;
        double expected = form.accumulate ? before.at(at) : 0;
        for (int64_t p = 0; p < s.k; ++p) {
          const int64_t in_a = form.transpose_a ? p * s.m + i : i * s.k + p;
          const int64_t in_b = form.transpose_b ? j * s.k + p : p * s.n + j;
          expected += a.at(batch_entry * s.m * s.k + in_a) * b.at(batch_entry * s.k * s.n + in_b);
        }
        ASSERT_NEAR(c.at(at), expected, tolerance) << i << ", " << j << " of entry " << batch_entry;
      }
    }
  }
}

}  // namespace

TEST(Matmul, EveryFormAndEveryEdgeSize) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (const Sizes s : {Sizes{1, 1, 1}, {3, 5, 7}, {33, 17, 64}, {0, 4, 3}, {4, 3, 0}}) {
      for (const int64_t batch : {0, 1, 3}) {
        for (int bits = 0; bits < 8; ++bits) {
          check(s, batch, {(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0}, dtype);
        }
      }
    }
  }
}

}  // namespace filigree
