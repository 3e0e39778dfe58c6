#include "tasks/dataset/sampler.h"

#include <algorithm>
#include <fmt/format.h>
#include <mutex>
#include <numeric>
#include <optional>

#include "core/error.h"
#include "tasks/dataset/dataset.h"
#include "tasks/dataset/sampler_plan.h"

namespace filigree {

/// The windows of a dataset, and of the one that was asked for last its batches.
struct Sampler::State {
  SamplerOptions options;
  int64_t samples = 0;
  std::function<int64_t(int64_t)> length_of;
  std::vector<int64_t> batches;  // (W) a window, of this rank
  int64_t batches_per_epoch = 0;

  mutable std::mutex mutex;  // guards all below
  mutable int64_t epoch = -1, window = -1, planned = -1;
  mutable std::vector<int64_t> windows;      // (W) in the epoch's order
  mutable std::optional<SamplerPlan> plan;   // of window `planned`
  mutable std::vector<int64_t> epoch_order;  // of its samples
  mutable std::vector<size_t> epoch_batches;

  State(std::function<int64_t(int64_t)> lengths, int64_t count, const SamplerOptions& wanted)
      : options(wanted), samples(count), length_of(std::move(lengths)) {
    check();
    const int64_t most = std::max<int64_t>(options.window, 2 * int64_t{options.world_size});
    batches.resize(static_cast<size_t>((samples + most - 1) / most));
    for (int64_t w = 0; w < std::ssize(batches); ++w) {
      make_plan(w);
      batches[static_cast<size_t>(w)] = plan->batches() / options.world_size;
      batches_per_epoch += batches[static_cast<size_t>(w)];
    }
  }

  void check() const;
  /// First sample of a window.
  int64_t begin_of(int64_t w) const { return samples * w / std::ssize(batches); }
  void make_plan(int64_t w) const {
    if (planned == w) return;
    plan.emplace(length_of, begin_of(w), begin_of(w + 1), options);
    planned = w;
  }
  void enter(int64_t wanted_epoch, int64_t wanted_window) const {
    if (epoch == wanted_epoch && window == wanted_window) return;
    make_plan(wanted_window);
    plan->shuffle(options, static_cast<uint64_t>(wanted_epoch),
                  static_cast<uint64_t>(wanted_window), epoch_order, epoch_batches);
    epoch = wanted_epoch;
    window = wanted_window;
  }
  /// Window of batch `turn` of this rank, which becomes its number in the window.
  int64_t find_window(int64_t wanted_epoch, int64_t& turn) const {
    if (windows.empty() || epoch != wanted_epoch) {
      windows.resize(batches.size());
      std::iota(windows.begin(), windows.end(), 0);
      if (options.shuffle) {
        shuffle_by(options.seed, {static_cast<uint64_t>(wanted_epoch), 2}, windows);
      }
    }
    for (const int64_t w : windows) {
      if (turn < batches[static_cast<size_t>(w)]) return w;
      turn -= batches[static_cast<size_t>(w)];
    }
    return windows.back();
  }
};

void Sampler::State::check() const {
  const auto fail = [](std::string_view option, std::string_view expected, int64_t got) {
    throw ConfigError(option, fmt::format("expected {}, got {}", expected, got));
  };
  if (options.token_budget < 1) fail("token_budget", "at least 1 token", options.token_budget);
  if (options.max_sequences < 0) fail("max_sequences", "0 or more", options.max_sequences);
  if (options.window < 1) fail("window", "at least 1 sample", options.window);
  if (options.world_size < 1) fail("world_size", "at least 1 process", options.world_size);
  if (options.rank < 0 || options.rank >= options.world_size) {
    fail("rank", fmt::format("a rank from 0 to {}", options.world_size - 1), options.rank);
  }
  if (samples == 0) throw DataError("sampler", "the dataset holds no sample");
  if (samples < options.world_size) {
    throw DataError("sampler", fmt::format("expected at least one sample a process, got {} for {}",
                                           samples, options.world_size));
  }
}

Sampler::Sampler(std::span<const int64_t> lengths, const SamplerOptions& options)
    : state_(std::make_shared<State>(
          [kept = std::vector<int64_t>(lengths.begin(), lengths.end())](int64_t sample) {
            return kept[static_cast<size_t>(sample)];
          },
          std::ssize(lengths), options)) {}

Sampler::Sampler(const TokenDataset& dataset, const SamplerOptions& options)
    : state_(std::make_shared<State>([dataset](int64_t sample) { return dataset.length(sample); },
                                     dataset.size(), options)) {}

int64_t Sampler::batches_per_epoch() const { return state_->batches_per_epoch; }

std::vector<int64_t> Sampler::batch(int64_t cursor) const {
  if (cursor < 0) {
    throw ConfigError("cursor", fmt::format("expected 0 or more, got {}", cursor));
  }
  const State& s = *state_;
  const std::lock_guard lock(s.mutex);
  const int64_t epoch = cursor / s.batches_per_epoch;
  int64_t turn = cursor % s.batches_per_epoch;
  s.enter(epoch, s.find_window(epoch, turn));
  turn = turn * s.options.world_size + s.options.rank;
  const size_t b = s.epoch_batches[static_cast<size_t>(turn)];
  const auto begin = s.epoch_order.begin();
  return {begin + static_cast<std::ptrdiff_t>(s.plan->starts[b]),
          begin + static_cast<std::ptrdiff_t>(s.plan->starts[b + 1])};
}

const SamplerOptions& Sampler::options() const { return state_->options; }

}  // namespace filigree
