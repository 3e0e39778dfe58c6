// Sums by distance that the tasks of a backward pass make. Private to kernels.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "attention/kernels/sparse_attention.h"

namespace filigree::kernels {

/// Sums by distance that every task makes for itself, so that they are added up in a fixed order.
template <class T>
class DistanceSums {
 public:
  /// Distances -r .. r for `tasks`, r the smaller of `reach` and what `longest` tokens have; none
  /// if reach < 0.
  DistanceSums(int64_t reach, int64_t longest, size_t tasks)
      : reach_(std::min(reach, std::max<int64_t>(0, longest - 1))) {
    if (reach_ >= 0) sums_.assign(tasks * span(), T(0));
  }
  int64_t reach() const { return reach_; }
  /// The task's sums, pointing at distance 0; null for none.
  T* of(size_t task) { return reach_ < 0 ? nullptr : sums_.data() + task * span() + reach_; }
  void clear(size_t task, size_t count) {
    if (reach_ < 0) return;
    std::fill_n(sums_.begin() + static_cast<std::ptrdiff_t>(task * span()), count * span(), T(0));
  }

 private:
  size_t span() const { return static_cast<size_t>(2 * reach_ + 1); }
  int64_t reach_;
  std::vector<T> sums_;
};

/// The sums of one task: those of the bias and of a soft gate, null for none; those of an irregular
/// gate go on row by row.
template <class T>
struct TaskSums {
  T *dbias, *dgate;
  const IrregularGate& irregular;
  size_t task;
  int head;
  int64_t origin, length;  // packed token that row 0 is, and rows of the sequence

  /// Distances -row_reach() .. row_reach() of a row; -1: there is no irregular gate.
  int64_t row_reach() const { return std::min(irregular.reach, length - 1); }
  int64_t row_span() const { return irregular.reach < 0 ? 0 : 2 * row_reach() + 1; }
  /// What row i has there.
  void give(int64_t i, const T* row) const {
    thread_local std::vector<double> slopes;
    slopes.assign(static_cast<size_t>(irregular.reach + 1), 0);
    const T* middle = row + row_reach();
    for (int64_t d = 1; d <= row_reach(); ++d) {
      slopes[static_cast<size_t>(d)] =
          static_cast<double>(middle[d]) + static_cast<double>(middle[-d]);
    }
    irregular.slopes->add(task, head, origin + i, slopes);
  }
};

}  // namespace filigree::kernels
