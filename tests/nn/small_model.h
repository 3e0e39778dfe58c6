// Small models and batches for the tests of nn/.
#pragma once

#include <cstring>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <vector>

#include "attention/placement.h"
#include "core/parallel.h"
#include "core/random.h"
#include "nn/encoder.h"

namespace filigree::testing_nn {

/// While one lives, work runs on so many threads. One is by far the fastest for many tiny models:
/// threads that wait for each other cost more than the work.
class Threads {
 public:
  explicit Threads(int count) : before_(thread_count()) { set_thread_count(count); }
  ~Threads() { set_thread_count(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_;
};

/// Two layers of width 8 without dropout.
inline EncoderConfig small_config() {
  EncoderConfig config;
  config.vocabulary = 7;
  config.width = 8;
  config.layers = 2;
  config.heads = 2;
  config.ffn = 12;
  config.max_positions = 6;
  config.dropout = config.attention_dropout = 0;
  return config;
}

/// Every parameter, biases and norms too, drawn wide enough that no gradient vanishes.
inline void randomise(Module& module, uint64_t seed) {
  for (auto& [path, parameter, kind] : module.named_parameters()) {
    RandomStream random(seed, Purpose::test, {hash_name(path)});
    const double centre = path.ends_with("norm.weight") ? 1 : 0;
    Tensor values(parameter.shape(), DType::f64);
    for (double& value : values.span<double>()) value = centre + 0.3 * random.normal();
    parameter.value().copy_from(values.to(parameter.dtype()));
  }
}

/// Sequences of these lengths, with random ids and segments.
inline TokenBatch random_batch(const std::vector<int64_t>& lengths, const EncoderConfig& config,
                               uint64_t seed) {
  RandomStream random(seed, Purpose::test);
  std::vector<int32_t> ids, positions, segments;
  std::vector<int64_t> offsets{0};
  for (const int64_t length : lengths) {
    for (int64_t t = 0; t < length; ++t) {
      ids.push_back(static_cast<int32_t>(random.below(static_cast<uint64_t>(config.vocabulary))));
      positions.push_back(static_cast<int32_t>(t));
      if (config.segments > 0) {
        segments.push_back(
            static_cast<int32_t>(random.below(static_cast<uint64_t>(config.segments))));
      }
    }
    offsets.push_back(offsets.back() + length);
  }
  return {Tensor::from(ids), Tensor::from(positions),
          config.segments > 0 ? Tensor::from(segments) : Tensor(), Tensor::from(offsets)};
}

inline LayerGraphs graphs_of(const TokenBatch& batch, const EncoderConfig& config,
                             std::string_view pattern) {
  const AttentionPlan plan(pattern, "all", "all", static_cast<int>(config.layers),
                           static_cast<int>(config.heads));
  return plan.build({batch.offsets, {}, {}, {}}, 5, 0);
}

inline bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.bytes())) == 0;
}

/// Clones, which later training does not change.
inline StateDict copy_of(const StateDict& state) {
  StateDict copy;
  for (const auto& [name, tensor] : state) copy[name] = tensor.clone();
  return copy;
}

inline void expect_same_bits(const StateDict& a, const StateDict& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a) {
    ASSERT_TRUE(b.contains(name)) << name;
    EXPECT_TRUE(same_bits(tensor, b.at(name))) << name;
  }
}

/// The gradients of a module, by path.
inline StateDict gradients_of(const Module& module) {
  StateDict gradients;
  for (const auto& [path, parameter, kind] : module.named_parameters()) {
    if (parameter.grad().defined()) gradients[path] = parameter.grad().clone();
  }
  return gradients;
}

}  // namespace filigree::testing_nn
