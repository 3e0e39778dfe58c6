// The spectral gap, by Lanczos' method.
#include <Eigen/Dense>
#include <cmath>

#include "attention/report/flow.h"
#include "attention/report/rows.h"

namespace filigree {

namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

/// D^-1/2 A D^-1/2 of one sequence, A in rows without repetitions.
class NormalisedAdjacency {
 public:
  NormalisedAdjacency(const AttentionGraph& graph, int64_t b) {
    const int64_t* offsets = graph.offsets().data<int64_t>();
    const int64_t first = offsets[b], n = offsets[b + 1] - first;
    rows_.resize(static_cast<size_t>(n));
    std::vector<int32_t> row(static_cast<size_t>(n));
    for (int64_t i = 0; i < n; ++i) {
      rows_[static_cast<size_t>(i)].push_back(static_cast<int32_t>(i));
      for (int g = 0; g < graph.groups(); ++g) {
        const int64_t count = graph.row(g, b, first + i, row.data());
        for (int64_t e = 0; e < count; ++e) {
          const auto j = static_cast<int32_t>(row[static_cast<size_t>(e)] - first);
          rows_[static_cast<size_t>(i)].push_back(j);
          rows_[static_cast<size_t>(j)].push_back(static_cast<int32_t>(i));
        }
      }
    }
    root_degree_.resize(n);
    for (int64_t i = 0; i < n; ++i) {
      auto& list = rows_[static_cast<size_t>(i)];
      std::sort(list.begin(), list.end());
      list.erase(std::unique(list.begin(), list.end()), list.end());
      root_degree_[i] = std::sqrt(static_cast<double>(list.size()));
    }
  }
  int64_t size() const { return root_degree_.size(); }
  /// The eigenvector of the largest eigenvalue, 1.
  VectorXd top() const { return root_degree_.normalized(); }
  VectorXd times(const VectorXd& x) const {
    const VectorXd scaled = x.cwiseQuotient(root_degree_);
    VectorXd y(size());
    for (int64_t i = 0; i < size(); ++i) {
      double sum = 0;
      for (const int32_t j : rows_[static_cast<size_t>(i)]) sum += scaled[j];
      y[i] = sum / root_degree_[i];
    }
    return y;
  }

 private:
  std::vector<std::vector<int32_t>> rows_;
  VectorXd root_degree_;
};

}  // namespace

double spectral_gap(const AttentionGraph& graph, int64_t b) {
  constexpr int64_t kSteps = 60;
  constexpr int kRestarts = 40;
  constexpr double kTolerance = 1e-7;
  const NormalisedAdjacency matrix(graph, b);
  const int64_t n = matrix.size();
  if (n == 0) return 0;
  if (n == 1) return 1;
  const VectorXd top = matrix.top();
  const auto without_top = [&](VectorXd& x) { x -= top.dot(x) * top; };
  VectorXd start(n);
  for (int64_t i = 0; i < n; ++i) start[i] = std::cos(0.7 + 1.9 * static_cast<double>(i));
  // The slowest mode of a chain is near a cosine over its length: a good part of a good start.
  for (int64_t i = 0; i < n; ++i) {
    start[i] += 10 * std::cos(M_PI * (static_cast<double>(i) + 0.5) / static_cast<double>(n));
  }
  double largest = 0;
  for (int restart = 0; restart < kRestarts; ++restart) {
    without_top(start);
    if (start.norm() < 1e-12) break;
    const int64_t steps = std::min(kSteps, n - 1);
    MatrixXd basis(n, steps);
    VectorXd diagonal(steps), below(steps);
    basis.col(0) = start.normalized();
    int64_t made = 0;
    for (; made < steps; ++made) {
      VectorXd next = matrix.times(basis.col(made));
      diagonal[made] = basis.col(made).dot(next);
      for (int pass = 0; pass < 2;
           ++pass) {  // against all before: rounding must not bring them back
        without_top(next);
        next -= basis.leftCols(made + 1) * (basis.leftCols(made + 1).transpose() * next);
      }
      below[made] = next.norm();
      if (made + 1 == steps || below[made] < 1e-12) {
        ++made;
        break;
      }
      basis.col(made + 1) = next / below[made];
    }
    Eigen::SelfAdjointEigenSolver<MatrixXd> solver;
    solver.computeFromTridiagonal(diagonal.head(made), below.head(std::max<int64_t>(0, made - 1)));
    largest = solver.eigenvalues()[made - 1];
    const VectorXd ritz = solver.eigenvectors().col(made - 1);
    const double residual = std::abs(below[made - 1] * ritz[made - 1]);
    start = basis.leftCols(made) * ritz;
    if (residual < kTolerance) break;
  }
  return std::max(0.0, 1 - largest);
}

}  // namespace filigree
