// What the crossover table is measured on, and how costs are found from times.
#pragma once

#include <array>
#include <cmath>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "attention/sparse_attention.h"

namespace filigree {

/// A pattern, and how long every kernel took for it.
struct CrossoverCase {
  std::string pattern;
  std::shared_ptr<const AttentionGraph> graph;
  std::map<AttentionKernel, std::vector<double>> times;  ///< ns a head, forward and backward

  double time(AttentionKernel kernel) const;  ///< their median
};

/// Sequences of so many tokens under each pattern.
std::vector<CrossoverCase> make_cases(const std::vector<std::string>& patterns, int64_t sequences,
                                      int64_t length, int heads);

/// Times of all cases under these kernels, in turn, round after round; one round does not count.
void measure(std::vector<CrossoverCase>& cases, std::span<const AttentionKernel> kernels,
             const AttentionUse& use, Device device, int64_t rounds);

/// Prints times and forecasts (ns a head), and what is chosen; gives the worst ratio of the time of
/// the chosen kernel to the best.
double show(const std::vector<CrossoverCase>& cases, std::span<const AttentionKernel> kernels,
            const std::function<double(const CrossoverCase&, AttentionKernel)>& forecast,
            const std::function<AttentionKernel(const CrossoverCase&)>& choice);

/// Costs not below 0, the first above it, of least squared relative error: the best of all subsets
/// of parts that have the first, each solved by its normal equations. Work and times above 0.
template <size_t N>
std::array<double, N> fit(const std::vector<std::array<double, N>>& work,
                          const std::vector<double>& times) {
  std::array<double, N> best{};
  double least = INFINITY;
  for (unsigned subset = 1; subset < 1u << N; subset += 2) {
    std::array<std::array<double, N + 1>, N> a{};  // normal equations
    for (size_t i = 0; i < N; ++i) {
      if (!(subset >> i & 1)) {
        a[i][i] = 1;
        continue;
      }
      for (size_t m = 0; m < times.size(); ++m) {
        for (size_t j = 0; j < N; ++j) {
          if (subset >> j & 1) a[i][j] += work[m][i] * work[m][j] / (times[m] * times[m]);
        }
        a[i][N] += work[m][i] / times[m];
      }
    }
    std::array<double, N> found{};
    for (size_t p = 0; p < N; ++p) {  // symmetric, positive: no pivoting
      for (size_t i = p + 1; i < N; ++i) {
        const double factor = a[i][p] / a[p][p];
        for (size_t j = p; j <= N; ++j) a[i][j] -= factor * a[p][j];
      }
    }
    bool sound = true;  // always, of the first alone
    for (size_t p = N; p-- > 0;) {
      found[p] = a[p][N];
      for (size_t j = p + 1; j < N; ++j) found[p] -= a[p][j] * found[j];
      found[p] /= a[p][p];
      sound &= std::isfinite(found[p]) && found[p] >= 0;
    }
    if (!sound || found[0] == 0) continue;
    double error = 0;
    for (size_t m = 0; m < times.size(); ++m) {
      double predicted = 0;
      for (size_t i = 0; i < N; ++i) predicted += found[i] * work[m][i];
      error += std::pow(predicted / times[m] - 1, 2);
    }
    if (error < least) {
      least = error;
      best = found;
    }
  }
  return best;
}

}  // namespace filigree
