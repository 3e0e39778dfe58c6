// Sampler: which samples make up which batch, as a pure function.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace filigree {

class TokenDataset;

struct SamplerOptions {
  int64_t token_budget = 4096;  ///< tokens in a batch at most (a longer sample gets its own batch)
  int64_t max_sequences = 0;    ///< samples in a batch at most; 0: as many as fit
  bool shuffle = true;          ///< false: dataset order, for evaluation
  int64_t window = int64_t{1} << 20;  ///< samples that are shuffled together at most, see Sampler
  uint64_t seed = 0;
  int rank = 0;        ///< this process
  int world_size = 1;  ///< number of processes
};

/// Order of samples as a pure function of (seed, epoch, rank, world size): nothing to save but one
/// integer, the cursor.
///
/// An epoch holds every sample exactly once over all ranks, and as many batches on every rank, the
/// same number in every epoch. With `shuffle`, samples of similar length share a batch: samples are
/// put into buckets whose lengths differ by at most an eighth, shuffled within their bucket and
/// packed in the order of the buckets, each counted with its bucket's greatest length (so that the
/// division into batches is the same in every epoch); then the batches are shuffled. To make the
/// number of batches a multiple of the world size the largest batches are divided; where each holds
/// one sample only, as few as need be are paired, beyond the budget if it must be.
///
/// A dataset of more than `window` samples is divided into windows of like size of consecutive
/// samples, each with batches of its own; an epoch takes the windows one after the other, in an
/// order that is shuffled, too. So memory is O(window), however large the dataset.
class Sampler {
 public:
  /// `lengths`: tokens of every sample. Throws ConfigError for settings that make no sense,
  /// DataError for no samples or fewer samples than ranks. Cost O(N log window).
  Sampler(std::span<const int64_t> lengths, const SamplerOptions& options);
  Sampler(const TokenDataset& dataset, const SamplerOptions& options);

  /// Batches of this rank in one epoch, >= 1.
  int64_t batches_per_epoch() const;
  /// Samples of the batch at `cursor` >= 0 of this rank: batch cursor % batches_per_epoch() of
  /// epoch cursor / batches_per_epoch(). Thread-safe. Cost O(window log window) where the
  /// window changes, O(window) where the epoch does.
  std::vector<int64_t> batch(int64_t cursor) const;
  const SamplerOptions& options() const;

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

}  // namespace filigree
