#include "attention/report/attention_statistics.h"

#include <cmath>
#include <fmt/format.h>

#include "attention/sparse_attention.h"
#include "core/error.h"
#include "core/parallel.h"

namespace filigree {

namespace {

constexpr std::string_view kWhere = "attention statistics";

/// Room for one row.
struct Row {
  std::vector<int32_t> keys, others;
  std::vector<double> weights;
  int64_t count = 0;

  void reserve(int64_t length) {
    if (static_cast<int64_t>(keys.size()) >= length) return;
    keys.resize(static_cast<size_t>(length));
    others.resize(static_cast<size_t>(length));
    weights.resize(static_cast<size_t>(length));
  }
};

/// Reads the checked inputs.
class Weights {
 public:
  explicit Weights(const AttentionInputs& inputs) : in_(inputs), heads_(0), dim_(0) {
    if (!in_.graph) throw ShapeError(kWhere, "the graph is missing");
    expect_rank(kWhere, "qkv", in_.qkv, 2);
    heads_ = in_.graph->heads();
    if (in_.qkv.size(0) != in_.graph->tokens() || heads_ == 0 || in_.qkv.size(1) % (3 * heads_)) {
      throw ShapeError(kWhere,
                       fmt::format("qkv {} does not fit {} tokens and {} heads",
                                   to_string(in_.qkv.shape()), in_.graph->tokens(), heads_));
    }
    dim_ = in_.qkv.size(1) / 3 / heads_;
    if (in_.bias.defined()) expect_attention_bias(kWhere, in_.bias, in_.qkv, heads_);
    scale_ = attention_scale(kWhere, in_.scale, dim_);
  }

  const AttentionGraph& graph() const { return *in_.graph; }

  void row(int head, int64_t b, int64_t i, Row& row) const {
    row.count = in_.graph->row(in_.graph->group_of_head(head), b, i, row.keys.data());
    dispatch_float(kWhere, in_.qkv.dtype(), [&]<class T>() { fill<T>(head, i, row); });
  }

 private:
  template <class T>
  void fill(int head, int64_t i, Row& row) const {
    const int64_t stride = in_.qkv.size(1);
    const T* q = in_.qkv.data<T>() + i * stride + head * dim_;
    const T* k = in_.qkv.data<T>() + (heads_ + head) * dim_;
    const int64_t reach = in_.bias.defined() ? in_.bias.size(1) / 2 : -1;
    const T* bias =
        in_.bias.defined() ? in_.bias.data<T>() + head * (2 * reach + 1) + reach : nullptr;
    double top = -INFINITY, sum = 0;
    for (int64_t e = 0; e < row.count; ++e) {
      const int64_t j = row.keys[static_cast<size_t>(e)];
      double score = 0;
      for (int64_t d = 0; d < dim_; ++d) {
        score += static_cast<double>(q[d]) * static_cast<double>(k[j * stride + d]);
      }
      score *= scale_;
      if (std::abs(j - i) <= reach) score += static_cast<double>(bias[j - i]);
      row.weights[static_cast<size_t>(e)] = score;
      top = std::max(top, score);
    }
    for (int64_t e = 0; e < row.count; ++e) {
      double& weight = row.weights[static_cast<size_t>(e)];
      weight = std::exp(weight - top);
      sum += weight;
    }
    for (int64_t e = 0; e < row.count; ++e) row.weights[static_cast<size_t>(e)] /= sum;
  }

  const AttentionInputs& in_;
  int64_t heads_, dim_;
  double scale_;
};

/// Sums over rows; divided by their number at the end.
struct Sums {
  HeadStatistics mean;
  int64_t several = 0;  // rows of more than one edge
};

void add_row(const Row& row, int64_t i, int64_t reach, Sums& sums) {
  HeadStatistics& s = sums.mean;
  ++s.rows;
  double entropy = 0;
  for (int64_t e = 0; e < row.count; ++e) {
    const double a = row.weights[static_cast<size_t>(e)];
    const int64_t offset = row.keys[static_cast<size_t>(e)] - i;
    if (a > 0) entropy -= a * std::log(a);
    s.distance += a * static_cast<double>(std::abs(offset));
    if (offset < -reach) {
      s.before += a;
    } else if (offset > reach) {
      s.after += a;
    } else {
      s.offset[static_cast<size_t>(offset + reach)] += a;
    }
  }
  s.entropy += entropy;
  if (row.count < 2) return;
  s.evenness += entropy / std::log(static_cast<double>(row.count));
  ++sums.several;
}

/// The weight of the row's keys that are among `others` too; both ascend.
double shared_weight(const Row& row, std::span<const int32_t> others) {
  double total = 0;
  size_t o = 0;
  for (int64_t e = 0; e < row.count; ++e) {
    const int32_t key = row.keys[static_cast<size_t>(e)];
    while (o < others.size() && others[o] < key) ++o;
    if (o < others.size() && others[o] == key) total += row.weights[static_cast<size_t>(e)];
  }
  return total;
}

void add(Sums& to, const Sums& from) {
  HeadStatistics& a = to.mean;
  const HeadStatistics& b = from.mean;
  a.rows += b.rows;
  to.several += from.several;
  for (const auto part :
       {&HeadStatistics::entropy, &HeadStatistics::evenness, &HeadStatistics::distance,
        &HeadStatistics::before, &HeadStatistics::after}) {
    a.*part += b.*part;
  }
  for (size_t k = 0; k < a.offset.size(); ++k) a.offset[k] += b.offset[k];
  for (size_t k = 0; k < a.kept.size(); ++k) a.kept[k] += b.kept[k];
}

HeadStatistics mean_of(Sums sums) {
  HeadStatistics& s = sums.mean;
  const double rows = s.rows == 0 ? 1 : static_cast<double>(s.rows);
  for (const auto part : {&HeadStatistics::entropy, &HeadStatistics::distance,
                          &HeadStatistics::before, &HeadStatistics::after}) {
    s.*part /= rows;
  }
  s.evenness /= sums.several == 0 ? 1 : static_cast<double>(sums.several);
  for (double& value : s.offset) value /= rows;
  for (double& value : s.kept) value /= rows;
  return s;
}

}  // namespace

void for_attention_rows(const AttentionInputs& inputs,
                        const std::function<void(const AttentionRow&)>& body) {
  const Weights weights(inputs);
  const AttentionGraph& graph = weights.graph();
  const int64_t* offsets = graph.offsets().data<int64_t>();
  Row row;
  for (int head = 0; head < graph.heads(); ++head) {
    for (int64_t b = 0; b < graph.sequences(); ++b) {
      row.reserve(offsets[b + 1] - offsets[b]);
      for (int64_t i = offsets[b]; i < offsets[b + 1]; ++i) {
        weights.row(head, b, i, row);
        const auto count = static_cast<size_t>(row.count);
        body({head, b, i, std::span(row.keys).first(count), std::span(row.weights).first(count)});
      }
    }
  }
}

std::vector<HeadStatistics> attention_statistics(
    const AttentionInputs& inputs, int64_t reach,
    const std::vector<std::shared_ptr<const AttentionGraph>>& candidates) {
  const Weights weights(inputs);
  const AttentionGraph& graph = weights.graph();
  for (const auto& candidate : candidates) {
    if (!candidate || candidate->heads() != graph.heads() ||
        !std::ranges::equal(candidate->offsets().span<int64_t>(),
                            graph.offsets().span<int64_t>())) {
      throw ShapeError(kWhere, "a candidate graph is over other tokens or heads");
    }
  }
  if (reach < 0) throw ConfigError(kWhere, fmt::format("expected a reach from 0, got {}", reach));
  const int64_t sequences = graph.sequences();
  const int64_t* offsets = graph.offsets().data<int64_t>();
  Sums empty;
  empty.mean.offset.assign(static_cast<size_t>(2 * reach + 1), 0);
  empty.mean.kept.assign(candidates.size(), 0);
  // A sum for every head and sequence, added in order: the same on any number of threads.
  std::vector<Sums> sums(static_cast<size_t>(graph.heads() * sequences), empty);
  parallel_for(static_cast<int64_t>(sums.size()), 1, [&](int64_t task) {
    const int head = static_cast<int>(task / sequences);
    const int64_t b = task % sequences;
    Row row;
    row.reserve(offsets[b + 1] - offsets[b]);
    Sums& mine = sums[static_cast<size_t>(task)];
    for (int64_t i = offsets[b]; i < offsets[b + 1]; ++i) {
      weights.row(head, b, i, row);
      if (row.count == 0) continue;
      add_row(row, i, reach, mine);
      for (size_t c = 0; c < candidates.size(); ++c) {
        const int64_t count =
            candidates[c]->row(candidates[c]->group_of_head(head), b, i, row.others.data());
        mine.mean.kept[c] +=
            shared_weight(row, std::span(row.others).first(static_cast<size_t>(count)));
      }
    }
  });
  std::vector<HeadStatistics> result;
  for (int head = 0; head < graph.heads(); ++head) {
    Sums total = empty;
    for (int64_t b = 0; b < sequences; ++b)
      add(total, sums[static_cast<size_t>(head * sequences + b)]);
    result.push_back(mean_of(std::move(total)));
  }
  return result;
}

}  // namespace filigree
