// Attention on a CUDA device in bfloat16, and how graphs become tiles.
#include <gtest/gtest.h>
#include <set>

#include "attention/kernels/graph_tiles.h"
#include "tests/attention/bfloat16_case.h"
#include "tests/attention/gated_case.h"

namespace filigree {

namespace {

using namespace testing_attention;

class DeviceAttention : public testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(EveryKind, DeviceAttention,
                         testing::Values(Kind::intervals, Kind::scattered, Kind::mixed));

/// The inputs in bf16, on the device; what they are rounded to stays in `c`.
Case to_bfloat16(Case& c) {
  Case rounded = c;
  for (auto member : {&Case::q, &Case::k, &Case::v, &Case::bias, &Case::seed}) {
    if (!(c.*member).defined()) continue;
    rounded.*member = (c.*member).to(DType::bf16);
    c.*member = (rounded.*member).to(DType::f64);
  }
  rounded.use(AttentionKernel::automatic, testing_device::kCuda);
  return rounded;
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

/// Heads that Hopper has kernels of its own for, from trial `first` on; before, of any size (0).
int64_t chunks(int trial, int first) { return trial < first ? 0 : trial % 2 == 0 ? 64 : 128; }

}  // namespace

TEST_P(DeviceAttention, Bfloat16IsCloseToTheCpu) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  RandomStream random(41, Purpose::test, {static_cast<uint64_t>(GetParam())});
  for (int trial = 0; trial < 8; ++trial) {
    Case c = random_case(random, GetParam(), trial < 6 ? 80 : 200, DType::f64);
    const Case rounded = to_bfloat16(c);
    const Tensors got = run(sparse_attention, rounded);
    expect_close_in_norm(got, run(sparse_attention, c));
    expect_same_bits(run(sparse_attention, rounded), got, "twice");
  }
}

// The head sizes that Hopper has kernels of its own for.
TEST_P(DeviceAttention, Bfloat16HeadsOfWholeChunksAreCloseToTheCpu) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  RandomStream random(45, Purpose::test, {static_cast<uint64_t>(GetParam())});
  for (const int64_t dim : {40, 64, 96, 128}) {
    for (const double dropout : {0.0, 0.3}) {
      SCOPED_TRACE("heads of " + std::to_string(dim) + ", dropout " + std::to_string(dropout));
      Case c = random_case(random, GetParam(), 150, DType::f64, dim);
      c.options.dropout = dropout;
      const Tensor bias = std::exchange(c.bias, Tensor());
      for (const bool biased : {false, true}) {
        if (biased) c.bias = bias;
        const Case rounded = to_bfloat16(c);
        const Tensors got = run(sparse_attention, rounded);
        expect_close_in_norm(got, run(sparse_attention, c));
        expect_same_bits(run(sparse_attention, rounded), got, "twice");
      }
    }
  }
}

// q, k and v side by side in one tensor, as layers have them: other strides, the same numbers.
TEST_P(DeviceAttention, Bfloat16WholeChunksInOneTensorGiveTheSameBits) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  RandomStream random(46, Purpose::test, {static_cast<uint64_t>(GetParam())});
  for (const int64_t dim : {64, 128}) {
    Case c = random_case(random, GetParam(), 100, DType::f64, dim);
    c.bias = Tensor();
    const Case rounded = to_bfloat16(c);
    const Tensors want = run(sparse_attention, rounded);
    const int64_t tokens = c.q.size(0), width = c.q.size(1);
    Tensor qkv({tokens, 3 * width}, DType::bf16);
    for (int64_t t = 0; t < tokens; ++t) {
      BFloat16* to = qkv.data<BFloat16>() + t * 3 * width;
      for (const Tensor* part : {&rounded.q, &rounded.k, &rounded.v}) {
        to = std::copy_n(part->data<BFloat16>() + t * width, width, to);
      }
    }
    const Variable input = leaf_on(qkv, testing_device::kCuda);
    const Variable o = sparse_attention_qkv(input, rounded.graph, rounded.options);
    backward(o, rounded.seed.to(testing_device::kCuda));
    const Tensors got = results_of(o, {input});
    expect_same_bits({got[0]}, {want[0]}, "output");
    for (int64_t t = 0; t < tokens; ++t) {
      for (size_t part = 0; part < 3; ++part) {
        const BFloat16* mine =
            got[1].data<BFloat16>() + (t * 3 + static_cast<int64_t>(part)) * width;
        const BFloat16* other = want[1 + part].data<BFloat16>() + t * width;
        for (int64_t d = 0; d < width; ++d) {
          ASSERT_EQ(mine[d].bits, other[d].bits) << "gradient " << part << ", token " << t;
        }
      }
    }
  }
}

TEST_P(DeviceAttention, Bfloat16GatesAreCloseToTheCpu) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  RandomStream random(43, Purpose::test, {static_cast<uint64_t>(GetParam())});
  for (int trial = 0; trial < 12; ++trial) {
    GatedCase c = random_gated_case(random, GetParam(), trial < 8 ? 80 : 150, chunks(trial, 8));
    SCOPED_TRACE("trial " + std::to_string(trial));
    // Closed distances have slopes of any size: open ones are compared.
    for (double& g : c.g.span<double>()) g = std::max(g, 0.25);
    GatedCase rounded = c;
    rounded.inputs = to_bfloat16(c.inputs);
    rounded.g = c.g.to(DType::bf16);
    c.g = rounded.g.to(DType::f64);
    const Tensors want = run(gated_attention, c);
    expect_close_in_norm(run(gated_attention, rounded), want, norm(want[3]));
  }
}

// Closed gates give the graph that is left, and NaN that nobody sees reaches nothing, in the
// kernels of tensor cores and in those that stand in for them.
TEST_P(DeviceAttention, Bfloat16ClosesGatesAndPassesNothingUnseen) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  RandomStream random(44, Purpose::test, {static_cast<uint64_t>(GetParam())});
  for (int trial = 0; trial < 8; ++trial) {
    GatedCase c = random_gated_case(random, GetParam(), 80, chunks(trial, 6));
    c.g.fill(0);
    GatedCase rounded = c;
    rounded.inputs = to_bfloat16(c.inputs);
    rounded.g = c.g.to(DType::bf16);
    Tensors got = run(gated_attention, rounded), want = run(gated_attention, c);
    got.erase(got.begin() + 4);  // of closed distances: of any size
    want.erase(want.begin() + 4);
    expect_close_in_norm(got, want, norm(want[3]));
  }
  int planted = 0;
  for (int trial = 0; trial < 10; ++trial) {
    const int kind = trial % 5;  // heads of any size, and of Hopper's, without bias and with it
    Case c = random_case(random, GetParam(), 80, DType::f64, kind == 0 ? 0 : kind < 3 ? 64 : 128);
    if (kind % 2 == 0) c.bias = Tensor();
    c.graph = without_some_keys(*c.graph);
    Case rounded = to_bfloat16(c);
    const Tensors clean = run(sparse_attention, rounded);
    const int64_t dim = c.q.size(1) / c.graph->heads();
    for (int h = 0; h < c.graph->heads(); ++h) {
      std::set<int64_t> seen;
      for (int64_t i = 0; i < c.graph->tokens(); ++i) {
        const auto row = c.graph->row(c.graph->group_of_head(h), i);
        seen.insert(row.begin(), row.end());
      }
      for (int64_t j = 0; j < c.graph->tokens(); ++j) {
        if (seen.contains(j)) continue;
        ++planted;
        for (int64_t d = 0; d < dim; ++d) {
          const int64_t at = (j * c.graph->heads() + h) * dim + d;
          rounded.k.data<BFloat16>()[at] = filigree::to_bfloat16(std::nanf(""));
          rounded.v.data<BFloat16>()[at] = filigree::to_bfloat16(HUGE_VALF);
        }
      }
    }
    expect_close_in_norm(run(sparse_attention, rounded), clean, norm(clean[3]));
  }
  EXPECT_GT(planted, 0);
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
