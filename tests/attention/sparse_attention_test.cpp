// sparse_attention against its dense reference, over random graphs, sizes and options.
#include "attention/sparse_attention.h"

#include <gtest/gtest.h>

#include "autograd/gradient_check.h"
#include "autograd/ops/reduce.h"
#include "core/error.h"
#include "core/parallel.h"
#include "core/random.h"
#include "tests/attention/attention_case.h"

namespace filigree {

namespace {

using namespace testing_attention;

class EveryKind : public testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(SparseAttention, EveryKind,
                         testing::Values(Kind::intervals, Kind::scattered, Kind::mixed));

TEST_P(EveryKind, EqualsItsReference) {
  RandomStream random(11, Purpose::test, {static_cast<uint64_t>(GetParam())});
  for (int trial = 0; trial < 25; ++trial) {
    Case c = random_case(random, GetParam(), trial < 22 ? 40 : 300, DType::f64);
    const Tensors want = run(attention_reference, c);
    expect_close(run(sparse_attention, c), want, 1e-10, "automatic");
    for (const auto& [kernel, name, device] : ways()) {
      c.use(kernel, device);
      expect_close(run(sparse_attention, c), want, 1e-10, name);
    }
  }
}

// Sizes of heads that kernels are compiled for.
TEST_P(EveryKind, SpecialisedHeadsEqualTheReference) {
  RandomStream random(18, Purpose::test, {static_cast<uint64_t>(GetParam())});
  for (const int64_t dim : {16, 32, 64, 96, 128}) {
    Case c = random_case(random, GetParam(), 40, DType::f64);
    const Shape shape{c.graph->tokens(), c.graph->heads() * dim};
    for (Tensor* tensor : {&c.q, &c.k, &c.v, &c.seed}) {
      *tensor = random_tensor(random, shape, DType::f64);
    }
    const Tensors want = run(attention_reference, c);
    Case single = c;
    for (Tensor* tensor : {&single.q, &single.k, &single.v, &single.seed, &single.bias}) {
      if (tensor->defined()) *tensor = tensor->to(DType::f32);
    }
    for (const auto& [kernel, name, device] : ways()) {
      c.use(kernel, device);
      single.use(kernel, device);
      expect_close(run(sparse_attention, c), want, 1e-10, name);
      expect_close(run(sparse_attention, single), want, 2e-5, name);
    }
  }
}

TEST_P(EveryKind, SinglePrecisionIsCloseToDouble) {
  RandomStream random(12, Purpose::test, {static_cast<uint64_t>(GetParam())});
  for (int trial = 0; trial < 10; ++trial) {
    Case c = random_case(random, GetParam(), 60, DType::f64);
    const Tensors want = run(sparse_attention, c);
    for (Tensor* tensor : {&c.q, &c.k, &c.v, &c.bias, &c.seed}) {
      if (tensor->defined()) *tensor = tensor->to(DType::f32);
    }
    for (const auto& [kernel, name, device] : ways()) {
      c.use(kernel, device);
      expect_close(run(sparse_attention, c), want, 2e-5, name);
    }
  }
}

TEST_P(EveryKind, SameBitsOnAnyNumberOfThreads) {
  RandomStream random(13, Purpose::test, {static_cast<uint64_t>(GetParam())});
  for (int trial = 0; trial < 10; ++trial) {
    Case c = random_case(random, GetParam(), trial < 8 ? 150 : 600, DType::f32);
    c.use_nth(trial);
    const int before = thread_count();
    set_thread_count(1);
    const Tensors one = run(sparse_attention, c);
    set_thread_count(2);
    const Tensors two = run(sparse_attention, c), again = run(sparse_attention, c);
    set_thread_count(before);
    expect_same_bits(one, two, "1 and 2 threads");
    expect_same_bits(two, again, "twice");
  }
}

TEST_P(EveryKind, SameBitsHoweverTheGraphIsStored) {
  RandomStream random(14, Purpose::test, {static_cast<uint64_t>(GetParam())});
  for (int trial = 0; trial < 10; ++trial) {
    Case c = random_case(random, GetParam(), 80, DType::f32);
    c.options.kernel = AttentionKernel::rows;
    const Tensors intervals = run(sparse_attention, c);
    c.graph = std::make_shared<AttentionGraph>(c.graph->as_csr());
    expect_same_bits(run(sparse_attention, c), intervals, "CSR");
  }
}

TEST(SparseAttention, EmptyRowsGiveZeroAndNoGradient) {
  const Tensor offsets = Tensor::from(std::vector<int64_t>{0, 3});
  const auto graph = std::make_shared<AttentionGraph>(
      AttentionGraph::from_rows(offsets, 1, {0}, [](int, int64_t, int64_t i, Runs& out) {
        if (i == 1) append_run(out, 0, 2);
      }));
  EXPECT_EQ(graph->empty_rows(), 2);
  RandomStream random(1, Purpose::test);
  Case c{graph,
         random_tensor(random, {3, 4}, DType::f64),
         random_tensor(random, {3, 4}, DType::f64),
         random_tensor(random, {3, 4}, DType::f64),
         {},
         random_tensor(random, {3, 4}, DType::f64),
         {}};
  for (const auto& [kernel, name, device] : ways()) {
    SCOPED_TRACE(name);
    c.use(kernel, device);
    const Tensors results = run(sparse_attention, c);
    for (int64_t e = 0; e < 4; ++e) {
      EXPECT_EQ(results[0].at(e), 0);
      EXPECT_EQ(results[0].at(8 + e), 0);
      EXPECT_EQ(results[1].at(e), 0);
    }
  }
}

TEST(SparseAttention, NoTokens) {
  const auto graph = std::make_shared<AttentionGraph>(
      AttentionGraph::dense(Tensor::from(std::vector<int64_t>{0}), 2));
  const Variable x(Tensor::zeros({0, 8}, DType::f64), true);
  const Variable o = sparse_attention(x, x, x, graph);
  EXPECT_EQ(o.shape(), (Shape{0, 8}));
  backward(sum(o));
  EXPECT_EQ(x.grad().shape(), (Shape{0, 8}));
}

TEST(SparseAttention, FusedLayoutHasTheSameBits) {
  RandomStream random(16, Purpose::test);
  for (int trial = 0; trial < 10; ++trial) {
    const Case c = random_case(random, Kind::mixed, 50, DType::f32);
    const int64_t tokens = c.q.size(0), width = c.q.size(1);
    Tensor qkv({tokens, 3 * width});
    for (int64_t t = 0; t < tokens; ++t) {
      int64_t column = 0;
      for (const Tensor* part : {&c.q, &c.k, &c.v}) {
        qkv.slice(t, 1)
            .view({3 * width})
            .slice(column, width)
            .copy_from(part->slice(t, 1).view({width}));
        column += width;
      }
    }
    const Variable fused(qkv, true);
    const Variable bias = c.bias.defined() ? Variable(c.bias, true) : Variable();
    const Variable o = sparse_attention_qkv(fused, c.graph, c.options, bias);
    backward(o, c.seed);
    const Tensors want = run(sparse_attention, c);
    expect_same_bits({o.value()}, {want[0]}, "output");
    for (int64_t t = 0; t < tokens; ++t) {
      for (int part = 0; part < 3; ++part) {
        for (int64_t e = 0; e < width; ++e) {
          ASSERT_EQ(fused.grad().at(t * 3 * width + part * width + e),
                    want[static_cast<size_t>(part) + 1].at(t * width + e));
        }
      }
    }
  }
}

TEST(SparseAttention, GradientsAgreeWithCentralDifferences) {
  RandomStream random(17, Purpose::test);
  for (const Kind kind : {Kind::intervals, Kind::scattered, Kind::mixed}) {
    for (int trial = 0; trial < 3; ++trial) {
      Case c = random_case(random, kind, 5, DType::f64);
      Variables inputs{Variable(c.q, true), Variable(c.k, true), Variable(c.v, true)};
      if (c.bias.defined()) inputs.push_back(Variable(c.bias, true));
      const auto f = [&](const Variables& x) -> Variables {
        return {sparse_attention(x[0], x[1], x[2], c.graph, c.options,
                                 x.size() > 3 ? x[3] : Variable())};
      };
      const GradientCheck check = check_gradient(f, inputs);
      EXPECT_LE(check.largest_error, 1e-6) << check.worst;
    }
  }
}

TEST(SparseAttention, OnlyTheReferenceHasADoubleBackward) {
  RandomStream random(18, Purpose::test);
  Case c = random_case(random, Kind::mixed, 4, DType::f64);
  const Variables inputs{Variable(c.q, true), Variable(c.k, true), Variable(c.v, true)};
  const auto with = [&](Op op) {
    return [&c, op](const Variables& x) -> Variables {
      return {op(x[0], x[1], x[2], c.graph, c.options, Variable())};
    };
  };
  const GradientCheck check = check_double_gradient(with(attention_reference), inputs);
  EXPECT_LE(check.largest_error, 1e-6) << check.worst;
  try {
    check_double_gradient(with(sparse_attention), inputs);
    ADD_FAILURE() << "no error";
  } catch (const GradientError& error) {
    EXPECT_NE(std::string(error.what()).find("attention_reference"), std::string::npos);
  }
}

TEST(SparseAttention, RefusesWhatDoesNotFit) {
  const auto graph = std::make_shared<AttentionGraph>(
      AttentionGraph::dense(Tensor::from(std::vector<int64_t>{0, 4}), 2));
  const Variable x(Tensor::zeros({4, 6})), shorter(Tensor::zeros({3, 6})),
      odd(Tensor::zeros({4, 5}));
  EXPECT_THROW(sparse_attention(shorter, shorter, shorter, graph), ShapeError);
  EXPECT_THROW(sparse_attention(x, shorter, x, graph), ShapeError);
  EXPECT_THROW(sparse_attention(odd, odd, odd, graph), ShapeError);
  EXPECT_THROW(sparse_attention(x, x, x, nullptr), ShapeError);
  EXPECT_THROW(sparse_attention(x, x, x, graph, {.dropout = 1}), ConfigError);
  EXPECT_THROW(sparse_attention(x, x, x, graph, {}, Variable(Tensor::zeros({2, 4}))), ShapeError);
  EXPECT_THROW(sparse_attention(x, Variable(Tensor::zeros({4, 6}, DType::f64)), x, graph),
               DTypeError);
}

}  // namespace
}  // namespace filigree
