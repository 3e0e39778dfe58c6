#include "attention/graph.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>

#include "attention/kernels/schedule.h"
#include "core/error.h"
#include "core/parallel.h"

namespace filigree {

namespace {

std::span<const int64_t> i64(const Tensor& tensor) { return tensor.span<int64_t>(); }

[[noreturn]] void throw_graph(std::string_view fault) { throw DataError("attention graph", fault); }

std::span<const int64_t> checked(const Tensor& offsets) {
  expect_offsets(offsets);
  return i64(offsets);
}

/// Graphs of sequences made one by one: make(group, b), called from several threads.
template <class Make>
std::vector<SequenceGraphs> make_groups(int64_t groups, int64_t sequences, Make make) {
  std::vector<SequenceGraphs> built(static_cast<size_t>(groups),
                                    SequenceGraphs(static_cast<size_t>(sequences)));
  parallel_for(groups * sequences, 1, [&](int64_t task) {
    const int64_t g = task / sequences, b = task % sequences;
    built[static_cast<size_t>(g)][static_cast<size_t>(b)] = make(static_cast<int>(g), b);
  });
  return built;
}

}  // namespace

void expect_offsets(const Tensor& offsets) {
  expect_rank("attention graph", "offsets", offsets, 1);
  const auto bounds = i64(offsets);
  if (bounds.empty() || bounds[0] != 0 || !std::is_sorted(bounds.begin(), bounds.end())) {
    throw_graph("offsets do not ascend from 0");
  }
  if (bounds.back() > INT32_MAX) throw_graph("more than 2^31 tokens in one batch");
}

AttentionGraph::AttentionGraph(Tensor offsets, std::vector<SequenceGraphs> groups,
                               std::vector<int> group_of_head)
    : offsets_(std::move(offsets)),
      groups_(std::move(groups)),
      group_of_head_(std::move(group_of_head)),
      schedules_(std::make_shared<kernels::BatchSchedules>()) {
  const auto bounds = checked(offsets_);
  tokens_ = bounds.back();
  for (const int g : group_of_head_) {
    if (g < 0 || g >= this->groups()) throw_graph("a head names a group that is not there");
  }
  for (size_t b = 0; b + 1 < bounds.size(); ++b) {
    const int64_t length = bounds[b + 1] - bounds[b];
    valid_pairs_ += length * length;
  }
  for (const SequenceGraphs& group : groups_) {
    if (group.size() + 1 != bounds.size()) {
      throw_graph(
          fmt::format("expected graphs of {} sequences, got {}", sequences(), group.size()));
    }
    int64_t edges = 0, empty = 0;
    for (size_t b = 0; b < group.size(); ++b) {
      if (!group[b] || group[b]->length() != bounds[b + 1] - bounds[b]) {
        throw_graph(fmt::format("the graph of sequence {} is absent or over other tokens", b));
      }
      edges += group[b]->edges();
      empty += group[b]->empty_rows();
    }
    edges_.push_back(edges);
    empty_rows_.push_back(empty);
  }
}

AttentionGraph AttentionGraph::dense(const Tensor& offsets, int heads) {
  const auto bounds = checked(offsets);
  SequenceGraphs group;
  for (size_t b = 0; b + 1 < bounds.size(); ++b) {
    group.push_back(SequenceGraph::dense(bounds[b + 1] - bounds[b]));
  }
  return AttentionGraph(offsets, {std::move(group)},
                        std::vector<int>(static_cast<size_t>(heads), 0));
}

AttentionGraph AttentionGraph::from_rows(
    const Tensor& offsets, int groups, std::vector<int> group_of_head,
    const std::function<void(int, int64_t, int64_t, Runs&)>& row) {
  const auto bounds = checked(offsets);
  const auto sequences = static_cast<int64_t>(bounds.size()) - 1;
  auto built = make_groups(groups, sequences, [&](int g, int64_t b) {
    const int64_t first = bounds[static_cast<size_t>(b)], last = bounds[static_cast<size_t>(b) + 1];
    return SequenceGraph::from_rows(last - first, [&, g, b](int64_t i, Runs& out) {
      row(g, b, first + i, out);
      if (!out.empty() && (out.front().lo < first || out.back().hi > last)) {
        throw_graph(fmt::format("row {} leaves its sequence", first + i));
      }
      for (Run& run : out) {
        run.lo -= static_cast<int32_t>(first);
        run.hi -= static_cast<int32_t>(first);
      }
    });
  });
  return AttentionGraph(offsets, std::move(built), std::move(group_of_head));
}

AttentionGraph AttentionGraph::from_reaches(const Tensor& offsets, const Tensor& left,
                                            const Tensor& right, std::vector<int> group_of_head) {
  const auto bounds = checked(offsets);
  expect_rank("attention graph", "left reaches", left, 2);
  const Shape shape{left.size(0), bounds.back()};
  expect_shape("attention graph", "left reaches", shape, left.shape());
  expect_shape("attention graph", "right reaches", shape, right.shape());
  const auto sequences = static_cast<int64_t>(bounds.size()) - 1;
  auto built = make_groups(left.size(0), sequences, [&](int g, int64_t b) {
    const int64_t first = bounds[static_cast<size_t>(b)];
    const auto length = static_cast<size_t>(bounds[static_cast<size_t>(b) + 1] - first);
    const auto at = static_cast<size_t>(g * bounds.back() + first);
    return SequenceGraph::from_reaches(left.span<int32_t>().subspan(at, length),
                                       right.span<int32_t>().subspan(at, length));
  });
  return AttentionGraph(offsets, std::move(built), std::move(group_of_head));
}

AttentionGraph AttentionGraph::as_csr() const {
  auto built =
      make_groups(groups(), sequences(), [&](int g, int64_t b) { return sequence(g, b).as_csr(); });
  return AttentionGraph(offsets_, std::move(built), group_of_head_);
}

int64_t AttentionGraph::row(int g, int64_t b, int64_t i, int32_t* out) const {
  const int64_t first = i64(offsets_)[static_cast<size_t>(b)];
  return sequence(g, b).row(i - first, out, static_cast<int32_t>(first));
}

std::vector<int32_t> AttentionGraph::row(int g, int64_t i) const {
  const auto bounds = i64(offsets_);
  const int64_t b = std::upper_bound(bounds.begin(), bounds.end(), i) - bounds.begin() - 1;
  std::vector<int32_t> columns(static_cast<size_t>(sequence(g, b).length()));
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

int64_t AttentionGraph::group_bytes(int g) const {
  const SequenceGraphs& group = groups_[static_cast<size_t>(g)];
  int64_t total = 0;
  for (const auto& graph : std::set(group.begin(), group.end())) total += graph->bytes();
  return total;
}

void AttentionGraph::prepare_for(Device device, const AttentionUse& use) const {
  if (device.is_cpu() || use.draws()) return;
  if (kernels::device_kernel(*this, device, use) == AttentionKernel::edges) {
    schedules_->edges.get(*this, device);
  } else {
    schedules_->tiles.get(*this, device);
  }
}

}  // namespace filigree
