// The errors that vector_math.h promises, against the C library in double.
#include "core/kernels/vector_math.h"

#include <gtest/gtest.h>
#include <limits>

namespace filigree::kernels {

TEST(VectorMath, ExpWithinItsErrorAndRightAtTheEnds) {
  double worst = 0;
  for (double x = -87.2; x < 87.9; x += 0.00137) {
    const auto given = static_cast<float>(x);
    const double exact = std::exp(static_cast<double>(given));
    worst = std::max(worst, std::abs(static_cast<double>(exp_of(given)) - exact) / exact);
  }
  EXPECT_LT(worst, 2e-7);
  EXPECT_EQ(exp_of(0.0f), 1.0f);
  EXPECT_EQ(exp_of(-88.0f), 0.0f);
  EXPECT_EQ(exp_of(-std::numeric_limits<float>::infinity()), 0.0f);
  EXPECT_TRUE(std::isnan(exp_of(std::numeric_limits<float>::quiet_NaN())));
  EXPECT_EQ(exp_of(1e30f), exp_of(88.0f));
}

TEST(VectorMath, ErfAndTanhWithinTheirErrorsFromTailToTail) {
  double worst_erf = 0, worst_tanh = 0;
  for (double x = -12; x < 12; x += 0.000173) {
    const auto given = static_cast<float>(x);
    const auto exact = static_cast<double>(given);
    worst_erf = std::max(worst_erf, std::abs(static_cast<double>(erf_of(given)) - std::erf(exact)));
    worst_tanh =
        std::max(worst_tanh, std::abs(static_cast<double>(tanh_of(given)) - std::tanh(exact)));
  }
  EXPECT_LT(worst_erf, 6e-7);
  EXPECT_LT(worst_tanh, 3e-7);
  for (const float far : {20.0f, 1e10f, std::numeric_limits<float>::infinity()}) {
    EXPECT_EQ(erf_of(far), 1.0f);
    EXPECT_EQ(erf_of(-far), -1.0f);
    EXPECT_EQ(tanh_of(far), 1.0f);
    EXPECT_EQ(tanh_of(-far), -1.0f);
  }
  EXPECT_TRUE(std::isnan(erf_of(std::numeric_limits<float>::quiet_NaN())));
  EXPECT_TRUE(std::isnan(tanh_of(std::numeric_limits<float>::quiet_NaN())));
}

}  // namespace filigree::kernels
