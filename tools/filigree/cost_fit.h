// Costs of kinds of work, found from times.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <optional>
#include <vector>

namespace filigree {

/// N equations a (N, N+1) in N unknowns, symmetric and positive; nothing where they are not, to 12
/// digits.
template <size_t N>
std::optional<std::array<double, N>> solve(std::array<std::array<double, N + 1>, N> a) {
  constexpr double kSmall = 1e-12;
  std::array<double, N> diagonal{}, found{};
  for (size_t p = 0; p < N; ++p) diagonal[p] = a[p][p];
  for (size_t p = 0; p < N; ++p) {  // no pivoting
    if (!(a[p][p] > kSmall * diagonal[p])) return std::nullopt;
    for (size_t i = p + 1; i < N; ++i) {
      const double factor = a[i][p] / a[p][p];
      for (size_t j = p; j <= N; ++j) a[i][j] -= factor * a[p][j];
    }
  }
  for (size_t p = N; p-- > 0;) {
    found[p] = a[p][N];
    for (size_t j = p + 1; j < N; ++j) found[p] -= a[p][j] * found[j];
    found[p] /= a[p][p];
  }
  return found;
}

/// Costs c >= 0, the first above 0, that minimise sum_m (<work_m, c> / time_m - 1)^2: the best of
/// all subsets of kinds that have the first, each solved by its normal equations. work (M, N) of
/// M measurements, times (M); times and work of the first kind above 0. Cost O(2^N M N^2).
template <size_t N>
std::array<double, N> fit(const std::vector<std::array<double, N>>& work,
                          const std::vector<double>& times) {
  std::array<double, N> best{};
  double least = INFINITY;
  for (unsigned subset = 1; subset < 1u << N; subset += 2) {
    const auto taken = [&](size_t i) { return (subset >> i & 1) != 0; };
    std::array<std::array<double, N + 1>, N> a{};  // normal equations; a cost left out is 0
    for (size_t i = 0; i < N; ++i) {
      if (!taken(i)) {
        a[i][i] = 1;
        continue;
      }
      for (size_t m = 0; m < times.size(); ++m) {
        for (size_t j = 0; j < N; ++j) {
          if (taken(j)) a[i][j] += work[m][i] * work[m][j] / (times[m] * times[m]);
        }
        a[i][N] += work[m][i] / times[m];
      }
    }
    const auto found = solve<N>(a);
    bool sound = found && (*found)[0] > 0;  // always, of the first alone
    for (size_t i = 0; sound && i < N; ++i) sound = (*found)[i] >= 0;
    if (!sound) continue;
    double error = 0;
    for (size_t m = 0; m < times.size(); ++m) {
      double predicted = 0;
      for (size_t i = 0; i < N; ++i) predicted += (*found)[i] * work[m][i];
      error += std::pow(predicted / times[m] - 1, 2);
    }
    if (error < least) {
      least = error;
      best = *found;
    }
  }
  return best;
}

}  // namespace filigree
