// The spectral gap, by Lanczos' method.
#include <Eigen/Dense>
#include <cmath>

#include "attention/report/flow.h"
#include "attention/runs.h"

namespace filigree {

namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

/// Columns of a row of group g, as runs that count from the sequence's first token.
void runs_of(const SequenceGraph& graph, int64_t i, std::vector<int32_t>& columns, Runs& runs) {
  runs.clear();
  const int64_t count = graph.row(i, columns.data());
  for (int64_t e = 0; e < count; ++e) {
    const int64_t j = columns[static_cast<size_t>(e)];
    append_run(runs, j, j + 1);
  }
}

/// D^-1/2 A D^-1/2 of one sequence; rows of A as runs, products by prefix sums.
class NormalisedAdjacency {
 public:
  NormalisedAdjacency(const AttentionGraph& graph, int64_t b) {
    const auto n = static_cast<size_t>(graph.groups() > 0 ? graph.sequence(0, b).length() : 0);
    rows_.resize(n);
    std::vector<Runs> transposed(n);
    std::vector<int32_t> columns(n);
    Runs one, both;
    for (size_t i = 0; i < n; ++i) {
      const auto row = static_cast<int64_t>(i);
      append_run(rows_[i], row, row + 1);
      for (int g = 0; g < graph.groups(); ++g) {
        runs_of(graph.sequence(g, b), row, columns, one);
        unite(rows_[i], one, both);
        rows_[i].swap(both);
      }
      for (const Run& run : rows_[i]) {
        for (int32_t j = run.lo; j < run.hi; ++j) {
          append_run(transposed[static_cast<size_t>(j)], row, row + 1);
        }
      }
    }
    root_degree_.resize(static_cast<Eigen::Index>(n));
    for (size_t i = 0; i < n; ++i) {
      unite(rows_[i], transposed[i], both);
      rows_[i].swap(both);
      root_degree_[static_cast<Eigen::Index>(i)] =
          std::sqrt(static_cast<double>(size_of(rows_[i])));
    }
  }
  int64_t size() const { return root_degree_.size(); }
  /// The eigenvector of the largest eigenvalue, 1.
  VectorXd top() const { return root_degree_.normalized(); }
  VectorXd times(const VectorXd& x) const {
    VectorXd below(size() + 1);  // sums of the first entries of D^-1/2 x
    below[0] = 0;
    for (int64_t i = 0; i < size(); ++i) below[i + 1] = below[i] + x[i] / root_degree_[i];
    VectorXd y(size());
    for (int64_t i = 0; i < size(); ++i) {
      double sum = 0;
      for (const Run& run : rows_[static_cast<size_t>(i)]) sum += below[run.hi] - below[run.lo];
      y[i] = sum / root_degree_[i];
    }
    return y;
  }

 private:
  std::vector<Runs> rows_;
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
