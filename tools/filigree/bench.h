// The parts of `filigree bench`.
#pragma once

#include <span>
#include <string>

namespace filigree {

/// `filigree bench crossover`: measures, shows, checks and saves the crossover table.
int bench_crossover(std::span<const std::string> words);
/// `filigree bench loss`: the loss of a large vocabulary, in chunks and whole.
int bench_loss(std::span<const std::string> words);
/// `filigree bench step`: training steps, their speed and what they ask of a device.
int bench_step(std::span<const std::string> words);

}  // namespace filigree
