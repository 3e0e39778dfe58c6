// filigree bench loss: the loss of a large vocabulary, in chunks and whole.
#include <fmt/format.h>

#include "autograd/backward.h"
#include "autograd/ops/chunked_cross_entropy.h"
#include "autograd/ops/cross_entropy.h"
#include "autograd/ops/linear.h"
#include "core/allocator.h"
#include "core/error.h"
#include "core/parallel.h"
#include "core/random.h"
#include "tools/filigree/bench.h"
#include "tools/filigree/options.h"
#include "tools/filigree/timing.h"

namespace filigree {

namespace {

struct Sizes {
  int64_t tokens = 8192, vocabulary = 32'000, width = 256, rounds = 3;
};

struct Inputs {
  Variable h, table, bias;
  Tensor labels;
};

Inputs inputs_for(const Sizes& sizes) {
  RandomStream random(1, Purpose::test);
  const auto made = [&](const Shape& shape, double size) {
    Tensor values(shape);
    for (float& value : values.span<float>()) value = static_cast<float>(size * random.normal());
    return Variable(values, true);
  };
  Tensor labels({sizes.tokens}, DType::i32);
  for (int32_t& label : labels.span<int32_t>()) {
    label = static_cast<int32_t>(random.below(static_cast<uint64_t>(sizes.vocabulary)));
  }
  return {made({sizes.tokens, sizes.width}, 1), made({sizes.vocabulary, sizes.width}, 0.1),
          made({sizes.vocabulary}, 0.1), labels};
}

/// Times and memory of forward and backward, what is there before left out.
struct Measured {
  std::vector<double> times;  // milliseconds
  int64_t peak = 0;
  double loss = 0;
};

template <class Loss>
void measure(Inputs& in, Loss loss, Measured& result) {
  release_cached();
  const int64_t before = memory_stats().in_use;
  reset_peak();
  result.times.push_back(milliseconds([&] {
    const Variable value = loss(in);
    backward(value);
    result.loss = value.value().item();
  }));
  result.peak = memory_stats().peak - before;
  for (Variable* leaf : {&in.h, &in.table, &in.bias}) leaf->zero_grad();
}

}  // namespace

int bench_loss(std::span<const std::string> words) {
  Sizes sizes;
  bool only_chunked = false;
  Options cli("bench loss [--tokens T --vocabulary V --width E]",
              "Times the softmax loss of T tokens with V classes, forward and backward: with the "
              "logits in chunks, and whole.");
  cli.add("tokens", sizes.tokens, "tokens, each with a target [8192]");
  cli.add("vocabulary", sizes.vocabulary, "classes [32000]");
  cli.add("width", sizes.width, "model dimension [256]");
  cli.add("rounds", sizes.rounds, "measurements of each, in turn [3]");
  cli.flag("chunked", only_chunked, "leave out the whole matrix");
  if (!cli.parse(words)) return 0;
  for (const int64_t value : {sizes.tokens, sizes.vocabulary, sizes.width, sizes.rounds}) {
    if (value < 1 || value > 1 << 20) {
      throw ConfigError("bench loss",
                        fmt::format("expected sizes and rounds from 1, got {}", value));
    }
  }
  Inputs in = inputs_for(sizes);
  Measured chunked, whole;
  for (int64_t round = 0; round < sizes.rounds; ++round) {
    measure(
        in, [](const Inputs& i) { return chunked_cross_entropy(i.h, i.table, i.bias, i.labels); },
        chunked);
    if (only_chunked) continue;
    measure(
        in, [](const Inputs& i) { return cross_entropy(linear(i.h, i.table, i.bias), i.labels); },
        whole);
  }
  const int64_t logits = 2 * sizes.tokens * sizes.vocabulary * size_of(DType::f32);
  fmt::print(
      "{} threads, {} tokens, vocabulary {}, width {}; logits and their gradient: {}\n"
      "{:<8} {:>12} {:>12} {:>16}\n",
      thread_count(), sizes.tokens, sizes.vocabulary, sizes.width, human_bytes(logits), "", "ms",
      "peak", "loss");
  for (const auto& [name, result] : {std::pair{"chunked", &chunked}, {"whole", &whole}}) {
    if (result->times.empty()) continue;
    fmt::print("{:<8} {:>12.0f} {:>12} {:>16.8g}\n", name, quantile(result->times, 0.5),
               human_bytes(result->peak), result->loss);
  }
  return 0;
}

}  // namespace filigree
