#include "tools/filigree/crossover_cases.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <fmt/format.h>

#include "attention/placement.h"
#include "autograd/backward.h"
#include "core/random.h"
#include "tools/filigree/timing.h"

namespace filigree {

namespace {

/// (rows, width) normal numbers: a block of them, again and again. That it has a prime number of
/// them keeps rows apart.
Tensor normal_rows(int64_t rows, int64_t width, DType dtype) {
  constexpr int64_t kDrawn = 65521;
  RandomStream random(1, Purpose::test);
  Tensor drawn({kDrawn}, DType::f64);
  for (double& value : drawn.span<double>()) value = random.normal();
  const Tensor block = drawn.to(dtype);
  Tensor all({rows, width}, dtype);
  auto* to = static_cast<std::byte*>(all.raw());
  for (int64_t at = 0; at < all.bytes(); at += block.bytes()) {
    std::memcpy(to + at, block.raw(),
                static_cast<size_t>(std::min(block.bytes(), all.bytes() - at)));
  }
  return all;
}

}  // namespace

double CrossoverCase::time(AttentionKernel kernel) const { return quantile(times.at(kernel), 0.5); }

std::vector<CrossoverCase> make_cases(const std::vector<std::string>& patterns, int64_t sequences,
                                      int64_t length, int heads) {
  SequenceBatch batch;
  std::vector<int64_t> offsets{0};
  std::vector<uint8_t> special;
  for (int64_t b = 0; b < sequences; ++b) {
    offsets.push_back(offsets.back() + length);
    special.resize(static_cast<size_t>(offsets.back()), 0);
    special[static_cast<size_t>(offsets.back() - length)] = special.back() = 1;
  }
  batch.offsets = Tensor::from(offsets);
  batch.special = special;
  std::vector<CrossoverCase> cases;
  for (const std::string& pattern : patterns) {
    const AttentionPlan plan(pattern, "all", "all", 1, heads);
    cases.push_back({pattern, plan.build(batch, 1, 0).front(), {}});
  }
  return cases;
}

void measure(std::vector<CrossoverCase>& cases, std::span<const AttentionKernel> kernels,
             const AttentionUse& use, Device device, int64_t rounds) {
  if (cases.empty()) return;
  const int64_t tokens = cases.front().graph->tokens(), heads = cases.front().graph->heads();
  Variable input(normal_rows(tokens, 3 * heads * use.dim, use.dtype).to(device), true);
  const Tensor ones = Tensor::full({tokens, heads * use.dim}, 1, use.dtype, device);
  for (CrossoverCase& c : cases) c.times.clear();
  for (int64_t round = -1; round < rounds; ++round) {  // one that does not count
    for (CrossoverCase& c : cases) {
      for (const AttentionKernel kernel : kernels) {
        AttentionOptions options;
        options.kernel = kernel;
        const double time = milliseconds_on(
            device, [&] { backward(sparse_attention_qkv(input, c.graph, options), ones); });
        input.zero_grad();
        if (round >= 0) c.times[kernel].push_back(time * 1e6 / static_cast<double>(heads));
      }
    }
  }
}

std::vector<double> times_of(const std::vector<CrossoverCase>& cases, AttentionKernel kernel) {
  std::vector<double> times;
  for (const CrossoverCase& c : cases) times.push_back(c.time(kernel));
  return times;
}

double show(const std::vector<CrossoverCase>& cases, std::span<const AttentionKernel> kernels,
            const std::function<double(const CrossoverCase&, AttentionKernel)>& forecast,
            const std::function<AttentionKernel(const CrossoverCase&)>& choice) {
  double worst = 1;
  fmt::print("  {:<38} {:>8} ", "pattern", "density");
  for (const AttentionKernel kernel : kernels) {
    fmt::print(" {:>16}", fmt::format("{} us (cast)", name_of(kernel)));
  }
  fmt::print("  {:<7} {:>6}\n", "chosen", "x best");
  for (const CrossoverCase& c : cases) {
    fmt::print("  {:<38} {:>8.4f} ", c.pattern, c.graph->density());
    double best = INFINITY;
    for (const AttentionKernel kernel : kernels) {
      // Without scattered edges mixed is tiles, measured twice.
      const bool same =
          kernel == AttentionKernel::mixed && c.graph->sequence(0, 0).intervals_only();
      if (!same) best = std::min(best, c.time(kernel));
      fmt::print(" {:>7.0f} ({:>6.0f})", c.time(kernel) / 1e3, forecast(c, kernel) / 1e3);
    }
    const AttentionKernel chosen = choice(c);
    const double ratio = c.time(chosen) / best;
    worst = std::max(worst, ratio);
    fmt::print("  {:<7} {:>6.2f}\n", name_of(chosen), ratio);
  }
  return worst;
}

}  // namespace filigree
