// sparse_attention against its dense reference, over random graphs, sizes and options.
#include "attention/sparse_attention.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <limits>

#include "autograd/backward.h"
#include "autograd/gradient_check.h"
#include "autograd/ops/reduce.h"
#include "core/error.h"
#include "core/parallel.h"
#include "core/random.h"

namespace filigree {
namespace {

Tensor random_tensor(RandomStream& random, const Shape& shape, DType dtype) {
  Tensor result(shape, DType::f64);
  for (double& value : result.span<double>()) value = random.normal();
  return result.to(dtype);
}

struct Case {
  std::shared_ptr<const AttentionGraph> graph;
  Tensor q, k, v, bias, seed;  // seed: gradient of the output
  AttentionOptions options;
};

/// What random graphs are made of: intervals, scattered columns, global columns, empty rows.
enum class Kind { intervals, scattered, mixed };

std::shared_ptr<const AttentionGraph> random_graph(RandomStream& random, const Tensor& offsets,
                                                   int heads, Kind kind) {
  const int groups = 1 + static_cast<int>(random.below(static_cast<uint64_t>(heads)));
  std::vector<int> group_of_head;
  for (int h = 0; h < heads; ++h) {
    group_of_head.push_back(static_cast<int>(random.below(static_cast<uint64_t>(groups))));
  }
  const int64_t* bounds = offsets.data<int64_t>();
  const bool globals = kind == Kind::mixed && random.below(2) == 0;
  const double density = random.uniform();
  const auto draw = [&](int64_t b, Runs& out) {
    const int64_t first = bounds[b], n = bounds[b + 1] - first;
    if (!globals && random.below(8) == 0) return;  // an empty row
    Runs runs;
    if (kind != Kind::scattered) {
      const auto lo = static_cast<int64_t>(random.below(static_cast<uint64_t>(n)));
      append_run(
          runs, first + lo,
          first + lo + 1 + static_cast<int64_t>(random.below(static_cast<uint64_t>(n - lo))));
    }
    Runs extras;
    if (kind != Kind::intervals) {
      for (int64_t j = 0; j < n; ++j) {
        if (random.uniform() < density * 0.3) append_run(extras, first + j, first + j + 1);
      }
    }
    Runs both, first_column;
    unite(runs, extras, both);
    if (globals) append_run(first_column, first, first + 1);
    unite(both, first_column, out);
  };
  // Drawn in order here: from_rows() asks from several threads.
  std::vector<std::vector<Runs>> rows(static_cast<size_t>(groups));
  for (std::vector<Runs>& group : rows) {
    for (int64_t b = 0; b + 1 < offsets.numel(); ++b) {
      for (int64_t i = bounds[b]; i < bounds[b + 1]; ++i) draw(b, group.emplace_back());
    }
  }
  return std::make_shared<AttentionGraph>(AttentionGraph::from_rows(
      offsets, groups, group_of_head, [&](int g, int64_t, int64_t i, Runs& out) {
        out = rows[static_cast<size_t>(g)][static_cast<size_t>(i)];
      }));
}

Case random_case(RandomStream& random, Kind kind, int64_t longest, DType dtype) {
  const auto below = [&](uint64_t bound) { return static_cast<int64_t>(random.below(bound)); };
  std::vector<int64_t> offsets{0};
  for (int64_t b = 1 + below(3); b > 0; --b) {
    offsets.push_back(offsets.back() + 1 + below(static_cast<uint64_t>(longest)));
  }
  // Heads of the largest sizes only where nothing is evaluated once an entry.
  const int64_t heads = 1 + below(3), dim = 1 + below(longest > 100 ? 24 : longest < 10 ? 12 : 128);
  Case c;
  c.graph = random_graph(random, Tensor::from(offsets), static_cast<int>(heads), kind);
  const Shape shape{offsets.back(), heads * dim};
  c.q = random_tensor(random, shape, dtype);
  c.k = random_tensor(random, shape, dtype);
  c.v = random_tensor(random, shape, dtype);
  c.seed = random_tensor(random, shape, dtype);
  if (below(2) == 0) c.bias = random_tensor(random, {heads, 2 * below(12) + 1}, dtype);
  if (below(2) == 0) c.options.dropout = 0.1 + 0.4 * random.uniform();
  c.options.seed = random.bits64();
  c.options.step = 3;
  c.options.layer = 1;
  return c;
}

using Op = Variable (*)(const Variable&, const Variable&, const Variable&,
                        std::shared_ptr<const AttentionGraph>, const AttentionOptions&,
                        const Variable&);

/// Output and gradients of q, k, v and bias.
Tensors run(Op op, const Case& c) {
  const Variable q(c.q, true), k(c.k, true), v(c.v, true);
  const Variable bias = c.bias.defined() ? Variable(c.bias, true) : Variable();
  const Variable o = op(q, k, v, c.graph, c.options, bias);
  if (o.requires_grad()) backward(o, c.seed);
  Tensors results{o.value()};
  for (const Variable& input : {q, k, v, bias}) {
    if (!input.defined()) continue;
    results.push_back(input.grad().defined() ? input.grad()
                                             : Tensor::zeros(input.shape(), input.dtype()));
  }
  return results;
}

double largest_difference(const Tensor& a, const Tensor& b) {
  double largest = 0;
  for (int64_t i = 0; i < a.numel(); ++i) {
    const double difference = std::abs(a.at(i) - b.at(i));
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}

void expect_close(const Tensors& got, const Tensors& want, double tolerance, const char* what) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    double size = 1;
    for (int64_t e = 0; e < want[i].numel(); ++e) size = std::max(size, std::abs(want[i].at(e)));
    EXPECT_LE(largest_difference(got[i], want[i]), tolerance * size) << what << ", tensor " << i;
  }
}

void expect_same_bits(const Tensors& a, const Tensors& b, const char* what) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(std::memcmp(a[i].raw(), b[i].raw(), static_cast<size_t>(a[i].bytes())), 0)
        << what << ", tensor " << i;
  }
}

constexpr std::pair<AttentionKernel, const char*> kKernels[] = {
    {AttentionKernel::automatic, "automatic"}, {AttentionKernel::rows, "rows"},
    {AttentionKernel::tiles, "tiles"},         {AttentionKernel::edges, "edges"},
    {AttentionKernel::mixed, "mixed"},
};

class EveryKind : public testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(SparseAttention, EveryKind,
                         testing::Values(Kind::intervals, Kind::scattered, Kind::mixed));

TEST_P(EveryKind, EqualsItsReference) {
  RandomStream random(11, Purpose::test, {static_cast<uint64_t>(GetParam())});
  for (int trial = 0; trial < 25; ++trial) {
    Case c = random_case(random, GetParam(), trial < 22 ? 40 : 300, DType::f64);
    const Tensors want = run(attention_reference, c);
    expect_close(run(sparse_attention, c), want, 1e-10, "automatic");
    for (const auto& [kernel, name] : kKernels) {
      c.options.kernel = kernel;
      expect_close(run(sparse_attention, c), want, 1e-10, name);
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
    for (const auto& [kernel, name] : kKernels) {
      c.options.kernel = kernel;
      expect_close(run(sparse_attention, c), want, 2e-5, name);
    }
  }
}

TEST_P(EveryKind, SameBitsOnAnyNumberOfThreads) {
  RandomStream random(13, Purpose::test, {static_cast<uint64_t>(GetParam())});
  for (int trial = 0; trial < 10; ++trial) {
    Case c = random_case(random, GetParam(), trial < 8 ? 150 : 600, DType::f32);
    c.options.kernel = kKernels[static_cast<size_t>(trial) % std::size(kKernels)].first;
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

// A NaN or Inf in a key or value that no query sees reaches nothing.
TEST_P(EveryKind, UnseenNaNsReachNothing) {
  RandomStream random(15, Purpose::test, {static_cast<uint64_t>(GetParam())});
  int hidden = 0;
  for (int trial = 0; trial < 30; ++trial) {
    Case c = random_case(random, GetParam(), 30, DType::f64);
    c.options.kernel = kKernels[static_cast<size_t>(trial) % std::size(kKernels)].first;
    const int heads = c.graph->heads();
    const int64_t dim = c.q.size(1) / heads;
    const Tensors clean = run(sparse_attention, c);
    for (int h = 0; h < heads; ++h) {
      std::vector<bool> seen(static_cast<size_t>(c.graph->tokens()));
      for (int64_t i = 0; i < c.graph->tokens(); ++i) {
        for (const int32_t j : c.graph->row(c.graph->group_of_head(h), i)) {
          seen[static_cast<size_t>(j)] = true;
        }
      }
      for (int64_t j = 0; j < c.graph->tokens(); ++j) {
        if (seen[static_cast<size_t>(j)]) continue;
        ++hidden;
        for (int64_t d = 0; d < dim; ++d) {
          c.k.data<double>()[j * heads * dim + h * dim + d] = std::nan("");
          c.v.data<double>()[j * heads * dim + h * dim + d] =
              std::numeric_limits<double>::infinity();
        }
      }
    }
    expect_close(run(sparse_attention, c), clean, 1e-12, "with NaN");
    expect_close(run(attention_reference, c), clean, 1e-10, "reference with NaN");
  }
  EXPECT_GT(hidden, 0);
}

// Values that nobody sees may be so large that <do, v> overflows.
TEST_P(EveryKind, UnseenHugeValuesReachNothing) {
  for (const auto& [kernel, name] : kKernels) {
    const Tensor offsets = Tensor::from(std::vector<int64_t>{0, 40});
    const auto graph = std::make_shared<AttentionGraph>(
        AttentionGraph::from_rows(offsets, 1, {0}, [](int, int64_t, int64_t i, Runs& out) {
          append_run(out, i < 8 ? 0 : i == 20 ? 19 : i - 8, i < 20 ? i + 1 : 20);
          if (i > 20) append_run(out, 21, i + 1);
        }));
    RandomStream random(16, Purpose::test, {static_cast<uint64_t>(GetParam())});
    Case c = random_case(random, GetParam(), 30, DType::f32);
    c.graph = graph;
    c.options.kernel = kernel;
    c.options.dropout = GetParam() == Kind{} ? 0.3 : 0;
    c.bias = {};
    for (Tensor* x : {&c.q, &c.k, &c.v, &c.seed}) {
      *x = Tensor({40, 16}, DType::f32);
      for (float& value : x->span<float>()) value = static_cast<float>(random.normal());
    }
    const Tensors clean = run(sparse_attention, c);
    for (int64_t d = 0; d < 16; ++d) {
      c.v.data<float>()[20 * 16 + d] = std::numeric_limits<float>::max();
      c.k.data<float>()[20 * 16 + d] = std::numeric_limits<float>::max();
    }
    const Tensors got = run(sparse_attention, c);
    for (size_t k = 0; k < got.size(); ++k) {
      for (int64_t e = 0; e < got[k].numel(); ++e) {
        ASSERT_EQ(got[k].at(e), clean[k].at(e)) << name << ", tensor " << k << " at " << e;
      }
    }
  }
}

// Scores of -inf count as no edge, for every kernel and the reference.
TEST(SparseAttention, RowsWhoseScoresAreAllMinusInfinityAreEmpty) {
  const Tensor offsets = Tensor::from(std::vector<int64_t>{0, 9});
  const auto graph = std::make_shared<AttentionGraph>(AttentionGraph::dense(offsets, 1));
  Tensor q({9, 16}, DType::f64), bias = Tensor::full({1, 1}, 0, DType::f64);
  RandomStream random(21, Purpose::test);
  for (double& value : q.span<double>()) value = random.normal();
  Tensor k = q.clone();
  for (int64_t d = 0; d < 16; ++d) q.data<double>()[4 * 16 + d] = d == 0 ? -1 : 0;
  for (int64_t j = 0; j < 9; ++j) {
    k.data<double>()[j * 16] = std::numeric_limits<double>::infinity();
    for (int64_t d = 1; d < 16; ++d) k.data<double>()[j * 16 + d] = 0;
  }
  for (const auto& [kernel, name] : kKernels) {
    AttentionOptions options;
    options.kernel = kernel;
    const Tensor o =
        sparse_attention(Variable(q), Variable(k), Variable(q), graph, options).value();
    const Tensor want = attention_reference(Variable(q), Variable(k), Variable(q), graph).value();
    for (int64_t d = 0; d < 16; ++d) {
      EXPECT_EQ(o.at(4 * 16 + d), 0) << name;
      EXPECT_EQ(want.at(4 * 16 + d), 0);
    }
  }
}

TEST(SparseAttention, ScalesThatMakeNoSenseAreRefused) {
  const auto graph = std::make_shared<AttentionGraph>(
      AttentionGraph::dense(Tensor::from(std::vector<int64_t>{0, 2}), 1));
  const Variable x(Tensor::full({2, 4}, 1, DType::f32));
  for (const double scale : {-1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    AttentionOptions options;
    options.scale = scale;
    EXPECT_THROW(sparse_attention(x, x, x, graph, options), ConfigError);
    EXPECT_THROW(attention_reference(x, x, x, graph, options), ConfigError);
  }
  EXPECT_THROW(attention_reference(x, x, x, nullptr), ShapeError);
}

// A NaN in a key that some rows see: exactly their outputs and gradients are NaN, and its own.
TEST(SparseAttention, ANaNReachesThoseWhoSeeItAndNobodyElse) {
  RandomStream random(19, Purpose::test);
  for (int trial = 0; trial < 40; ++trial) {
    Case c = random_case(random, static_cast<Kind>(trial % 3), 60, DType::f64);
    c.options.kernel = kKernels[static_cast<size_t>(trial) % std::size(kKernels)].first;
    c.options.dropout = 0;
    const int heads = c.graph->heads();
    const int64_t dim = c.q.size(1) / heads, tokens = c.graph->tokens();
    const Tensors clean = run(sparse_attention, c);
    const int64_t bad = static_cast<int64_t>(random.below(static_cast<uint64_t>(tokens)));
    const int bad_head = static_cast<int>(random.below(static_cast<uint64_t>(heads)));
    c.v.data<double>()[bad * heads * dim + bad_head * dim] = std::nan("");
    const Tensors got = run(sparse_attention, c);
    for (int64_t i = 0; i < tokens; ++i) {
      for (int h = 0; h < heads; ++h) {
        const auto row = c.graph->row(c.graph->group_of_head(h), i);
        const bool sees = h == bad_head && std::find(row.begin(), row.end(), bad) != row.end();
        for (int64_t d = 0; d < dim; ++d) {
          const int64_t at = i * heads * dim + h * dim + d;
          if (sees && d == 0) {
            EXPECT_TRUE(std::isnan(got[0].at(at))) << "row " << i;
          } else {
            EXPECT_NEAR(got[0].at(at), clean[0].at(at), 1e-10) << "row " << i;
          }
          // Its gradient flows through the scores of its own head alone.
          if (h != bad_head) {
            EXPECT_NEAR(got[1].at(at), clean[1].at(at), 1e-10) << "gradient of row " << i;
          } else if (!sees) {
            EXPECT_FALSE(std::isnan(got[1].at(at))) << "gradient of row " << i;
          }
        }
      }
    }
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
  for (const auto& [kernel, name] : kKernels) {
    SCOPED_TRACE(name);
    c.options.kernel = kernel;
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
