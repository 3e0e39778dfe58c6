// Sums over all elements on a CUDA device: more of them than one block adds up, and more of those
// sums than one block does.
#include "core/kernels/elementwise.h"
#include "core/kernels/reduce.h"
#include "tests/autograd/device_numbers.h"

namespace filigree {

using testing_device::expect_close;
using testing_device::expect_same_bits;
using testing_device::kCuda;
using testing_device::numbers_of;
using testing_device::placed;

TEST(DeviceSums, OfAnyNumberOfElementsAreThoseOfTheCpu) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  RandomStream random(62, Purpose::test);
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (const int64_t count : {0, 1, 2, 5, 1024, 4099, 16383, 16384, 16385, 100'003}) {
      SCOPED_TRACE(std::string(name_of(dtype)) + ", " + std::to_string(count));
      const Tensor x = numbers_of(random, {count}, dtype);
      Tensor want({}, DType::f64), squares({}, DType::f64);
      kernels::sum_all(x, 0.25, want);
      kernels::sum_squares(squares, std::vector<Tensor>{x});
      Tensor first;
      for (const bool shifted : {false, true}) {
        const Tensor there = placed(x.to(dtype), shifted);
        Tensor got({}, dtype, kCuda), got_squares({}, DType::f64, kCuda);
        kernels::sum_all(there, 0.25, got);
        kernels::sum_squares(got_squares, std::vector<Tensor>{there});
        expect_close(got, want, dtype == DType::f64 ? 1e-11 : 1e-6, 1);
        expect_close(got_squares, squares, 1e-12, 0);
        if (shifted) expect_same_bits(got, first);
        first = got;
        Tensor again({}, DType::f64, kCuda);
        kernels::sum_squares(again, std::vector<Tensor>{there});
        expect_same_bits(again, got_squares);
      }
    }
  }
}

// One chunk of rows, some chunks, and so many that the sums of chunks are added up by chunks.
TEST(DeviceSums, OfColumnsOfAnyNumberOfRowsAreThoseOfTheCpu) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  RandomStream random(68, Purpose::test);
  for (const Shape& shape :
       {Shape{1000, 3}, Shape{1030, 8}, Shape{140'000, 1}, Shape{135'000, 4}}) {
    SCOPED_TRACE(std::to_string(shape[0]) + " x " + std::to_string(shape[1]));
    const Tensor x = numbers_of(random, shape, DType::f32);
    Tensor want({shape[1]}, DType::f64), got({shape[1]}, DType::f32, kCuda);
    kernels::sum_rows(x, want);
    kernels::sum_rows(x.to(DType::f32).to(kCuda), got);
    expect_close(got, want, 1e-5, 1);
  }
}

// 16,385 chunks, of one element each: the last block would have to add up too many.
TEST(DeviceSums, OfSoManyTensorsThatTheirSumsAreAddedUpTwice) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  constexpr int64_t kTensors = 16385;
  const Tensor numbers = Tensor::full({kTensors}, 0.5, DType::f32).to(kCuda);
  std::vector<Tensor> tensors;
  for (int64_t i = 0; i < kTensors; ++i) tensors.push_back(numbers.slice(i, 1));
  Tensor squares({}, DType::f64, kCuda);
  kernels::sum_squares(squares, tensors);
  EXPECT_EQ(squares.item(), 0.25 * kTensors);
}

}  // namespace filigree
