// Counter-based random numbers: a number is a pure function of what it is for.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace filigree {

/// What a stream of random numbers is for: the first part of every key, so that no two uses ever
/// share numbers.
enum class Purpose : uint32_t {
  init = 1,           ///< parameter initialisation: (parameter name hash)
  dropout,            ///< (step, layer path hash)
  attention_dropout,  ///< (step, layer, head, query, key)
  shuffle,            ///< sample order: (epoch)
  pattern,            ///< random edges: (layer, head, query ...)
  generate,           ///< the built-in language: (sentence)
  bootstrap,          ///< statistics
  test,
  share,         ///< which edges a share keeps: (sequence, layer, head, query, key)
  masking,       ///< hidden tokens: (epoch, sample)
  degree_draws,  ///< reaches drawn while degrees are learned: (step, layer, head, token, reach)
  degree_shift,  ///< where the frozen reaches of a head start: (layer, head)
  head_gates,    ///< noise of the gates of heads: (step, layer, head)
  rewired,       ///< null model of a pattern: (layer, head, its edges)
  shuffled,      ///< null model of a pattern: (layer, head, its edges, query)
};

/// 128 random bits.
using RandomBlock = std::array<uint32_t, 4>;

/// Philox4x32-10 (Salmon et al., SC'11; Random123): random bits as a pure function of a 64-bit key
/// and a 128-bit counter. Same on CPU and CUDA.
RandomBlock philox(uint64_t key, uint64_t counter_high, uint64_t counter_low);

/// Mixes words into one 64-bit key (Philox in a chain); order matters.
uint64_t mix_key(std::initializer_list<uint64_t> words);
/// Stable 64-bit hash of a name (XXH3), for keys.
uint64_t hash_name(std::string_view name);

/// Uniform in [0, 1) from 32 bits, exactly representable in float: (bits >> 8) * 2^-24.
inline float to_uniform(uint32_t bits) { return static_cast<float>(bits >> 8) * 0x1p-24f; }

/// A stream of numbers for sequential use on the host, named by its key: the same
/// (seed, purpose, ids) gives the same numbers, whatever ran before. Nothing to save.
class RandomStream {
 public:
  RandomStream(uint64_t seed, Purpose purpose, std::initializer_list<uint64_t> ids = {});

  uint32_t bits32();
  uint64_t bits64();
  /// Uniform in [0, 1), 53 bits.
  double uniform();
  /// Uniform integer in [0, bound), without bias. bound >= 1.
  uint64_t below(uint64_t bound);
  /// Standard normal (Box-Muller).
  double normal();

 private:
  uint64_t key_;
  uint64_t counter_ = 0;
  RandomBlock block_{};
  int used_ = 4;
};

}  // namespace filigree
