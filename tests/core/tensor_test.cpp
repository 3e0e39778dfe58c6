#include "core/tensor.h"

#include <cmath>
#include <gtest/gtest.h>
#include <limits>

#include "core/error.h"

namespace filigree {
namespace {

TEST(Shape, CountsAndPrints) {
  const Shape shape{2, 3, 4};
  EXPECT_EQ(shape.numel(), 24);
  EXPECT_EQ(shape.rows(), 6);
  EXPECT_EQ(shape[-1], 4);
  EXPECT_EQ(to_string(shape), "(2, 3, 4)");
  EXPECT_EQ(Shape{}.numel(), 1);
  EXPECT_EQ(shape.with(1, 7), (Shape{2, 7, 4}));
  EXPECT_THROW(shape[3], ShapeError);
  EXPECT_THROW((Shape{-1}), ShapeError);
  EXPECT_THROW((Shape{INT64_MAX, 2}), ShapeError);
  EXPECT_FALSE((Shape{2}) == (Shape{2, 1}));
}

TEST(Tensor, ViewsShareAndClonesDoNot) {
  Tensor a = Tensor::from(std::vector<float>{1, 2, 3, 4, 5, 6}, {3, 2});
  Tensor rows = a.slice(1, 2);
  EXPECT_EQ(rows.shape(), (Shape{2, 2}));
  EXPECT_EQ(rows.at(0), 3);
  Tensor copy = a.clone();
  rows.data<float>()[0] = 30;
  EXPECT_EQ(a.at(2), 30);
  EXPECT_EQ(copy.at(2), 3);
  EXPECT_EQ(a.view({6}).at(5), 6);
  EXPECT_FALSE(a.unique());
  EXPECT_TRUE(copy.unique());
  EXPECT_EQ(a.slice(3, 0).numel(), 0);
}

TEST(Tensor, RefusesWhatDoesNotFit) {
  Tensor a = Tensor::zeros({2, 2});
  EXPECT_THROW(a.view({3}), ShapeError);
  EXPECT_THROW(a.slice(1, 2), ShapeError);
  EXPECT_THROW(a.slice(-1, 1), ShapeError);
  EXPECT_THROW(a.data<double>(), DTypeError);
  EXPECT_THROW(a.item(), ShapeError);
  EXPECT_THROW(a.at(4), ShapeError);
  EXPECT_THROW(Tensor().raw(), ShapeError);
  EXPECT_THROW(Tensor::from(std::vector<float>{1}, Shape{2}), ShapeError);
  EXPECT_THROW(a.copy_from(Tensor::zeros({4})), ShapeError);
  EXPECT_THROW(Tensor({2}, DType::f32, Device{DeviceType::cuda, 0}), DeviceError);
}

TEST(Tensor, ConvertsBetweenDtypes) {
  const Tensor a = Tensor::from(std::vector<float>{1.5f, -2.25f, 3.0f});
  for (const DType dtype : {DType::f64, DType::bf16}) {
    const Tensor back = a.to(dtype).to(DType::f32);
    for (int64_t i = 0; i < 3; ++i) EXPECT_EQ(back.at(i), a.at(i)) << name_of(dtype);
  }
  EXPECT_EQ(a.to(DType::i64).at(1), -2);
  EXPECT_TRUE(a.to(DType::f32).same_data(a));
}

TEST(BFloat16, RoundsToNearestEven) {
  EXPECT_EQ(to_float(to_bfloat16(1.0f + 0x1p-8f)), 1.0f);            // tie, even below
  EXPECT_EQ(to_float(to_bfloat16(1.0f + 0x3p-8f)), 1.0f + 0x1p-6f);  // tie, even above
  EXPECT_EQ(to_float(to_bfloat16(1.0f + 0x1.1p-8f)), 1.0f + 0x1p-7f);
  EXPECT_TRUE(std::isnan(to_float(to_bfloat16(std::numeric_limits<float>::quiet_NaN()))));
  EXPECT_TRUE(std::isinf(to_float(to_bfloat16(std::numeric_limits<float>::max()))));
}

TEST(Tensor, IntegersTakeTheirNearestEndOfWhatTheyCannotHold) {
  const Tensor wild =
      Tensor::from(std::vector<double>{NAN, INFINITY, -INFINITY, 1e300, -3.7, 2147483646.5});
  const Tensor whole = wild.to(DType::i32);
  const std::vector<double> expected{0, INT32_MAX, INT32_MIN, INT32_MAX, -3, 2147483646};
  for (int64_t i = 0; i < whole.numel(); ++i) EXPECT_EQ(whole.at(i), expected[size_t(i)]) << i;
  EXPECT_EQ(wild.to(DType::u8).at(2), 0);
  EXPECT_EQ(wild.to(DType::u8).at(3), 255);
}

TEST(Tensor, StatisticsCountWhatIsNotFinite) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor a = Tensor::from(std::vector<float>{1, nan, 3, -INFINITY});
  const std::string text = statistics(a);
  EXPECT_NE(text.find("1 NaN, 1 Inf, finite min 1, max 3, mean 2"), std::string::npos) << text;
}

TEST(Device, Parses) {
  EXPECT_EQ(parse_device("cpu"), kCpu);
  EXPECT_EQ(parse_device("cuda:2"), (Device{DeviceType::cuda, 2}));
  for (const char* wrong : {"gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", ""}) {
    EXPECT_THROW(parse_device(wrong), ConfigError) << wrong;
  }
}

TEST(Error, ReadsWhereWhatHint) {
  const ShapeError error("matmul", "expected 2, got 3", "transpose it");
  EXPECT_STREQ(error.what(), "[matmul] expected 2, got 3\nhint: transpose it");
  EXPECT_EQ(error.exit_status(), 1);
  EXPECT_EQ(ConfigError("x", "y").exit_status(), 2);
  EXPECT_EQ(nearest_name("neighbor", std::vector<std::string>{"dense", "neighbour"}), "neighbour");
  EXPECT_EQ(nearest_name("zzzz", std::vector<std::string>{"dense", "neighbour"}), "");
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
}

}  // namespace
}  // namespace filigree
