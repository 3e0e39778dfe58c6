#include "core/random.h"

#include <Random123/philox.h>
#include <cmath>
#include <numbers>
#include <xxhash.h>

namespace filigree {

RandomBlock philox(uint64_t key, uint64_t counter_high, uint64_t counter_low) {
  using Generator = r123::Philox4x32;
  const auto low = [](uint64_t word) { return static_cast<uint32_t>(word); };
  const auto high = [](uint64_t word) { return static_cast<uint32_t>(word >> 32); };
  const Generator::ctr_type counter{
      {low(counter_low), high(counter_low), low(counter_high), high(counter_high)}};
  const Generator::key_type words{{low(key), high(key)}};
  const auto bits = Generator()(counter, words);
  return {bits[0], bits[1], bits[2], bits[3]};
}

uint64_t mix_key(std::initializer_list<uint64_t> words) {
  uint64_t key = 0x66696c6967726565u;  // "filigree"
  uint64_t position = 0;
  for (const uint64_t word : words) {
    const RandomBlock bits = philox(key, position++, word);
    key = (static_cast<uint64_t>(bits[1]) << 32) | bits[0];
  }
  return key;
}

uint64_t hash_name(std::string_view name) { return XXH3_64bits(name.data(), name.size()); }

RandomStream::RandomStream(uint64_t seed, Purpose purpose, std::initializer_list<uint64_t> ids)
    : key_(mix_key({seed, static_cast<uint64_t>(purpose)})) {
  for (const uint64_t id : ids) key_ = mix_key({key_, id});
}

uint32_t RandomStream::bits32() {
  if (used_ == 4) {
    block_ = philox(key_, 0, counter_++);
    used_ = 0;
  }
  return block_[static_cast<size_t>(used_++)];
}

uint64_t RandomStream::bits64() {
  const uint64_t high = bits32();
  return (high << 32) | bits32();
}

double RandomStream::uniform() { return static_cast<double>(bits64() >> 11) * 0x1p-53; }

uint64_t RandomStream::below(uint64_t bound) {
  // Reject the top partial range, so that every value is equally likely.
  const uint64_t limit = bound * (UINT64_MAX / bound);
  uint64_t bits = bits64();
  while (bits >= limit) bits = bits64();
  return bits % bound;
}

double RandomStream::normal() {
  const double radius = std::sqrt(-2 * std::log(1 - uniform()));
  return radius * std::cos(2 * std::numbers::pi * uniform());
}

}  // namespace filigree
