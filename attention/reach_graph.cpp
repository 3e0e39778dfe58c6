#include "attention/reach_graph.h"

#include <algorithm>
#include <fmt/format.h>

#include "attention/attention_arguments.h"
#include "core/error.h"

namespace filigree {

namespace {

constexpr std::string_view kWhere = "irregular_attention";

}  // namespace

std::shared_ptr<const AttentionGraph> reach_graph(const Tensor& offsets, const Tensor& own,
                                                  int64_t margin, int64_t most,
                                                  const AlwaysOn* always) {
  expect_offsets(offsets);
  const int64_t* bounds = offsets.data<int64_t>();
  const int64_t sequences = offsets.numel() - 1;
  expect_rank(kWhere, "reaches", own, 2);
  if (own.size(1) != bounds[sequences]) {
    throw ShapeError(kWhere, fmt::format("expected reaches of {} tokens, got {}", bounds[sequences],
                                         own.size(1)));
  }
  if (margin < 0)
    throw ConfigError(kWhere, fmt::format("expected a margin from 0, got {}", margin));
  if (always) expect_always_on(kWhere, *always, offsets);
  std::vector<SequenceGraphs> groups(static_cast<size_t>(own.size(0)));
  std::vector<int> group_of_head;
  for (int64_t h = 0; h < own.size(0); ++h) {
    group_of_head.push_back(static_cast<int>(h));
    for (int64_t b = 0; b < sequences; ++b) {
      const int64_t n = bounds[b + 1] - bounds[b];
      const int32_t* reach = own.data<int32_t>() + h * own.size(1) + bounds[b];
      SequenceGraph::Parts parts;
      for (int64_t i = 0; i < n; ++i) {
        if (reach[i] < 0 || reach[i] > most) {
          throw DataError(kWhere,
                          fmt::format("expected reaches from 0 to {}, got {}", most, reach[i]));
        }
        const int64_t to = std::min(reach[i] + margin, most);
        parts.lo.push_back(static_cast<int32_t>(std::max<int64_t>(0, i - to)));
        parts.hi.push_back(static_cast<int32_t>(std::min(n, i + to + 1)));
      }
      if (always) {
        const auto tokens = always->of(b);
        parts.globals.assign(tokens.begin(), tokens.end());
        for (const int32_t token : tokens) {
          parts.lo[static_cast<size_t>(token)] = 0;
          parts.hi[static_cast<size_t>(token)] = static_cast<int32_t>(n);
        }
      }
      groups[static_cast<size_t>(h)].push_back(
          std::make_shared<const SequenceGraph>(std::move(parts)));
    }
  }
  return std::make_shared<const AttentionGraph>(offsets, std::move(groups),
                                                std::move(group_of_head));
}

}  // namespace filigree
