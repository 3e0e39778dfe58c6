// Sequences so long that the backward pass divides them, against the rows kernel, which does not.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>

#include "attention/kernels/schedule.h"
#include "attention/placement.h"
#include "attention/sparse_attention.h"
#include "autograd/backward.h"
#include "core/parallel.h"
#include "core/random.h"

namespace filigree {
namespace {

constexpr int kHeads = 2;
constexpr int64_t kDim = 5, kWidth = kHeads * kDim;
const std::vector<int64_t> kOffsets{0, 2500, 2600, 2600, 4800};

struct Inputs {
  std::shared_ptr<const AttentionGraph> graph;
  Tensor q, k, v, bias, seed;
};

Inputs inputs_for(const std::string& pattern) {
  SequenceBatch batch;
  batch.offsets = Tensor::from(kOffsets);
  RandomStream random(23, Purpose::test);
  const auto made = [&](const Shape& shape) {
    Tensor tensor(shape, DType::f64);
    for (double& value : tensor.span<double>()) value = random.normal();
    return tensor;
  };
  const Shape shape{kOffsets.back(), kWidth};
  return {AttentionPlan(pattern, "all", "all", 1, kHeads).build(batch, 1, 0).front(),
          made(shape),
          made(shape),
          made(shape),
          made({kHeads, 15}),
          made(shape)};
}

/// Output and the gradients of q, k, v and bias.
Tensors run(const Inputs& in, AttentionKernel kernel) {
  AttentionOptions options;
  options.kernel = kernel;
  options.dropout = 0.2;
  const Variable q(in.q, true), k(in.k, true), v(in.v, true), bias(in.bias, true);
  const Variable o = sparse_attention(q, k, v, in.graph, options, bias);
  backward(o, in.seed);
  return {o.value(), q.grad(), k.grad(), v.grad(), bias.grad()};
}

constexpr std::pair<AttentionKernel, const char*> kDivided[] = {{AttentionKernel::tiles, "tiles"},
                                                                {AttentionKernel::edges, "edges"},
                                                                {AttentionKernel::mixed, "mixed"}};

class LongSequence : public ::testing::TestWithParam<const char*> {};

}  // namespace

TEST_P(LongSequence, DividedOrNotTheSameGradients) {
  const Inputs in = inputs_for(GetParam());
  const Tensors want = run(in, AttentionKernel::rows);
  const int before = thread_count();
  for (const auto& [kernel, name] : kDivided) {
    SCOPED_TRACE(name);
    set_thread_count(1);
    const Tensors got = run(in, kernel);
    for (size_t k = 0; k < want.size(); ++k) {
      double worst = 0;
      for (int64_t i = 0; i < want[k].numel(); ++i) {
        worst = std::max(worst, std::abs(got[k].at(i) - want[k].at(i)));
      }
      EXPECT_LE(worst, 1e-10) << "tensor " << k;
    }
    set_thread_count(2);
    const Tensors again = run(in, kernel);
    for (size_t k = 0; k < want.size(); ++k) {
      EXPECT_EQ(std::memcmp(got[k].raw(), again[k].raw(), static_cast<size_t>(got[k].bytes())), 0);
    }
  }
  set_thread_count(before);
}

TEST_P(LongSequence, ANaNGivesWhatTheRowsKernelGives) {
  Inputs in = inputs_for(GetParam());
  in.v.data<double>()[1800 * kWidth] = std::nan("");
  const Tensors want = run(in, AttentionKernel::rows);
  for (const auto& [kernel, name] : kDivided) {
    SCOPED_TRACE(name);
    const Tensors got = run(in, kernel);
    for (size_t k = 0; k < want.size(); ++k) {
      for (int64_t i = 0; i < want[k].numel(); ++i) {
        if (std::isnan(want[k].at(i))) {
          ASSERT_TRUE(std::isnan(got[k].at(i))) << "tensor " << k << " at " << i;
        } else {
          ASSERT_NEAR(got[k].at(i), want[k].at(i), 1e-10) << "tensor " << k << " at " << i;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Patterns, LongSequence,
                         ::testing::Values("neighbour:40 | random:5 | global:cls", "random:12",
                                           "causal & neighbour:300", "block:700",
                                           "random:1 - self"));

TEST(LongSequence, PartsCoverTheRowsAndShareTheEdges) {
  for (const char* pattern :
       {"causal & dense", "neighbour:64", "dense", "neighbour:9 | random:3"}) {
    const Inputs in = inputs_for(pattern);
    const auto schedule =
        kernels::make_schedule(*in.graph, AttentionKernel::automatic, DType::f32, 64);
    for (size_t b = 0; b + 1 < kOffsets.size(); ++b) {
      const int64_t length = kOffsets[b + 1] - kOffsets[b];
      const SequenceGraph& graph = in.graph->sequence(0, static_cast<int64_t>(b));
      const auto& parts = schedule->at(0, static_cast<int64_t>(b)).parts;
      const bool divided = length >= kernels::kDividedLength;
      ASSERT_EQ(parts.size(), divided ? kernels::kParts : 1) << pattern;
      int64_t next = 0;
      std::vector<double> edges;
      std::vector<int32_t> row(static_cast<size_t>(length));
      for (const kernels::BackwardPart& part : parts) {
        EXPECT_EQ(part.first, next);
        next = part.last;
        edges.push_back(0);
        for (int64_t i = part.first; i < part.last; ++i) {
          const int64_t count = graph.row(i, row.data());
          edges.back() += static_cast<double>(count);
          if (count == 0) continue;
          EXPECT_GE(row.front(), part.keys.begin);
          EXPECT_LT(row[static_cast<size_t>(count) - 1], part.keys.end);
        }
      }
      EXPECT_EQ(next, length);
      const auto [least, most] = std::minmax_element(edges.begin(), edges.end());
      EXPECT_LE(*most, 1.35 * *least) << pattern << ", sequence " << b;
    }
  }
}

}  // namespace filigree
