#include "tasks/dataset/sampler_plan.h"

#include <algorithm>
#include <numeric>

#include "core/random.h"

namespace filigree {

namespace {

template <class T>
void shuffle_values(std::span<T> values, RandomStream random) {
  for (size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[random.below(i)]);
}

}  // namespace

SamplerPlan::SamplerPlan(const std::function<int64_t(int64_t)>& length_of, int64_t first,
                         int64_t last, const SamplerOptions& options) {
  std::vector<int64_t> lengths;
  for (int64_t i = first; i < last; ++i) lengths.push_back(length_of(i));
  make_buckets(lengths, options.shuffle);
  make_batches(lengths, options);
  fit_world(static_cast<size_t>(options.world_size));
  for (int64_t& sample : order) sample += first;
}

void SamplerPlan::make_buckets(std::span<const int64_t> lengths, bool by_length) {
  order.resize(lengths.size());
  std::iota(order.begin(), order.end(), 0);
  buckets = {0};
  if (by_length) {
    const auto length = [&](size_t place) { return lengths[static_cast<size_t>(order[place])]; };
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
      return lengths[static_cast<size_t>(a)] < lengths[static_cast<size_t>(b)];
    });
    for (size_t i = 1; i < order.size(); ++i) {
      const int64_t shortest = length(buckets.back());
      if (length(i) > shortest + shortest / 8) buckets.push_back(i);
    }
  }
  buckets.push_back(order.size());
}

void SamplerPlan::make_batches(std::span<const int64_t> lengths, const SamplerOptions& options) {
  starts = {0};
  int64_t tokens = 0;
  for (size_t bucket = 0; bucket + 1 < buckets.size(); ++bucket) {
    for (size_t i = buckets[bucket]; i < buckets[bucket + 1]; ++i) {
      const size_t counted = options.shuffle ? buckets[bucket + 1] - 1 : i;
      const int64_t length = lengths[static_cast<size_t>(order[counted])];
      const auto taken = static_cast<int64_t>(i - starts.back());
      if (taken > 0 && (tokens + length > options.token_budget || taken == options.max_sequences)) {
        starts.push_back(i);
        tokens = 0;
      }
      tokens += length;
    }
  }
  starts.push_back(order.size());
}

void SamplerPlan::fit_world(size_t world) {
  const auto size = [&](size_t b) { return starts[b + 1] - starts[b]; };
  while ((starts.size() - 1) % world != 0) {
    size_t largest = 0;
    for (size_t b = 1; b + 1 < starts.size(); ++b) {
      if (size(b) > size(largest)) largest = b;
    }
    if (size(largest) == 1) break;
    const size_t middle = starts[largest] + size(largest) / 2;
    starts.insert(starts.begin() + static_cast<std::ptrdiff_t>(largest) + 1, middle);
  }
  // Every batch is one sample, and there are some too many: the first pairs, the shortest ones.
  const size_t surplus = (starts.size() - 1) % world;
  for (size_t i = 0; i < surplus; ++i) {
    starts.erase(starts.begin() + 1 + static_cast<std::ptrdiff_t>(i));
  }
}

void SamplerPlan::shuffle(const SamplerOptions& options, uint64_t epoch, uint64_t window,
                          std::vector<int64_t>& samples, std::vector<size_t>& batches) const {
  samples = order;
  batches.resize(starts.size() - 1);
  std::iota(batches.begin(), batches.end(), 0);
  if (!options.shuffle) return;
  const uint64_t seed = window == 0 ? options.seed : mix_key({options.seed, window});
  for (size_t b = 0; b + 1 < buckets.size(); ++b) {
    shuffle_values(std::span(samples).subspan(buckets[b], buckets[b + 1] - buckets[b]),
                   RandomStream(seed, Purpose::shuffle, {epoch, 0, b}));
  }
  shuffle_values(std::span(batches), RandomStream(seed, Purpose::shuffle, {epoch, 1}));
}

void shuffle_by(uint64_t seed, std::initializer_list<uint64_t> key, std::span<int64_t> values) {
  shuffle_values(values, RandomStream(seed, Purpose::shuffle, key));
}

}  // namespace filigree
