#include "attention/sequence_graph.h"

#include <algorithm>
#include <fmt/format.h>

#include "attention/kernels/schedule.h"
#include "core/error.h"

namespace filigree {

namespace {

using Parts = SequenceGraph::Parts;

[[noreturn]] void throw_graph(std::string_view fault) { throw DataError("attention graph", fault); }

void expect_size(std::string_view name, size_t expected, size_t got) {
  if (expected == got) return;
  throw ShapeError("attention graph",
                   fmt::format("expected {} of {}, got {}", name, expected, got));
}

template <class Owner>
void check_ascending(std::span<const int32_t> columns, int64_t length, Owner owner) {
  for (size_t e = 0; e < columns.size(); ++e) {
    if (columns[e] < 0 || columns[e] >= length || (e > 0 && columns[e] <= columns[e - 1])) {
      throw_graph(fmt::format("column {} of the {} leaves the sequence or does not ascend",
                              columns[e], owner()));
    }
  }
}

void check_row_offsets(const Parts& parts) {
  if (parts.columns.empty() && parts.row_offsets.empty()) return;
  expect_size("row offsets", parts.lo.size() + 1, parts.row_offsets.size());
  const auto& bounds = parts.row_offsets;
  if (bounds.front() != 0 || bounds.back() != static_cast<int64_t>(parts.columns.size()) ||
      !std::is_sorted(bounds.begin(), bounds.end())) {
    throw_graph("row offsets do not ascend from 0 to the number of columns");
  }
}

/// Row i's interval and extra columns are in the sequence, and no column counts twice.
void check_row(const Parts& parts, size_t i, std::span<const int32_t> extras) {
  const auto length = static_cast<int64_t>(parts.lo.size());
  const int32_t lo = parts.lo[i], hi = parts.hi[i];
  if (lo < hi && (lo < 0 || hi > length)) {
    throw_graph(fmt::format("the interval of row {} leaves the sequence", i));
  }
  check_ascending(extras, length, [i] { return fmt::format("extras of row {}", i); });
  auto global = parts.globals.begin();
  for (const int32_t column : extras) {
    global = std::lower_bound(global, parts.globals.end(), column);
    if ((column >= lo && column < hi) || (global != parts.globals.end() && *global == column)) {
      throw_graph(fmt::format("extra column {} of row {} is in its interval or global", column, i));
    }
  }
}

}  // namespace

SequenceGraph::SequenceGraph(Parts parts, Sound)
    : parts_(std::move(parts)), schedules_(std::make_shared<kernels::SequenceSchedules>()) {
  if (parts_.columns.empty()) parts_.row_offsets.clear();
  parts_.row_offsets.shrink_to_fit();  // graphs are kept
  parts_.columns.shrink_to_fit();
  count();
}

SequenceGraph::SequenceGraph(Parts parts)
    : schedules_(std::make_shared<kernels::SequenceSchedules>()) {
  if (parts.lo.size() > INT32_MAX) throw_graph("more than 2^31 tokens in one sequence");
  expect_size("ends of intervals", parts.lo.size(), parts.hi.size());
  check_row_offsets(parts);
  check_ascending(parts.globals, static_cast<int64_t>(parts.lo.size()), [] { return "globals"; });
  parts_ = std::move(parts);
  if (parts_.columns.empty()) parts_.row_offsets.clear();
  for (int64_t i = 0; i < length(); ++i) check_row(parts_, static_cast<size_t>(i), extras(i));
  count();
}

void SequenceGraph::count() {
  const auto& globals = parts_.globals;
  edges_ = static_cast<int64_t>(parts_.columns.size());
  for (int64_t i = 0; i < length(); ++i) {
    const int32_t lo = parts_.lo[static_cast<size_t>(i)], hi = parts_.hi[static_cast<size_t>(i)];
    int64_t here = std::max(0, hi - lo);
    if (!globals.empty()) {
      here += static_cast<int64_t>(globals.size());
      if (lo < hi) {
        here -= std::lower_bound(globals.begin(), globals.end(), hi) -
                std::lower_bound(globals.begin(), globals.end(), lo);
      }
    }
    edges_ += here;
    empty_rows_ += here == 0 && extras(i).empty();
  }
}

std::shared_ptr<const SequenceGraph> SequenceGraph::dense(int64_t length) {
  const auto n = static_cast<size_t>(length);
  Parts parts;
  parts.lo.assign(n, 0);
  parts.hi.assign(n, static_cast<int32_t>(length));
  return std::shared_ptr<const SequenceGraph>(new SequenceGraph(std::move(parts), Sound{}));
}

std::shared_ptr<const SequenceGraph> SequenceGraph::from_reaches(std::span<const int32_t> left,
                                                                 std::span<const int32_t> right) {
  expect_size("right reaches", left.size(), right.size());
  const auto length = static_cast<int64_t>(left.size());
  Parts parts;
  parts.lo.resize(left.size());
  parts.hi.resize(left.size());
  for (int64_t i = 0; i < length; ++i) {
    const auto at = static_cast<size_t>(i);
    if (left[at] < 0 || right[at] < 0) {
      throw_graph(fmt::format("expected reaches of 0 or more, got {} and {} at token {}", left[at],
                              right[at], i));
    }
    parts.lo[at] = static_cast<int32_t>(std::max<int64_t>(0, i - left[at]));
    parts.hi[at] = static_cast<int32_t>(std::min(length, i + right[at] + 1));
  }
  return std::shared_ptr<const SequenceGraph>(new SequenceGraph(std::move(parts), Sound{}));
}

std::shared_ptr<const SequenceGraph> SequenceGraph::as_csr() const {
  const auto n = static_cast<size_t>(length());
  Parts parts{std::vector<int32_t>(n, 0), std::vector<int32_t>(n, 0), {0}, {}, {}};
  std::vector<int32_t> scratch(n);
  for (int64_t i = 0; i < length(); ++i) {
    const int64_t count = row(i, scratch.data());
    parts.columns.insert(parts.columns.end(), scratch.begin(), scratch.begin() + count);
    parts.row_offsets.push_back(static_cast<int64_t>(parts.columns.size()));
  }
  return std::shared_ptr<const SequenceGraph>(new SequenceGraph(std::move(parts), Sound{}));
}

int64_t SequenceGraph::row(int64_t i, int32_t* out, int32_t shift) const {
  int32_t lo = parts_.lo[static_cast<size_t>(i)];
  const int32_t hi = parts_.hi[static_cast<size_t>(i)];
  int64_t count = 0;
  if (intervals_only()) {
    for (; lo < hi; ++lo) out[count++] = lo + shift;
    return count;
  }
  const std::span<const int32_t> extras = this->extras(i);
  const int32_t *extra = extras.data(), *extra_end = extra + extras.size();
  const int32_t *global = parts_.globals.data(), *global_end = global + parts_.globals.size();
  const int32_t first = lo;
  while (true) {
    while (global < global_end && *global >= first && *global < hi) ++global;  // counted there
    const int32_t next_extra = extra < extra_end ? *extra : INT32_MAX;
    const int32_t next_global = global < global_end ? *global : INT32_MAX;
    const int32_t next_lo = lo < hi ? lo : INT32_MAX;
    if (next_lo <= next_extra && next_lo <= next_global) {
      if (next_lo == INT32_MAX) return count;
      while (lo < hi) out[count++] = lo++ + shift;
    } else if (next_extra <= next_global) {
      out[count++] = next_extra + shift;
      ++extra;
    } else {
      out[count++] = next_global + shift;
      ++global;
    }
  }
}

int64_t SequenceGraph::bytes() const {
  const auto size = [](const auto& items) {
    return static_cast<int64_t>(items.size() * sizeof(items[0]));
  };
  return size(parts_.lo) + size(parts_.hi) + size(parts_.row_offsets) + size(parts_.columns) +
         size(parts_.globals);
}

}  // namespace filigree
