// Random graphs, inputs and options of sparse attention, and what is expected of results, for
// tests.
#pragma once

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <utility>
#include <vector>

#include "attention/sparse_attention.h"
#include "autograd/backward.h"
#include "core/random.h"
#include "tests/cuda_device.h"

namespace filigree::testing_attention {

inline Tensor random_tensor(RandomStream& random, const Shape& shape, DType dtype) {
  Tensor result(shape, DType::f64);
  for (double& value : result.span<double>()) value = random.normal();
  return result.to(dtype);
}

inline constexpr std::pair<AttentionKernel, const char*> kKernels[] = {
    {AttentionKernel::automatic, "automatic"}, {AttentionKernel::rows, "rows"},
    {AttentionKernel::tiles, "tiles"},         {AttentionKernel::edges, "edges"},
    {AttentionKernel::mixed, "mixed"},
};

/// A way to compute attention: by one of the CPU's kernels, or on a device.
struct Way {
  AttentionKernel kernel;
  const char* name;
  Device device;
};
/// All that this build and machine have.
inline std::vector<Way> ways() {
  std::vector<Way> all;
  for (const auto& [kernel, name] : kKernels) all.push_back({kernel, name, kCpu});
  if (testing_device::has_cuda())
    all.push_back({AttentionKernel::automatic, "cuda", testing_device::kCuda});
  return all;
}

struct Case {
  std::shared_ptr<const AttentionGraph> graph;
  Tensor q, k, v, bias, seed;  // seed: gradient of the output
  AttentionOptions options;
  Device device = kCpu;  // where sparse_attention runs; the reference stays on the CPU

  void use(AttentionKernel kernel, Device on) {
    options.kernel = kernel;
    device = on;
  }
  /// The ways in turn.
  void use_nth(int trial) {
    const std::vector<Way> all = ways();
    const Way& way = all[static_cast<size_t>(trial) % all.size()];
    use(way.kernel, way.device);
  }
};

/// A leaf on the device; an undefined tensor gives an undefined one.
inline Variable leaf_on(const Tensor& tensor, Device device) {
  return tensor.defined() ? Variable(tensor.to(device), true) : Variable();
}
/// On the host: the output, then the gradients of the inputs that there are.
inline Tensors results_of(const Variable& output, const Variables& inputs) {
  Tensors results{output.value()};
  for (const Variable& input : inputs) {
    if (!input.defined()) continue;
    results.push_back(input.grad().defined() ? input.grad()
                                             : Tensor::zeros(input.shape(), input.dtype()));
  }
  for (Tensor& result : results) result = result.to(kCpu);
  return results;
}

/// What random graphs are made of: intervals, scattered columns, global columns, empty rows.
enum class Kind { intervals, scattered, mixed };

inline std::shared_ptr<const AttentionGraph> random_graph(RandomStream& random,
                                                          const Tensor& offsets, int heads,
                                                          Kind kind) {
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

/// fixed_dim: elements of a head, 0 to draw them.
inline Case random_case(RandomStream& random, Kind kind, int64_t longest, DType dtype,
                        int64_t fixed_dim = 0) {
  const auto below = [&](uint64_t bound) { return static_cast<int64_t>(random.below(bound)); };
  std::vector<int64_t> offsets{0};
  for (int64_t b = 1 + below(3); b > 0; --b) {
    offsets.push_back(offsets.back() + 1 + below(static_cast<uint64_t>(longest)));
  }
  // Heads of the largest sizes only where nothing is evaluated once an entry.
  const int64_t heads = 1 + below(3),
                drawn = 1 + below(longest > 100  ? 24
                                  : longest < 10 ? 12
                                                 : 128),
                dim = fixed_dim > 0 ? fixed_dim : drawn;
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
inline Tensors run(Op op, const Case& c) {
  const Device device = op == sparse_attention ? c.device : kCpu;
  const Variable q = leaf_on(c.q, device), k = leaf_on(c.k, device), v = leaf_on(c.v, device);
  const Variable bias = leaf_on(c.bias, device);
  const Variable o = op(q, k, v, c.graph, c.options, bias);
  if (o.requires_grad()) backward(o, c.seed.to(device));
  return results_of(o, {q, k, v, bias});
}

inline double largest_difference(const Tensor& a, const Tensor& b) {
  double largest = 0;
  for (int64_t i = 0; i < a.numel(); ++i) {
    const double difference = std::abs(a.at(i) - b.at(i));
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}

inline void expect_close(const Tensors& got, const Tensors& want, double tolerance,
                         const char* what) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    double size = 1;
    for (int64_t e = 0; e < want[i].numel(); ++e) size = std::max(size, std::abs(want[i].at(e)));
    EXPECT_LE(largest_difference(got[i], want[i]), tolerance * size) << what << ", tensor " << i;
  }
}

inline void expect_same_bits(const Tensors& a, const Tensors& b, const char* what) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(std::memcmp(a[i].raw(), b[i].raw(), static_cast<size_t>(a[i].bytes())), 0)
        << what << ", tensor " << i;
  }
}

}  // namespace filigree::testing_attention
