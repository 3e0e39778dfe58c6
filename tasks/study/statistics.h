// Statistics of studies: intervals, paired tests, correction for several tests, curves of value
// over sparsity. Pure functions of their arguments.
//
// In samples and curves, what is not finite is a NumericError. Samples without values or of
// different length, and a confidence outside (0, 1), are a ConfigError.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace filigree {

/// The mean of a sample and how far it can be trusted: mean +- half_width.
struct Interval {
  int64_t n = 0;
  double mean = 0;
  double deviation = 0;   ///< sample standard deviation, with n - 1; NaN for n = 1
  double half_width = 0;  ///< infinity for n = 1: one value says nothing of the spread
};

/// Student's confidence interval of a mean: half_width = t(n - 1, (1 + confidence) / 2) deviation /
/// sqrt(n). Cost O(n).
Interval mean_interval(std::span<const double> values, double confidence = 0.95);

/// Pairs up to which all 2^n arrangements of signs are counted, and the draws for more pairs.
inline constexpr int64_t kExactPairs = 20;
inline constexpr int64_t kSignDraws = 100'000;

/// Does a differ from b, pair by pair? Every p is two-sided.
struct PairedTest {
  Interval difference;       ///< of a - b
  double t = 0;              ///< of the paired t-test: mean / (deviation / sqrt(n))
  double t_p = 0;            ///< its p, with n - 1 degrees of freedom
  double permutation_p = 0;  ///< of the sign-flip permutation test
  double cohen_d = 0;        ///< d_z = mean / deviation
  double hedges_g = 0;       ///< g_z = J(n - 1) d_z
};

/// Paired t-test, sign-flip permutation test and effect sizes of a - b, both (n).
///
/// permutation_p: the share of the 2^n arrangements of signs with |sum of +-(a_i - b_i)| at least
/// as large as observed, all counted for n <= kExactPairs. For more pairs kSignDraws arrangements
/// are drawn, the same ones at every call, and p = (as large + 1) / (kSignDraws + 1) (Phipson and
/// Smyth 2010). Sums that differ by rounding only are equal, so that the observed arrangement
/// always counts.
///
/// J(m) = Gamma(m / 2) / (sqrt(m / 2) Gamma((m - 1) / 2)) makes g_z unbiased (Hedges 1981).
///
/// Where a formula has no value:
/// - n = 1: deviation, t, t_p, cohen_d and hedges_g are NaN, half_width is infinity,
///   permutation_p is 1.
/// - n = 2: hedges_g is NaN, as d_z has no mean for one degree of freedom.
/// - n >= 2 and all differences equal but for rounding: deviation and half_width are 0. If they are
///   zero, so are mean, t, cohen_d and hedges_g, and t_p is 1; else t, cohen_d and hedges_g are
///   infinite with the sign of the mean, and t_p is 0. permutation_p is as always.
///
/// Cost O(2^n) for n <= kExactPairs (some milliseconds at most), else O(kSignDraws n).
PairedTest paired_test(std::span<const double> a, std::span<const double> b,
                       double confidence = 0.95);

/// p-values adjusted for being m tests at once (Holm 1979): in ascending order
/// max over j <= i of min(1, (m - j + 1) p_j), returned in the order of `p`. NaN stays NaN and does
/// not count in m. Throws ConfigError for p outside [0, 1]. Cost O(m log m).
std::vector<double> holm(std::span<const double> p);

/// One measurement of a trade-off. Higher values are better: negate a loss.
struct CurvePoint {
  double sparsity = 0;
  double value = 0;
};

/// Mean value over the range of sparsity covered: the area by trapezoids, divided by that range.
/// Points in any order, which does not matter to the last bit; several at one sparsity are
/// averaged; with one sparsity only it is their mean. Throws ConfigError without points. Cost O(n
/// log n).
double area_under_curve(std::span<const CurvePoint> points);

/// Indices of the points that no other point beats: none is at least as good in sparsity and value
/// and better in one of them. Equal points are all kept. Ascending sparsity, equal points by index;
/// empty without points. Cost O(n log n).
std::vector<size_t> pareto_front(std::span<const CurvePoint> points);

/// The largest measured sparsity with a value of at least reference - loss, where a value on the
/// limit counts whatever the rounding; none if there is no such point. Every point stands for
/// itself: give means where a sparsity was measured several times. Cost O(n).
std::optional<double> sparsest_within(std::span<const CurvePoint> points, double reference,
                                      double loss);

}  // namespace filigree
