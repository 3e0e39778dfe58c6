// Drawn reaches: their key, their distribution, the degrees of the graph that they make, and the
// straight-through gradient.
#include "attention/degrees/draws.h"

#include <algorithm>
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>
#include <numeric>

#include "core/error.h"
#include "core/random.h"
#include "tests/attention/degrees/any_distribution.h"
#include "tests/error_text.h"

namespace filigree {
namespace {

using namespace testing_degrees;
using ::filigree::testing::error_of;
using ::testing::HasSubstr;

GraphKey any_key() {
  return {*rc::gen::arbitrary<uint64_t>(), *rc::gen::arbitrary<uint64_t>(), any_whole(0, 99),
          any_whole(0, 99)};
}

std::vector<int64_t> first_draws(const std::vector<double>& p, const GraphKey& key, int64_t count) {
  const ReachDraws draws(p, 1, key);
  std::vector<int64_t> drawn;
  for (int64_t token = 0; token < count; ++token) drawn.push_back(draws.hard(token));
  return drawn;
}

/// Of independent counts over `tokens` draws, none is improbably far from tokens * p.
void expect_distributed(const std::vector<int64_t>& counts, const std::vector<double>& p,
                        double tokens) {
  for (size_t k = 0; k < p.size(); ++k) {
    const double off = std::abs(static_cast<double>(counts[k]) - tokens * p[k]);
    RC_ASSERT(off <= improbable_deviation(tokens * p[k] * (1 - p[k]), 1));
  }
}

}  // namespace

TEST(ReachDraws, Temperature) {
  EXPECT_DOUBLE_EQ(draw_temperature(0, 101), 2);
  EXPECT_DOUBLE_EQ(draw_temperature(50, 101), 1);
  EXPECT_DOUBLE_EQ(draw_temperature(100, 101), 0.5);
  EXPECT_DOUBLE_EQ(draw_temperature(500, 101), 0.5);
}

// By its definition, with Gumbel noise made here: what another device has to draw.
TEST(ReachDraws, AreTheSoftmaxOfLogitsAndKeyedNoise) {
  EXPECT_TRUE(rc::check([] {
    const std::vector<double> theta = any_values(any_whole(1, 12), 4);
    const GraphKey key = any_key();
    const double tau = any_whole(1, 300) / 100.0;
    const auto token = any_whole<int64_t>(0, 1 << 20);
    const uint64_t words =
        mix_key({key.seed, static_cast<uint64_t>(Purpose::degree_draws), key.step,
                 static_cast<uint64_t>(key.layer), static_cast<uint64_t>(key.head)});
    std::vector<double> noisy(theta.size());
    for (size_t k = 0; k < theta.size(); ++k) {
      const uint32_t bits = philox(words, static_cast<uint64_t>(token), k / 4)[k % 4];
      const double uniform = (static_cast<double>(bits) + 0.5) / 4294967296.0;
      noisy[k] = (theta[k] - std::log(-std::log(uniform))) / tau;
    }
    const std::vector<double> want = reach_probabilities(noisy);

    const ReachDraws draws(reach_probabilities(theta), tau, key);
    std::vector<double> z(theta.size());
    const int64_t drawn = draws.soft(token, z);
    RC_ASSERT(drawn == draws.hard(token));
    RC_ASSERT(drawn == std::max_element(z.begin(), z.end()) - z.begin());
    for (size_t k = 0; k < z.size(); ++k) RC_ASSERT(std::abs(z[k] - want[k]) < 1e-10);
    RC_ASSERT(std::abs(std::accumulate(z.begin(), z.end(), 0.0) - 1) < 1e-12);
  }));
}

TEST(ReachDraws, EveryPartOfTheKeyCounts) {
  const std::vector<double> p(8, 0.125);
  const std::vector<int64_t> draws = first_draws(p, {1, 2, 3, 4}, 100);
  EXPECT_EQ(first_draws(p, {1, 2, 3, 4}, 100), draws);
  EXPECT_NE(first_draws(p, {2, 2, 3, 4}, 100), draws);
  EXPECT_NE(first_draws(p, {1, 1, 3, 4}, 100), draws);
  EXPECT_NE(first_draws(p, {1, 2, 4, 4}, 100), draws);
  EXPECT_NE(first_draws(p, {1, 2, 3, 3}, 100), draws);
}

// Any distribution, any key, and the pair of one token's draw with the next one's.
TEST(ReachDraws, AreDistributedAsP) {
  EXPECT_TRUE(rc::check([] {
    constexpr int64_t kTokens = 4000;
    const std::vector<double> p = reach_probabilities(any_values(any_whole<int64_t>(1, 8), 3));
    const std::vector<int64_t> drawn = first_draws(p, any_key(), 2 * kTokens);
    std::vector<int64_t> counts(p.size()), pairs(p.size() * p.size());
    std::vector<double> both;
    for (const double a : p) {
      for (const double b : p) both.push_back(a * b);
    }
    for (size_t i = 0; i < drawn.size(); i += 2) {
      ++counts[static_cast<size_t>(drawn[i])];
      ++pairs[static_cast<size_t>(drawn[i]) * p.size() + static_cast<size_t>(drawn[i + 1])];
    }
    expect_distributed(counts, p, kTokens);
    expect_distributed(pairs, both, kTokens);
  }));
}

TEST(ReachDraws, WhatCannotBeIsNeverDrawn) {
  for (const int64_t k : first_draws({0, 0.5, 0, 0.5, 0}, {1, 2, 3, 4}, 1000)) {
    EXPECT_TRUE(k == 1 || k == 3) << k;
  }
  std::vector<double> z(5);
  const ReachDraws draws({0, 0.5, 0, 0.5, 0}, 0.01, {});
  draws.soft(7, z);
  EXPECT_THAT(z, ::testing::Each(::testing::Truly([](double x) { return x >= 0 && x <= 1; })));
  EXPECT_EQ(z[0], 0);
}

// Columns 2 R + 1 apart are seen by different tokens, so that their degrees are independent and
// Poisson-binomial: the own token, and at each distance d two tokens that see it with probability
// g(d). Tolerances by Bernstein's inequality, for the degree and for its squared deviation.
TEST(ReachDraws, ColumnDegreesArePoissonBinomial) {
  constexpr int64_t kColumns = 60000;
  for (const std::vector<double>& p :
       {std::vector<double>{0.1, 0.2, 0.3, 0.4}, {0, 0.7, 0, 0, 0.3}, {0.4, 0, 0, 0, 0, 0.6}}) {
    const auto top = static_cast<int64_t>(p.size()) - 1;
    const std::vector<double> g = reach_tail(p, Reaches::up_to(top));
    double mean = 1, variance = 0, excess = 0;  // excess: fourth moment less 3 variance^2
    for (int64_t d = 1; d <= top; ++d) {
      const double q = g[static_cast<size_t>(d)], spread = q * (1 - q);
      mean += 2 * q;
      variance += 2 * spread;
      excess += 2 * spread * (1 - 6 * spread);
    }
    const ReachDraws draws(p, 1, {1, 2, 3, 4});
    double sum = 0, squares = 0;
    for (int64_t column = 0; column < kColumns; ++column) {
      int64_t degree = 0;
      for (int64_t off = -top; off <= top; ++off) {
        degree += draws.hard(column * (2 * top + 1) + top + off) >= std::abs(off);
      }
      const double deviation = static_cast<double>(degree) - mean;
      sum += deviation;
      squares += deviation * deviation - variance;
    }
    const auto most = static_cast<double>(2 * top);
    EXPECT_LE(std::abs(sum), improbable_deviation(kColumns * variance, most));
    EXPECT_LE(std::abs(squares),
              improbable_deviation(kColumns * (excess + 2 * variance * variance), most * most));
    // The tolerance tells the variance from that of a Poisson distribution, 2 sum g.
    EXPECT_LT(improbable_deviation(kColumns * (excess + 2 * variance * variance), most * most),
              0.5 * kColumns * (mean - 1 - variance));
  }
}

TEST(ReachDraws, StraightThroughGradientIsThatOfTheSoftDraws) {
  EXPECT_TRUE(rc::check([] {
    constexpr int64_t kTokens = 5;
    const auto count = any_whole<int64_t>(1, 9);
    const GraphKey key = any_key();
    const double tau = any_whole(50, 200) / 100.0;
    std::vector<double> theta = any_values(count, 2);
    std::vector<std::vector<double>> a;  // dL/dz of every token
    for (int64_t token = 0; token < kTokens; ++token) a.push_back(any_values(count, 2));

    std::vector<double> z(theta.size());
    const auto loss = [&] {
      const ReachDraws draws(reach_probabilities(theta), tau, key);
      double sum = 0;
      for (int64_t token = 0; token < kTokens; ++token) {
        draws.soft(token, z);
        const std::vector<double>& slope = a[static_cast<size_t>(token)];
        sum += std::inner_product(z.begin(), z.end(), slope.begin(), 0.0);
      }
      return sum;
    };
    std::vector<double> gradient(theta.size());
    const ReachDraws draws(reach_probabilities(theta), tau, key);
    for (int64_t token = 0; token < kTokens; ++token) {
      draws.soft(token, z);
      draws.add_logit_gradient(z, a[static_cast<size_t>(token)], gradient);
    }
    for (size_t k = 0; k < theta.size(); ++k) {
      const double at = theta[k];
      theta[k] = at + 1e-5;
      const double above = loss();
      theta[k] = at - 1e-5;
      const double want = (above - loss()) / 2e-5;
      theta[k] = at;
      RC_ASSERT(std::abs(gradient[k] - want) <= 1e-6 * std::max(1.0, std::abs(want)));
    }
  }));
}

TEST(ReachDraws, WrongInputIsRefused) {
  const std::vector<double> p{0.5, 0.5};
  EXPECT_THROW(ReachDraws({}, 1, {}), ShapeError);
  EXPECT_THROW(ReachDraws({0.5, 0.6}, 1, {}), NumericError);
  for (const double tau :
       {0.0, -1.0, 0.001, double{INFINITY}, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_THAT(error_of([&] { ReachDraws(p, tau, {}); }), HasSubstr("hint: give a finite number"));
  }
  const ReachDraws draws(p, 1, {});
  std::vector<double> two(2), three(3);
  EXPECT_THROW(draws.soft(0, three), ShapeError);
  EXPECT_THROW(draws.add_logit_gradient(three, two, two), ShapeError);
  EXPECT_THROW(draws.add_logit_gradient(two, three, two), ShapeError);
  EXPECT_THAT(error_of([&] { draws.add_logit_gradient(two, two, three); }),
              HasSubstr("expected the gradient of logits of 2 reaches, got 3"));
}

}  // namespace filigree
