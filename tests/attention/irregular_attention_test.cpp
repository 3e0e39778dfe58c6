// irregular_attention_qkv: the drawn graph, and the straight-through gradient of its logits.
#include <gtest/gtest.h>

#include "attention/degrees/distribution.h"
#include "attention/degrees/draws.h"
#include "core/error.h"
#include "core/parallel.h"
#include "tests/attention/irregular_case.h"

namespace filigree {

namespace {

using namespace testing_attention;

/// One head of one sequence, in plain loops.
struct Plain {
  const IrregularCase& c;
  int64_t h, b, first, n;

  double at(int64_t side, int64_t i, int64_t d) const {
    return c.qkv.at((first + i) * c.qkv.size(1) + (side * c.heads() + h) * c.dim() + d);
  }
  bool always(int64_t i, int64_t j) const {
    if (i == j) return true;
    if (!c.always) return false;
    const auto tokens = c.always->of(b);
    return std::find(tokens.begin(), tokens.end(), i) != tokens.end() ||
           std::find(tokens.begin(), tokens.end(), j) != tokens.end();
  }
  double score(int64_t i, int64_t j) const {
    double s = 0;
    for (int64_t d = 0; d < c.dim(); ++d) s += at(0, i, d) * at(1, j, d);
    s /= std::sqrt(static_cast<double>(c.dim()));
    if (!c.bias.defined()) return s;
    const int64_t reach = c.bias.size(1) / 2;
    return std::abs(j - i) > reach ? s : s + c.bias.at(h * c.bias.size(1) + reach + j - i);
  }
  double keep(int64_t i, int64_t j) const {
    if (c.options.dropout == 0) return 1;
    const auto column = static_cast<uint64_t>(first + j);
    const uint64_t key = mix_key({attention_dropout_key(c.options), static_cast<uint64_t>(h)});
    const RandomBlock bits = philox(key, static_cast<uint64_t>(first + i), column / 4);
    const bool kept = to_uniform(bits[column % 4]) >= static_cast<float>(c.options.dropout);
    return kept ? 1 / (1 - c.options.dropout) : 0;
  }
  /// <do_i, o_i> under weights m_ij e^{s_ij} / sum of them.
  double loss(int64_t i, const std::vector<double>& m) const {
    double sum = 0, total = 0;
    for (int64_t j = 0; j < n; ++j) {
      const double weight = m[static_cast<size_t>(j)] * std::exp(score(i, j));
      sum += weight;
      for (int64_t d = 0; d < c.dim(); ++d) {
        total += keep(i, j) * weight * at(2, j, d) *
                 c.seed.at((first + i) * c.seed.size(1) + h * c.dim() + d);
      }
    }
    return total / sum;
  }
};

/// The straight-through gradient by its definition: derivatives by m from central differences, the
/// jacobian of the softmax entry by entry.
Tensor logit_gradient_of(const IrregularCase& c) {
  Tensor result = Tensor::zeros(c.logits.shape(), DType::f64);
  const Tensor own = draw_reaches(c.degrees(Variable(c.logits)), c.tokens(), c.options);
  const int64_t count = c.reaches.count(), largest = c.reaches.largest();
  const int64_t* offsets = c.offsets.data<int64_t>();
  for (int64_t h = 0; h < c.heads(); ++h) {
    std::vector<double> row;
    for (int64_t k = 0; k < count; ++k) row.push_back(c.logits.at(h * count + k));
    const ReachDraws draws(
        reach_probabilities(row), c.tau,
        GraphKey{c.options.seed, c.options.step, c.options.layer, static_cast<int>(h)});
    for (int64_t b = 0; b + 1 < c.offsets.numel(); ++b) {
      const Plain plain{c, h, b, offsets[b], offsets[b + 1] - offsets[b]};
      for (int64_t i = 0; i < plain.n; ++i) {
        const auto reach = static_cast<int64_t>(own.at(h * c.tokens() + plain.first + i));
        std::vector<double> m(static_cast<size_t>(plain.n));
        for (int64_t j = 0; j < plain.n; ++j) {
          m[static_cast<size_t>(j)] = plain.always(i, j) || std::abs(j - i) <= reach;
        }
        std::vector<double> by_reach(static_cast<size_t>(count));  // C_ik
        for (int64_t j = 0; j < plain.n; ++j) {
          const int64_t distance = std::abs(j - i);
          if (plain.always(i, j) || distance > std::min(reach + c.margin, largest)) continue;
          std::vector<double> moved = m;
          const auto value = [&](double step) {
            moved[static_cast<size_t>(j)] = m[static_cast<size_t>(j)] + step;
            return plain.loss(i, moved);
          };
          constexpr double h4 = 1e-5;
          const double slope =
              (value(-2 * h4) - 8 * value(-h4) + 8 * value(h4) - value(2 * h4)) / (12 * h4);
          for (int64_t k = 0; k < count; ++k) {
            if (distance <= c.reaches[k]) by_reach[static_cast<size_t>(k)] += slope;
          }
        }
        std::vector<double> z(static_cast<size_t>(count));
        draws.soft(plain.first + i, z);
        for (int64_t k = 0; k < count; ++k) {
          for (int64_t l = 0; l < count; ++l) {
            const auto at = static_cast<size_t>(k), other = static_cast<size_t>(l);
            const double jacobian = z[other] * ((k == l) - z[at]) / c.tau;
            result.data<double>()[h * count + k] += jacobian * by_reach[other];
          }
        }
      }
    }
  }
  return result;
}

TEST(IrregularAttention, LogitsGetTheStraightThroughGradient) {
  RandomStream random(51, Purpose::test);
  for (int trial = 0; trial < 25; ++trial) {
    IrregularCase c = random_irregular_case(random, 9, 10);
    if (trial % 2 == 0) c.options.dropout = 0.3;
    c.options.kernel = kKernels[static_cast<size_t>(trial) % std::size(kKernels)].first;
    expect_close({run(c)[2]}, {logit_gradient_of(c)}, 1e-6, "logits");
  }
}

// Everything else is attention on the graph that was drawn.
TEST(IrregularAttention, IsAttentionOnTheDrawnGraph) {
  RandomStream random(52, Purpose::test);
  for (int trial = 0; trial < 25; ++trial) {
    IrregularCase c = random_irregular_case(random, 60, 40);
    if (trial % 2 == 0) c.options.dropout = 0.3;
    c.options.kernel = kKernels[static_cast<size_t>(trial) % std::size(kKernels)].first;
    const Tensors got = run(c);
    const Tensor own = draw_reaches(c.degrees(Variable(c.logits)), c.tokens(), c.options);
    // By the definition of the graph, row by row.
    std::vector<int> heads;
    for (int64_t h = 0; h < c.heads(); ++h) heads.push_back(static_cast<int>(h));
    const int64_t* offsets = c.offsets.data<int64_t>();
    const auto graph = std::make_shared<AttentionGraph>(AttentionGraph::from_rows(
        c.offsets, static_cast<int>(c.heads()), heads, [&](int g, int64_t b, int64_t i, Runs& out) {
          const Plain plain{c, g, b, offsets[b], offsets[b + 1] - offsets[b]};
          for (int64_t j = offsets[b]; j < offsets[b + 1]; ++j) {
            const bool near = std::abs(j - i) <= own.at(g * c.tokens() + i);
            if (near || plain.always(i - plain.first, j - plain.first)) append_run(out, j, j + 1);
          }
        }));
    const Variable qkv(c.qkv, true);
    const Variable bias = c.bias.defined() ? Variable(c.bias, true) : Variable();
    const Variable o = sparse_attention_qkv(qkv, graph, c.options, bias);
    backward(o, c.seed);
    Tensors want{o.value(), qkv.grad()};
    if (bias.defined()) want.push_back(bias.grad());
    Tensors without_logits{got[0], got[1]};
    if (bias.defined()) without_logits.push_back(got[3]);
    expect_close(without_logits, want, 1e-10, "the drawn graph");
  }
}

TEST(IrregularAttention, SameBitsOnAnyNumberOfThreads) {
  RandomStream random(53, Purpose::test);
  for (int trial = 0; trial < 6; ++trial) {
    IrregularCase c = random_irregular_case(random, trial < 5 ? 150 : 2500, 60);
    c.options.kernel = kKernels[static_cast<size_t>(trial) % std::size(kKernels)].first;
    for (Tensor* tensor : {&c.qkv, &c.logits, &c.bias, &c.seed}) {
      if (tensor->defined()) *tensor = tensor->to(DType::f32);
    }
    const int before = thread_count();
    set_thread_count(1);
    const Tensors one = run(c);
    set_thread_count(2);
    const Tensors two = run(c), again = run(c);
    set_thread_count(before);
    expect_same_bits(one, two, "1 and 2 threads");
    expect_same_bits(two, again, "twice");
  }
}

// Sequences of 2048 tokens and more are divided: slopes of all kernels agree.
TEST(IrregularAttention, LongSequencesEqualTheRowsKernel) {
  RandomStream random(54, Purpose::test);
  IrregularCase c = random_irregular_case(random, 5, 12);
  const int64_t n = 2200, heads = c.heads(), dim = 6;
  c.offsets = Tensor::from(std::vector<int64_t>{0, n});
  c.qkv = random_tensor(random, {n, 3 * heads * dim}, DType::f64);
  c.seed = random_tensor(random, {n, heads * dim}, DType::f64);
  c.bias = Tensor();
  c.always = std::make_shared<AlwaysOn>(AlwaysOn{{0, 1}, {0}});
  c.options.kernel = AttentionKernel::rows;
  const Tensors want = run(c);
  for (const auto& [kernel, name] : kKernels) {
    c.options.kernel = kernel;
    expect_close(run(c), want, 1e-10, name);
  }
}

// The rows kernel takes over a divided sequence when some of its parts are done: what these gave is
// not counted twice. The query that is not finite has nothing to give: it draws 0, and there is no
// margin.
TEST(IrregularAttention, PartsThatAreDoneAgainCountOnce) {
  RandomStream random(56, Purpose::test);
  IrregularCase c = random_irregular_case(random, 5, 12);
  const int64_t n = 2200, heads = 2, dim = 6;
  c.offsets = Tensor::from(std::vector<int64_t>{0, n});
  c.logits = random_tensor(random, {heads, c.reaches.count()}, DType::f64);
  c.qkv = random_tensor(random, {n, 3 * heads * dim}, DType::f64);
  c.seed = random_tensor(random, {n, heads * dim}, DType::f64);
  c.bias = Tensor();
  c.always = nullptr;
  c.margin = 0;
  const Tensor own = draw_reaches(c.degrees(Variable(c.logits)), n, c.options);
  int64_t bad = n - 1;  // in the last part
  while (own.at(bad) != 0) --bad;
  ASSERT_GT(bad, n - 100);
  c.qkv.data<double>()[bad * c.qkv.size(1)] = std::nan("");
  c.options.kernel = AttentionKernel::rows;
  const Tensor want = run(c)[2];
  for (const auto& [kernel, name] : kKernels) {
    c.options.kernel = kernel;
    const Tensor got = run(c)[2];
    double size = 0;
    for (int64_t e = 0; e < got.numel(); ++e) {
      EXPECT_NEAR(got.at(e), want.at(e), 1e-9) << name << " at " << e;
      size += std::abs(got.at(e));
    }
    EXPECT_GT(size, 1e-3);
  }
}

TEST(IrregularAttention, RefusesWhatDoesNotFit) {
  RandomStream random(55, Purpose::test);
  const IrregularCase good = random_irregular_case(random, 20, 10);
  EXPECT_NO_THROW(run(good));
  const auto wrong = [&](auto change) {
    IrregularCase c = good;
    change(c);
    run(c);
  };
  EXPECT_THROW(wrong([](auto& c) { c.reaches = Reaches::up_to(c.reaches.largest() + 1); }),
               ShapeError);
  const Tensor own = Tensor::from(std::vector<int32_t>{0, 3}).view({1, 2});
  const Tensor two = Tensor::from(std::vector<int64_t>{0, 2});
  EXPECT_NO_THROW(reach_graph(two, own, 0, 3, nullptr));
  EXPECT_THROW(reach_graph(two, own, 0, 2, nullptr), DataError);
  EXPECT_THROW(wrong([](auto& c) { c.tau = 0; }), ConfigError);
  EXPECT_THROW(wrong([](auto& c) { c.margin = -1; }), ConfigError);
  EXPECT_THROW(wrong([](auto& c) { c.logits = c.logits.to(DType::f32); }), DTypeError);
  EXPECT_THROW(wrong([](auto& c) {
                 c.logits = c.logits.clone();
                 c.logits.fill(std::nan(""));
               }),
               NumericError);
  EXPECT_THROW(wrong([](auto& c) {
                 c.offsets = c.offsets.clone();
                 c.offsets.template data<int64_t>()[c.offsets.numel() - 1] += 1;
               }),
               ShapeError);
  EXPECT_THROW(wrong([](auto& c) {
                 c.always = std::make_shared<AlwaysOn>(AlwaysOn{{0}, {}});
               }),
               ShapeError);
}

}  // namespace

}  // namespace filigree
