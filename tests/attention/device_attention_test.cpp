// Attention on a CUDA device in bfloat16, and how graphs become tiles.
#include <gtest/gtest.h>
#include <set>

#include "attention/kernels/graph_tiles.h"
#include "tests/attention/attention_case.h"

namespace filigree {

namespace {

using namespace testing_attention;

class DeviceAttention : public testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(EveryKind, DeviceAttention,
                         testing::Values(Kind::intervals, Kind::scattered, Kind::mixed));

double norm(const Tensor& x, const Tensor* minus = nullptr) {
  double sum = 0;
  for (int64_t i = 0; i < x.numel(); ++i) {
    const double value = x.at(i) - (minus ? minus->at(i) : 0);
    sum += value * value;
  }
  return std::sqrt(sum);
}

/// The edges (i, j) that the tiles of a row, or of a column, hold.
std::multiset<std::pair<int64_t, int64_t>> edges_of(const SequenceGraph& graph,
                                                    const kernels::SequenceTiles& tiles,
                                                    bool by_rows) {
  constexpr int64_t kSide = kernels::kTileRows;
  std::multiset<std::pair<int64_t, int64_t>> edges;
  const auto& bounds = by_rows ? tiles.row_bounds : tiles.column_bounds;
  const auto& entries = by_rows ? tiles.rows : tiles.columns;
  for (int64_t own = 0; own < tiles.blocks(); ++own) {
    for (int64_t e = bounds[static_cast<size_t>(own)]; e < bounds[static_cast<size_t>(own) + 1];
         ++e) {
      const auto [other, mask] = entries[static_cast<size_t>(e)];
      const int64_t query = kSide * (by_rows ? own : other), key = kSide * (by_rows ? other : own);
      for (int64_t i = query; i < std::min(query + kSide, graph.length()); ++i) {
        for (int64_t j = key; j < std::min(key + kSide, graph.length()); ++j) {
          const auto at = static_cast<size_t>(i);
          const bool in_interval = j >= graph.parts().lo[at] && j < graph.parts().hi[at];
          const bool seen =
              mask == kernels::kFullTile || (mask == kernels::kIntervalTile && in_interval) ||
              (mask >= 0 &&
               tiles.masks[static_cast<size_t>(mask * kSide + i - query)] >> (j - key) & 1);
          if (seen) edges.emplace(i, j);
        }
      }
    }
  }
  return edges;
}

}  // namespace

TEST_P(DeviceAttention, Bfloat16IsCloseToTheCpu) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  RandomStream random(41, Purpose::test, {static_cast<uint64_t>(GetParam())});
  for (int trial = 0; trial < 8; ++trial) {
    Case c = random_case(random, GetParam(), trial < 6 ? 80 : 200, DType::f64);
    Case rounded = c;
    for (auto member : {&Case::q, &Case::k, &Case::v, &Case::bias, &Case::seed}) {
      if (!(c.*member).defined()) continue;
      rounded.*member = (c.*member).to(DType::bf16);
      c.*member = (rounded.*member).to(DType::f64);
    }
    rounded.use(AttentionKernel::automatic, testing_device::kCuda);
    const Tensors want = run(sparse_attention, c), got = run(sparse_attention, rounded);
    ASSERT_EQ(got.size(), want.size());
    for (size_t k = 0; k < want.size(); ++k) {
      EXPECT_LE(norm(got[k], &want[k]), 2e-2 * norm(want[k])) << "tensor " << k;
    }
    expect_same_bits(run(sparse_attention, rounded), got, "twice");
  }
}

TEST_P(DeviceAttention, TilesHoldTheEdgesOfTheGraph) {
  RandomStream random(42, Purpose::test, {static_cast<uint64_t>(GetParam())});
  for (int trial = 0; trial < 12; ++trial) {
    const Case c = random_case(random, GetParam(), 200, DType::f32);
    for (int64_t b = 0; b < c.graph->sequences(); ++b) {
      const SequenceGraph& graph = c.graph->sequence(0, b);
      std::multiset<std::pair<int64_t, int64_t>> want;
      std::vector<int32_t> row(static_cast<size_t>(graph.length()));
      for (int64_t i = 0; i < graph.length(); ++i) {
        const int64_t count = graph.row(i, row.data());
        for (int64_t e = 0; e < count; ++e) want.emplace(i, row[static_cast<size_t>(e)]);
      }
      const kernels::SequenceTiles tiles = kernels::make_tiles(graph);
      EXPECT_EQ(edges_of(graph, tiles, true), want);
      EXPECT_EQ(edges_of(graph, tiles, false), want);
    }
  }
}

// A window needs no masks, a dense graph full tiles alone.
TEST(DeviceTiles, OfIntervalsHaveNoMasks) {
  const int64_t n = 4096, reach = 256;
  std::vector<int32_t> side(static_cast<size_t>(n), static_cast<int32_t>(reach));
  const auto window = kernels::make_tiles(*SequenceGraph::from_reaches(side, side));
  EXPECT_TRUE(window.masks.empty());
  EXPECT_EQ(window.rows.size(), 64U * 9 - 2 * (4 + 3 + 2 + 1));
  const auto dense = kernels::make_tiles(*SequenceGraph::dense(n));
  EXPECT_EQ(dense.rows.size(), 64U * 64);
  for (const auto& entry : dense.rows) ASSERT_EQ(entry.mask, kernels::kFullTile);
}

}  // namespace filigree
