#include "attention/graph.h"

#include <algorithm>
#include <fmt/format.h>

#include "core/error.h"

namespace filigree {

namespace {

std::span<const int64_t> i64(const Tensor& tensor) { return tensor.span<int64_t>(); }
std::span<const int32_t> i32(const Tensor& tensor) { return tensor.span<int32_t>(); }

[[noreturn]] void throw_graph(std::string_view fault) { throw DataError("attention graph", fault); }

/// Collects the rows of one group and splits every row into interval, globals and extra columns.
class GroupBuilder {
 public:
  explicit GroupBuilder(const Tensor& offsets)
      : offsets_(i64(offsets)),
        lo_({offsets_.back()}, DType::i32),
        hi_({offsets_.back()}, DType::i32) {
    row_offsets_.push_back(0);
    global_offsets_.push_back(0);
  }

  template <class RowOf>
  void add_sequence(int64_t b, RowOf row_of) {
    const int64_t first = offsets_[static_cast<size_t>(b)];
    const int64_t length = offsets_[static_cast<size_t>(b) + 1] - first;
    rows_.resize(std::max(rows_.size(), static_cast<size_t>(length)));
    bool several = false;
    for (int64_t i = 0; i < length; ++i) {
      Runs& runs = rows_[static_cast<size_t>(i)];
      runs.clear();
      row_of(first + i, runs);
      several |= runs.size() > 1;
    }
    common_.clear();
    if (several) find_common(length);
    for (const Run& run : common_) {
      for (int32_t column = run.lo; column < run.hi; ++column) globals_.push_back(column);
    }
    global_offsets_.push_back(static_cast<int64_t>(globals_.size()));
    for (int64_t i = 0; i < length; ++i) add_row(first + i, rows_[static_cast<size_t>(i)]);
  }

  HeadGraph finish() {
    HeadGraph group{lo_, hi_, {}, {}, {}, {}};
    if (!columns_.empty()) {
      group.row_offsets = Tensor::from(row_offsets_);
      group.columns = Tensor::from(columns_);
    }
    if (!globals_.empty()) {
      group.global_offsets = Tensor::from(global_offsets_);
      group.global_columns = Tensor::from(globals_);
    }
    return group;
  }

 private:
  /// Columns that every row of the sequence sees.
  void find_common(int64_t length) {
    common_ = rows_[0];
    for (int64_t i = 1; i < length && !common_.empty(); ++i) {
      intersect(common_, rows_[static_cast<size_t>(i)], scratch_);
      common_.swap(scratch_);
    }
  }

  void add_row(int64_t i, const Runs& runs) {
    subtract(runs, common_, scratch_);
    Run longest{0, 0};
    for (const Run& run : runs) {
      if (run.hi - run.lo > longest.hi - longest.lo) longest = run;
    }
    // A row that has nothing beyond the globals needs no interval.
    if (scratch_.empty()) longest = common_.empty() ? longest : Run{0, 0};
    lo_.data<int32_t>()[i] = longest.lo;
    hi_.data<int32_t>()[i] = longest.hi;
    for (const Run& run : scratch_) {
      for (int32_t column = run.lo; column < run.hi; ++column) {
        if (column < longest.lo || column >= longest.hi) columns_.push_back(column);
      }
    }
    row_offsets_.push_back(static_cast<int64_t>(columns_.size()));
  }

  std::span<const int64_t> offsets_;
  Tensor lo_, hi_;
  std::vector<int64_t> row_offsets_, global_offsets_;
  std::vector<int32_t> columns_, globals_;
  std::vector<Runs> rows_;
  Runs common_, scratch_;
};

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
      group_of_head_(std::move(group_of_head)) {
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
  const auto offset = i64(offsets_);
  for (const int g : group_of_head_) {
    if (g < 0 || g >= groups()) throw_graph("a head names a group that is not there");
  }
  for (const HeadGraph& group : groups_) {
    expect_shape("attention graph", "lo", {tokens_}, group.lo.shape());
    expect_shape("attention graph", "hi", {tokens_}, group.hi.shape());
    const auto lo = i32(group.lo), hi = i32(group.hi);
    if (group.columns.defined()) {
      expect_shape("attention graph", "row_offsets", {tokens_ + 1}, group.row_offsets.shape());
      const auto rows = i64(group.row_offsets);
      if (rows[0] != 0 || rows.back() != group.columns.numel() ||
          !std::is_sorted(rows.begin(), rows.end())) {
        throw_graph("row offsets do not ascend from 0 to the number of columns");
      }
    }
    if (group.global_columns.defined()) {
      expect_shape("attention graph", "global_offsets", offsets_.shape(),
                   group.global_offsets.shape());
    }
    for (int64_t b = 0; b < sequences(); ++b) {
      const auto at = static_cast<size_t>(b);
      for (auto i = static_cast<size_t>(offset[at]); i < static_cast<size_t>(offset[at + 1]); ++i) {
        if (lo[i] < hi[i] && (lo[i] < offset[at] || hi[i] > offset[at + 1])) {
          throw_graph(fmt::format("the interval of row {} leaves its sequence", i));
        }
        if (!group.columns.defined()) continue;
        const auto rows = i64(group.row_offsets);
        const auto columns = i32(group.columns);
        for (int64_t e = rows[i]; e < rows[i + 1]; ++e) {
          const int32_t column = columns[static_cast<size_t>(e)];
          if (column < offset[at] || column >= offset[at + 1] ||
              (e > rows[i] && column <= columns[static_cast<size_t>(e) - 1]) ||
              (column >= lo[i] && column < hi[i])) {
            throw_graph(
                fmt::format("column {} of row {} leaves its sequence, does not ascend or is "
                            "in the row's interval",
                            column, i));
          }
        }
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
      std::span<const int32_t> globals;
      if (group.global_columns.defined()) {
        const auto bounds = i64(group.global_offsets);
        globals = i32(group.global_columns)
                      .subspan(static_cast<size_t>(bounds[b]),
                               static_cast<size_t>(bounds[b + 1] - bounds[b]));
      }
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
  std::vector<HeadGraph> built;
  for (int g = 0; g < groups; ++g) {
    GroupBuilder builder(offsets);
    for (int64_t b = 0; b + 1 < offsets.numel(); ++b) {
      builder.add_sequence(b, [&](int64_t i, Runs& out) { row(g, b, i, out); });
    }
    built.push_back(builder.finish());
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
