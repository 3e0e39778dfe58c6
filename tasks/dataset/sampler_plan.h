// The division of some samples into batches. Private to tasks/dataset.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "tasks/dataset/sampler.h"

namespace filigree {

/// Consecutive samples of a dataset and their batches, which are the same in every epoch: batch b
/// takes places starts[b] .. starts[b+1]-1 of the order of the samples.
struct SamplerPlan {
  /// Of samples first .. last-1, at least one a rank. Cost O(n log n).
  SamplerPlan(const std::function<int64_t(int64_t)>& length_of, int64_t first, int64_t last,
              const SamplerOptions& options);

  /// Batches of all ranks.
  int64_t batches() const { return static_cast<int64_t>(starts.size()) - 1; }
  /// The order of the samples and of the batches in an epoch. `window`: number of the plan.
  void shuffle(const SamplerOptions& options, uint64_t epoch, uint64_t window,
               std::vector<int64_t>& samples, std::vector<size_t>& batches) const;

  std::vector<int64_t> order;   // samples, bucket by bucket (or as they stand)
  std::vector<size_t> buckets;  // place where each bucket begins, and the end
  std::vector<size_t> starts;   // place where each batch begins, and the end

 private:
  void make_buckets(std::span<const int64_t> lengths, bool by_length);
  void make_batches(std::span<const int64_t> lengths, const SamplerOptions& options);
  void fit_world(size_t world);
};

/// Puts values in an order that the key alone decides.
void shuffle_by(uint64_t seed, std::initializer_list<uint64_t> key, std::span<int64_t> values);

}  // namespace filigree
