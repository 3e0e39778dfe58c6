#include "attention/graph.h"

#include <algorithm>
#include <fmt/format.h>

#include "attention/kernels/schedule.h"
#include "core/error.h"
#include "core/parallel.h"

namespace filigree {

namespace {

std::span<const int64_t> i64(const Tensor& tensor) { return tensor.span<int64_t>(); }
std::span<const int32_t> i32(const Tensor& tensor) { return tensor.span<int32_t>(); }

[[noreturn]] void throw_graph(std::string_view fault) { throw DataError("attention graph", fault); }

/// Part k of a list of lists; empty if there is no list.
std::span<const int32_t> part_of(const Tensor& bounds, const Tensor& columns, size_t k) {
  if (!columns.defined()) return {};
  const auto bound = i64(bounds);
  return i32(columns).subspan(static_cast<size_t>(bound[k]),
                              static_cast<size_t>(bound[k + 1] - bound[k]));
}

/// The bounds of the parts of `columns` ascend from 0 to their number.
void check_bounds(const Tensor& bounds, const Tensor& columns, const Shape& shape,
                  std::string_view name) {
  if (!columns.defined()) return;
  if (!bounds.defined()) throw_graph(fmt::format("{} columns have no {} offsets", name, name));
  expect_shape("attention graph", fmt::format("{}_offsets", name), shape, bounds.shape());
  const auto bound = i64(bounds);
  if (bound[0] != 0 || bound.back() != columns.numel() ||
      !std::is_sorted(bound.begin(), bound.end())) {
    throw_graph(fmt::format("{} offsets do not ascend from 0 to the number of columns", name));
  }
}

template <class Owner>
void check_ascending(std::span<const int32_t> columns, Run sequence, Owner owner) {
  for (size_t e = 0; e < columns.size(); ++e) {
    if (columns[e] < sequence.lo || columns[e] >= sequence.hi ||
        (e > 0 && columns[e] <= columns[e - 1])) {
      throw_graph(fmt::format("column {} of the {} leaves its sequence or does not ascend",
                              columns[e], owner()));
    }
  }
}

/// Row i's interval and extra columns are in its sequence, and no column counts twice.
void check_row(const HeadGraph& group, size_t i, Run sequence, std::span<const int32_t> globals) {
  const int32_t lo = i32(group.lo)[i], hi = i32(group.hi)[i];
  if (lo < hi && (lo < sequence.lo || hi > sequence.hi)) {
    throw_graph(fmt::format("the interval of row {} leaves its sequence", i));
  }
  const auto columns = part_of(group.row_offsets, group.columns, i);
  check_ascending(columns, sequence, [i] { return fmt::format("extras of row {}", i); });
  auto global = globals.begin();
  for (const int32_t column : columns) {
    global = std::lower_bound(global, globals.end(), column);
    if ((column >= lo && column < hi) || (global != globals.end() && *global == column)) {
      throw_graph(fmt::format("extra column {} of row {} is in its interval or global", column, i));
    }
  }
}

/// The rows of one sequence of a group, split into interval, globals and extra columns.
struct SequencePart {
  std::vector<int32_t> columns, globals;
  std::vector<int64_t> counts;  // extra columns of every row; empty if no row has any
};

/// Splits sequences, one at a time; keeps its memory between them.
class SequenceSplitter {
 public:
  /// row_of(i, runs) gives the columns of packed row i of [first, last); writes lo and hi.
  template <class RowOf>
  SequencePart split(int64_t first, int64_t last, int32_t* lo, int32_t* hi, RowOf row_of) {
    const int64_t length = last - first;
    rows_.resize(std::max(rows_.size(), static_cast<size_t>(length)));
    bool several = false;
    for (int64_t i = 0; i < length; ++i) {
      Runs& runs = rows_[static_cast<size_t>(i)];
      runs.clear();
      row_of(first + i, runs);
      several |= runs.size() > 1;
    }
    SequencePart part;
    common_.clear();
    if (several) find_common(length);
    for (const Run& run : common_) append_columns(part.globals, run.lo, run.hi);
    if (several) part.counts.reserve(static_cast<size_t>(length));
    for (int64_t i = 0; i < length; ++i) {
      const Runs& runs = rows_[static_cast<size_t>(i)];
      const Run longest = several ? add_row(runs, part) : runs.empty() ? Run{0, 0} : runs[0];
      lo[first + i] = longest.lo;
      hi[first + i] = longest.hi;
    }
    if (part.columns.empty()) part.counts.clear();
    return part;
  }

 private:
  static void append_columns(std::vector<int32_t>& columns, int32_t lo, int32_t hi) {
    for (int32_t column = lo; column < hi; ++column) columns.push_back(column);
  }

  /// Columns that every row of the sequence sees.
  void find_common(int64_t length) {
    common_ = rows_[0];
    for (int64_t i = 1; i < length && !common_.empty(); ++i) {
      intersect(common_, rows_[static_cast<size_t>(i)], scratch_);
      common_.swap(scratch_);
    }
  }

  /// Adds the row's extra columns to `part`; returns its interval.
  Run add_row(const Runs& runs, SequencePart& part) {
    const Runs* rest = &runs;
    if (!common_.empty()) {
      subtract(runs, common_, scratch_);
      rest = &scratch_;
    }
    // A run that is global through and through would be stored twice: what counts is the rest.
    Run longest{0, 0};
    int64_t most = 0;
    auto piece = rest->begin();
    for (const Run& run : runs) {
      int64_t beyond = 0;
      for (; piece != rest->end() && piece->lo < run.hi; ++piece) beyond += piece->hi - piece->lo;
      if (beyond > most) {
        most = beyond;
        longest = run;
      }
    }
    const size_t before = part.columns.size();
    for (const Run& run : *rest) {
      if (run.lo < longest.lo || run.lo >= longest.hi) append_columns(part.columns, run.lo, run.hi);
    }
    part.counts.push_back(static_cast<int64_t>(part.columns.size() - before));
    return longest;
  }

  std::vector<Runs> rows_;
  Runs common_, scratch_;
};

/// The arrays of one group from its parts, in the order of the sequences.
HeadGraph join(std::span<const SequencePart> parts, std::span<const int64_t> offsets, Tensor lo,
               Tensor hi) {
  HeadGraph group{std::move(lo), std::move(hi), {}, {}, {}, {}};
  int64_t columns = 0, globals = 0;
  for (const SequencePart& part : parts) {
    columns += static_cast<int64_t>(part.columns.size());
    globals += static_cast<int64_t>(part.globals.size());
  }
  if (columns > 0) {
    group.columns = Tensor({columns}, DType::i32);
    group.row_offsets = Tensor({offsets.back() + 1}, DType::i64);
    int32_t* to = group.columns.data<int32_t>();
    int64_t* bound = group.row_offsets.data<int64_t>();
    *bound = 0;
    for (size_t b = 0; b < parts.size(); ++b) {
      to = std::copy(parts[b].columns.begin(), parts[b].columns.end(), to);
      for (int64_t i = 0; i < offsets[b + 1] - offsets[b]; ++i, ++bound) {
        bound[1] =
            bound[0] + (parts[b].counts.empty() ? 0 : parts[b].counts[static_cast<size_t>(i)]);
      }
    }
  }
  if (globals > 0) {
    std::vector<int64_t> bounds{0};
    std::vector<int32_t> all;
    for (const SequencePart& part : parts) {
      all.insert(all.end(), part.globals.begin(), part.globals.end());
      bounds.push_back(static_cast<int64_t>(all.size()));
    }
    group.global_offsets = Tensor::from(bounds);
    group.global_columns = Tensor::from(all);
  }
  return group;
}

}  // namespace

int64_t HeadGraph::bytes() const {
  int64_t total = 0;
  for (const Tensor* part : {&lo, &hi, &row_offsets, &columns, &global_offsets, &global_columns}) {
    if (part->defined()) total += part->bytes();
  }
  return total;
}

AttentionGraph::AttentionGraph(Tensor offsets, std::vector<HeadGraph> groups,
                               std::vector<int> group_of_head)
    : offsets_(std::move(offsets)),
      groups_(std::move(groups)),
      group_of_head_(std::move(group_of_head)),
      schedules_(std::make_shared<kernels::ScheduleCache>()) {
  expect_rank("attention graph", "offsets", offsets_, 1);
  const auto offset = i64(offsets_);
  if (offset.empty() || offset[0] != 0 || !std::is_sorted(offset.begin(), offset.end())) {
    throw_graph("offsets do not ascend from 0");
  }
  if (offset.back() > INT32_MAX) throw_graph("more than 2^31 tokens in one batch");
  tokens_ = offset.back();
  check();
  count();
}

void AttentionGraph::check() const {
  for (const int g : group_of_head_) {
    if (g < 0 || g >= groups()) throw_graph("a head names a group that is not there");
  }
  for (const HeadGraph& group : groups_) {
    expect_shape("attention graph", "lo", {tokens_}, group.lo.shape());
    expect_shape("attention graph", "hi", {tokens_}, group.hi.shape());
    check_bounds(group.row_offsets, group.columns, {tokens_ + 1}, "row");
    check_bounds(group.global_offsets, group.global_columns, offsets_.shape(), "global");
    const auto offset = i64(offsets_);
    for (size_t b = 0; b + 1 < offset.size(); ++b) {
      const Run sequence{static_cast<int32_t>(offset[b]), static_cast<int32_t>(offset[b + 1])};
      const auto globals = part_of(group.global_offsets, group.global_columns, b);
      check_ascending(globals, sequence, [b] { return fmt::format("globals of sequence {}", b); });
      for (auto i = static_cast<size_t>(sequence.lo); i < static_cast<size_t>(sequence.hi); ++i) {
        check_row(group, i, sequence, globals);
      }
    }
  }
}

void AttentionGraph::count() {
  const auto offset = i64(offsets_);
  for (size_t b = 0; b + 1 < offset.size(); ++b) {
    valid_pairs_ += (offset[b + 1] - offset[b]) * (offset[b + 1] - offset[b]);
  }
  for (const HeadGraph& group : groups_) {
    int64_t edges = group.columns.defined() ? group.columns.numel() : 0, empty = 0;
    const auto lo = i32(group.lo), hi = i32(group.hi);
    for (size_t b = 0; b + 1 < offset.size(); ++b) {
      const auto globals = part_of(group.global_offsets, group.global_columns, b);
      for (auto i = static_cast<size_t>(offset[b]); i < static_cast<size_t>(offset[b + 1]); ++i) {
        const int64_t width = std::max(0, hi[i] - lo[i]);
        const auto inside = width == 0
                                ? 0
                                : std::lower_bound(globals.begin(), globals.end(), hi[i]) -
                                      std::lower_bound(globals.begin(), globals.end(), lo[i]);
        const int64_t here = width + static_cast<int64_t>(globals.size()) - inside;
        edges += here;
        const bool extras =
            group.columns.defined() && i64(group.row_offsets)[i] < i64(group.row_offsets)[i + 1];
        empty += here == 0 && !extras;
      }
    }
    edges_.push_back(edges);
    empty_rows_.push_back(empty);
  }
}

AttentionGraph AttentionGraph::dense(const Tensor& offsets, int heads) {
  const auto offset = i64(offsets);
  HeadGraph group{
      Tensor({offset.back()}, DType::i32), Tensor({offset.back()}, DType::i32), {}, {}, {}, {}};
  auto lo = group.lo.span<int32_t>(), hi = group.hi.span<int32_t>();
  for (size_t b = 0; b + 1 < offset.size(); ++b) {
    std::fill(lo.begin() + offset[b], lo.begin() + offset[b + 1], static_cast<int32_t>(offset[b]));
    std::fill(hi.begin() + offset[b], hi.begin() + offset[b + 1],
              static_cast<int32_t>(offset[b + 1]));
  }
  return AttentionGraph(offsets, {group}, std::vector<int>(static_cast<size_t>(heads), 0));
}

AttentionGraph AttentionGraph::from_rows(
    const Tensor& offsets, int groups, std::vector<int> group_of_head,
    const std::function<void(int, int64_t, int64_t, Runs&)>& row) {
  const auto offset = i64(offsets);
  const auto sequences = static_cast<int64_t>(offset.size()) - 1;
  std::vector<Tensor> lo, hi;
  for (int g = 0; g < groups; ++g) {
    lo.emplace_back(Shape{offset.back()}, DType::i32);
    hi.emplace_back(Shape{offset.back()}, DType::i32);
  }
  std::vector<SequencePart> parts(static_cast<size_t>(groups * sequences));
  parallel_for(static_cast<int64_t>(parts.size()), 1, [&](int64_t task) {
    thread_local SequenceSplitter splitter;
    const int g = static_cast<int>(task / sequences);
    const auto at = static_cast<size_t>(g), b = static_cast<size_t>(task % sequences);
    parts[static_cast<size_t>(task)] =
        splitter.split(offset[b], offset[b + 1], lo[at].data<int32_t>(), hi[at].data<int32_t>(),
                       [&](int64_t i, Runs& out) { row(g, static_cast<int64_t>(b), i, out); });
  });
  std::vector<HeadGraph> built;
  for (int g = 0; g < groups; ++g) {
    const auto at = static_cast<size_t>(g);
    built.push_back(join(std::span(parts).subspan(at * static_cast<size_t>(sequences),
                                                  static_cast<size_t>(sequences)),
                         offset, lo[at], hi[at]));
  }
  return AttentionGraph(offsets, std::move(built), std::move(group_of_head));
}

AttentionGraph AttentionGraph::from_reaches(const Tensor& offsets, const Tensor& left,
                                            const Tensor& right, std::vector<int> group_of_head) {
  const auto offset = i64(offsets);
  expect_rank("attention graph", "left reaches", left, 2);
  const int64_t groups = left.size(0), tokens = offset.back();
  expect_shape("attention graph", "left reaches", {groups, tokens}, left.shape());
  expect_shape("attention graph", "right reaches", {groups, tokens}, right.shape());
  const int32_t *before = left.data<int32_t>(), *behind = right.data<int32_t>();
  std::vector<HeadGraph> built;
  for (int64_t g = 0; g < groups; ++g, before += tokens, behind += tokens) {
    HeadGraph group{Tensor({tokens}, DType::i32), Tensor({tokens}, DType::i32), {}, {}, {}, {}};
    int32_t *lo = group.lo.data<int32_t>(), *hi = group.hi.data<int32_t>();
    for (size_t b = 0; b + 1 < offset.size(); ++b) {
      for (int64_t i = offset[b]; i < offset[b + 1]; ++i) {
        if (before[i] < 0 || behind[i] < 0) {
          throw_graph(fmt::format("expected reaches of 0 or more, got {} and {} at token {}",
                                  before[i], behind[i], i));
        }
        lo[i] = static_cast<int32_t>(std::max(offset[b], i - before[i]));
        hi[i] = static_cast<int32_t>(std::min(offset[b + 1], i + behind[i] + 1));
      }
    }
    built.push_back(std::move(group));
  }
  return AttentionGraph(offsets, std::move(built), std::move(group_of_head));
}

AttentionGraph AttentionGraph::as_csr() const {
  std::vector<HeadGraph> result;
  std::vector<int32_t> scratch(static_cast<size_t>(tokens_));
  const auto offset = i64(offsets_);
  for (int g = 0; g < groups(); ++g) {
    std::vector<int64_t> rows{0};
    std::vector<int32_t> columns;
    for (int64_t b = 0; b < sequences(); ++b) {
      const auto at = static_cast<size_t>(b);
      for (int64_t i = offset[at]; i < offset[at + 1]; ++i) {
        const int64_t count = row(g, b, i, scratch.data());
        columns.insert(columns.end(), scratch.begin(), scratch.begin() + count);
        rows.push_back(static_cast<int64_t>(columns.size()));
      }
    }
    const Tensor none = Tensor::zeros({tokens_}, DType::i32);
    result.push_back({none, none, Tensor::from(rows), Tensor::from(columns), {}, {}});
  }
  return AttentionGraph(offsets_, std::move(result), group_of_head_);
}

int64_t AttentionGraph::row(int g, int64_t b, int64_t i, int32_t* out) const {
  const HeadGraph& graph = group(g);
  int32_t lo = graph.lo.data<int32_t>()[i];
  const int32_t hi = graph.hi.data<int32_t>()[i];
  if (graph.intervals_only()) {
    int64_t count = 0;
    for (; lo < hi; ++lo) out[count++] = lo;
    return count;
  }
  const int32_t *extra = nullptr, *extra_end = nullptr, *global = nullptr, *global_end = nullptr;
  if (graph.columns.defined()) {
    const int64_t* rows = graph.row_offsets.data<int64_t>();
    extra = graph.columns.data<int32_t>() + rows[i];
    extra_end = graph.columns.data<int32_t>() + rows[i + 1];
  }
  if (graph.global_columns.defined()) {
    const int64_t* bounds = graph.global_offsets.data<int64_t>();
    global = graph.global_columns.data<int32_t>() + bounds[b];
    global_end = graph.global_columns.data<int32_t>() + bounds[b + 1];
  }
  int64_t count = 0;
  const int32_t first = lo;
  while (true) {
    while (global < global_end && *global >= first && *global < hi) ++global;  // counted there
    const int32_t next_extra = extra < extra_end ? *extra : INT32_MAX;
    const int32_t next_global = global < global_end ? *global : INT32_MAX;
    const int32_t next_lo = lo < hi ? lo : INT32_MAX;
    if (next_lo <= next_extra && next_lo <= next_global) {
      if (next_lo == INT32_MAX) return count;
      while (lo < hi) out[count++] = lo++;
    } else if (next_extra <= next_global) {
      out[count++] = next_extra;
      ++extra;
    } else {
      out[count++] = next_global;
      ++global;
    }
  }
}

std::vector<int32_t> AttentionGraph::row(int g, int64_t i) const {
  const auto offset = i64(offsets_);
  const int64_t b = std::upper_bound(offset.begin(), offset.end(), i) - offset.begin() - 1;
  std::vector<int32_t> columns(
      static_cast<size_t>(offset[static_cast<size_t>(b) + 1] - offset[static_cast<size_t>(b)]));
  columns.resize(static_cast<size_t>(row(g, b, i, columns.data())));
  return columns;
}

double AttentionGraph::density() const {
  if (valid_pairs_ == 0 || heads() == 0) return 0;
  double total = 0;
  for (int head = 0; head < heads(); ++head) total += static_cast<double>(edges(head));
  return total / heads() / static_cast<double>(valid_pairs_);
}

int64_t AttentionGraph::empty_rows() const {
  int64_t total = 0;
  for (const int g : group_of_head_) total += empty_rows_[static_cast<size_t>(g)];
  return total;
}

int64_t AttentionGraph::bytes() const {
  int64_t total = offsets_.bytes();
  for (const HeadGraph& group : groups_) total += group.bytes();
  return total;
}

}  // namespace filigree
