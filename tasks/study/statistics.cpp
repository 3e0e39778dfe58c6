#include "tasks/study/statistics.h"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <boost/math/special_functions/gamma.hpp>
#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <numeric>

#include "core/error.h"
#include "core/random.h"

namespace filigree {

namespace {

constexpr const char* kWhere = "statistics";
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
/// Numbers near 1 that should be equal differ by at most this: each is the difference of two
/// numbers that come of a few operations.
constexpr double kRounding = 16 * std::numeric_limits<double>::epsilon();

void require_finite(double value, const char* what) {
  if (std::isfinite(value)) return;
  throw NumericError(kWhere, fmt::format("expected a finite {}, got {}", what, value),
                     "leave out runs that diverged");
}

void require_sample(std::span<const double> values, double confidence) {
  if (!(confidence > 0 && confidence < 1)) {
    throw ConfigError(kWhere, fmt::format("expected a confidence in (0, 1), got {}", confidence),
                      "0.95 is usual");
  }
  if (values.empty()) {
    throw ConfigError(kWhere, "expected at least one value, got none", "finish a run first");
  }
  for (const double value : values) require_finite(value, "value");
}

void require_curve(std::span<const CurvePoint> points) {
  for (const CurvePoint& point : points) {
    require_finite(point.sparsity, "sparsity");
    require_finite(point.value, "value");
  }
}

/// Mean and deviation. Taken from the first value on, so that equal values give exactly that value
/// and 0; squares of the largest distance from the mean, so that none overflows or vanishes.
Interval moments(std::span<const double> values) {
  const auto n = static_cast<double>(values.size());
  const double origin = values[0];
  double sum = 0;
  for (const double value : values) sum += value - origin;
  const double mean = origin + sum / n;
  require_finite(mean, "mean");
  double largest = 0, squares = 0;
  for (const double value : values) largest = std::max(largest, std::abs(value - mean));
  for (const double value : values) {
    const double share = largest > 0 ? (value - mean) / largest : 0;
    squares += share * share;
  }
  const double deviation = n > 1 ? largest * std::sqrt(squares / (n - 1)) : kNaN;
  return {static_cast<int64_t>(values.size()), mean, deviation, kInfinity};
}

/// Half width of the interval of a mean; needs n >= 2.
double student_half_width(const Interval& sample, double confidence) {
  const auto n = static_cast<double>(sample.n);
  const boost::math::students_t student(n - 1);
  return quantile(complement(student, (1 - confidence) / 2)) * sample.deviation / std::sqrt(n);
}

/// J(m) of Hedges (1981), m >= 2 degrees of freedom.
double hedges_factor(double m) {
  return 1 / (std::sqrt(m / 2) * boost::math::tgamma_delta_ratio((m - 1) / 2, 0.5));
}

/// How many of the 2^n choices of signs make |sum + (+-d_1 +-d_2 ...)| at least `least`.
int64_t count_signs(std::span<const double> differences, double sum, double least) {
  if (differences.empty()) return std::abs(sum) >= least ? 1 : 0;
  const auto rest = differences.subspan(1);
  return count_signs(rest, sum + differences[0], least) +
         count_signs(rest, sum - differences[0], least);
}

/// How many of `kSignDraws` random choices of signs do.
int64_t draw_signs(std::span<const double> differences, double least) {
  RandomStream random(0, Purpose::bootstrap, {hash_name("sign flips"), differences.size()});
  int64_t count = 0;
  for (int64_t draw = 0; draw < kSignDraws; ++draw) {
    double sum = 0;
    uint64_t bits = 0;
    for (size_t i = 0; i < differences.size(); ++i) {
      if (i % 64 == 0) bits = random.bits64();
      sum += ((bits >> (i % 64)) & 1) != 0 ? differences[i] : -differences[i];
    }
    count += std::abs(sum) >= least ? 1 : 0;
  }
  return count;
}

/// `rounding` is how far a difference may be off.
double sign_flip_p(std::span<const double> differences, double rounding) {
  const auto n = static_cast<double>(differences.size());
  double sum = 0, size = 0;
  for (const double d : differences) {
    sum += d;
    size += std::abs(d);
  }
  const double least = std::abs(sum) - n * (rounding + kRounding * size);
  if (differences.size() > static_cast<size_t>(kExactPairs)) {
    return (static_cast<double>(draw_signs(differences, least)) + 1) / (kSignDraws + 1);
  }
  // Turning every sign leaves |sum| as it is: half of the arrangements are enough.
  const int64_t count = count_signs(differences.subspan(1), differences[0], least);
  return static_cast<double>(count) / std::exp2(n - 1);
}

/// Fills in what a sample of equal differences, n >= 2, has instead of a t-test.
void test_equal_differences(PairedTest& test, double rounding) {
  test.difference.deviation = test.difference.half_width = 0;
  if (std::abs(test.difference.mean) <= rounding) {
    test.difference.mean = test.t = test.cohen_d = test.hedges_g = 0;
    test.t_p = 1;
  } else {
    test.t = test.cohen_d = test.hedges_g = std::copysign(kInfinity, test.difference.mean);
    test.t_p = 0;
  }
}

/// The indices of `points` by descending sparsity, then descending value, then descending index.
std::vector<size_t> best_first(std::span<const CurvePoint> points) {
  std::vector<size_t> order(points.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t i, size_t j) {
    if (points[i].sparsity != points[j].sparsity) return points[i].sparsity > points[j].sparsity;
    if (points[i].value != points[j].value) return points[i].value > points[j].value;
    return i > j;
  });
  return order;
}

}  // namespace

Interval mean_interval(std::span<const double> values, double confidence) {
  require_sample(values, confidence);
  Interval result = moments(values);
  if (result.n > 1) result.half_width = student_half_width(result, confidence);
  return result;
}

PairedTest paired_test(std::span<const double> a, std::span<const double> b, double confidence) {
  if (a.size() != b.size()) {
    throw ConfigError(kWhere,
                      fmt::format("expected pairs, got {} and {} values", a.size(), b.size()),
                      "compare runs of the same seeds");
  }
  require_sample(a, confidence);
  require_sample(b, confidence);
  std::vector<double> differences(a.size());
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    differences[i] = a[i] - b[i];
    largest = std::max({largest, std::abs(a[i]), std::abs(b[i])});
  }
  const double rounding = kRounding * largest;
  PairedTest test;
  test.difference = moments(differences);
  test.permutation_p = sign_flip_p(differences, rounding);
  if (test.difference.n == 1) {
    test.t = test.t_p = test.cohen_d = test.hedges_g = kNaN;
    return test;
  }
  const auto [smallest, greatest] = std::minmax_element(differences.begin(), differences.end());
  if (*greatest - *smallest <= rounding) {
    test_equal_differences(test, rounding);
    return test;
  }
  const auto n = static_cast<double>(test.difference.n);
  test.difference.half_width = student_half_width(test.difference, confidence);
  test.cohen_d = test.difference.mean / test.difference.deviation;
  test.hedges_g = n == 2 ? kNaN : hedges_factor(n - 1) * test.cohen_d;
  test.t = test.cohen_d * std::sqrt(n);
  test.t_p = 2 * cdf(complement(boost::math::students_t(n - 1), std::abs(test.t)));
  return test;
}

std::vector<double> holm(std::span<const double> p) {
  std::vector<size_t> order;
  for (size_t i = 0; i < p.size(); ++i) {
    if (std::isnan(p[i])) continue;
    if (!(p[i] >= 0 && p[i] <= 1)) {
      throw ConfigError(kWhere, fmt::format("expected a p-value in [0, 1], got {}", p[i]),
                        "give p-values, not statistics");
    }
    order.push_back(i);
  }
  std::sort(order.begin(), order.end(), [&](size_t i, size_t j) { return p[i] < p[j]; });
  std::vector<double> adjusted(p.size(), kNaN);
  double largest = 0;
  for (size_t rank = 0; rank < order.size(); ++rank) {
    const auto tests_left = static_cast<double>(order.size() - rank);
    largest = std::max(largest, std::min(1.0, tests_left * p[order[rank]]));
    adjusted[order[rank]] = largest;
  }
  return adjusted;
}

double area_under_curve(std::span<const CurvePoint> points) {
  require_curve(points);
  if (points.empty()) {
    throw ConfigError(kWhere, "expected at least one point, got none", "finish a run first");
  }
  const std::vector<size_t> order = best_first(points);
  std::vector<CurvePoint> curve;  // one point a sparsity, descending
  for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    CurvePoint mean{points[order[begin]].sparsity, 0};
    while (end < order.size() && points[order[end]].sparsity == mean.sparsity) {
      mean.value += points[order[end++]].value;
    }
    mean.value /= static_cast<double>(end - begin);
    curve.push_back(mean);
  }
  if (curve.size() == 1) return curve[0].value;
  double area = 0;
  for (size_t i = 1; i < curve.size(); ++i) {
    const double width = curve[i - 1].sparsity - curve[i].sparsity;
    area += width * (curve[i - 1].value + curve[i].value) / 2;
  }
  return area / (curve.front().sparsity - curve.back().sparsity);
}

std::vector<size_t> pareto_front(std::span<const CurvePoint> points) {
  require_curve(points);
  std::vector<size_t> front;
  for (const size_t i : best_first(points)) {
    // Nothing that comes later is sparser: a point stays if it beats the last one that stayed in
    // value, or equals it.
    const bool first = front.empty();
    const CurvePoint last = first ? CurvePoint{} : points[front.back()];
    const bool equal = points[i].sparsity == last.sparsity && points[i].value == last.value;
    if (first || equal || points[i].value > last.value) front.push_back(i);
  }
  std::reverse(front.begin(), front.end());
  return front;
}

std::optional<double> sparsest_within(std::span<const CurvePoint> points, double reference,
                                      double loss) {
  require_curve(points);
  require_finite(reference, "reference");
  require_finite(loss, "loss");
  const double rounding = kRounding * std::max(std::abs(reference), std::abs(loss));
  std::optional<double> sparsest;
  for (const CurvePoint& point : points) {
    if (point.value < reference - loss - rounding) continue;
    if (!sparsest || point.sparsity > *sparsest) sparsest = point.sparsity;
  }
  return sparsest;
}

}  // namespace filigree
