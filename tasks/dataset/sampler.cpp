#include "tasks/dataset/sampler.h"

#include <algorithm>
#include <fmt/format.h>
#include <mutex>
#include <numeric>

#include "core/error.h"
#include "core/random.h"
#include "tasks/dataset/dataset.h"

namespace filigree {

namespace {

template <class T>
void shuffle(std::span<T> values, RandomStream random) {
  for (size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[random.below(i)]);
}

std::vector<int64_t> lengths_of(const TokenDataset& dataset) {
  std::vector<int64_t> lengths(static_cast<size_t>(dataset.size()));
  for (int64_t i = 0; i < dataset.size(); ++i) lengths[static_cast<size_t>(i)] = dataset.length(i);
  return lengths;
}

}  // namespace

/// The division of an epoch into batches, which is the same in every epoch: batch b takes places
/// starts[b] .. starts[b+1]-1 of the order of the samples.
struct Sampler::Plan {
  SamplerOptions options;
  std::vector<int64_t> order;   // samples, bucket by bucket (or as they stand)
  std::vector<size_t> buckets;  // place where each bucket begins, and the end
  std::vector<size_t> starts;   // place where each batch begins, and the end
  mutable std::mutex mutex;     // guards the epoch that was asked for last
  mutable int64_t epoch = -1;
  mutable std::vector<int64_t> epoch_order;
  mutable std::vector<size_t> epoch_batches;

  void check(std::span<const int64_t> lengths) const;
  void make_buckets(std::span<const int64_t> lengths);
  void make_batches(std::span<const int64_t> lengths);
  void fit_world();
  void enter(int64_t wanted) const;
};

void Sampler::Plan::check(std::span<const int64_t> lengths) const {
  const auto fail = [](std::string_view option, std::string_view expected, int64_t got) {
    throw ConfigError(option, fmt::format("expected {}, got {}", expected, got));
  };
  if (options.token_budget < 1) fail("token_budget", "at least 1 token", options.token_budget);
  if (options.max_sequences < 0) fail("max_sequences", "0 or more", options.max_sequences);
  if (options.world_size < 1) fail("world_size", "at least 1 process", options.world_size);
  if (options.rank < 0 || options.rank >= options.world_size) {
    fail("rank", fmt::format("a rank from 0 to {}", options.world_size - 1), options.rank);
  }
  if (lengths.empty()) throw DataError("sampler", "the dataset holds no sample");
  if (static_cast<int64_t>(lengths.size()) < options.world_size) {
    throw DataError("sampler", fmt::format("expected at least one sample a process, got {} for {}",
                                           lengths.size(), options.world_size));
  }
}

void Sampler::Plan::make_buckets(std::span<const int64_t> lengths) {
  order.resize(lengths.size());
  std::iota(order.begin(), order.end(), 0);
  buckets = {0};
  if (options.shuffle) {
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

void Sampler::Plan::make_batches(std::span<const int64_t> lengths) {
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

void Sampler::Plan::fit_world() {
  const auto world = static_cast<size_t>(options.world_size);
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

void Sampler::Plan::enter(int64_t wanted) const {
  if (epoch == wanted) return;
  epoch_order = order;
  epoch_batches.resize(starts.size() - 1);
  std::iota(epoch_batches.begin(), epoch_batches.end(), 0);
  if (options.shuffle) {
    const auto number = static_cast<uint64_t>(wanted);
    for (size_t b = 0; b + 1 < buckets.size(); ++b) {
      shuffle(std::span(epoch_order).subspan(buckets[b], buckets[b + 1] - buckets[b]),
              RandomStream(options.seed, Purpose::shuffle, {number, 0, b}));
    }
    shuffle(std::span(epoch_batches), RandomStream(options.seed, Purpose::shuffle, {number, 1}));
  }
  epoch = wanted;
}

Sampler::Sampler(std::span<const int64_t> lengths, const SamplerOptions& options) {
  auto plan = std::make_shared<Plan>();
  plan->options = options;
  plan->check(lengths);
  plan->make_buckets(lengths);
  plan->make_batches(lengths);
  plan->fit_world();
  plan_ = std::move(plan);
}

Sampler::Sampler(const TokenDataset& dataset, const SamplerOptions& options)
    : Sampler(lengths_of(dataset), options) {}

int64_t Sampler::batches_per_epoch() const {
  return static_cast<int64_t>(plan_->starts.size() - 1) / plan_->options.world_size;
}

std::vector<int64_t> Sampler::batch(int64_t cursor) const {
  if (cursor < 0) {
    throw ConfigError("cursor", fmt::format("expected 0 or more, got {}", cursor));
  }
  const int64_t count = batches_per_epoch();
  const std::lock_guard lock(plan_->mutex);
  plan_->enter(cursor / count);
  const int64_t turn = cursor % count * plan_->options.world_size + plan_->options.rank;
  const size_t b = plan_->epoch_batches[static_cast<size_t>(turn)];
  const auto begin = plan_->epoch_order.begin();
  return {begin + static_cast<std::ptrdiff_t>(plan_->starts[b]),
          begin + static_cast<std::ptrdiff_t>(plan_->starts[b + 1])};
}

const SamplerOptions& Sampler::options() const { return plan_->options; }

}  // namespace filigree
