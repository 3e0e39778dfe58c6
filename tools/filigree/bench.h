// The parts of `filigree bench`.
#pragma once

#include <span>
#include <string>

namespace filigree {

/// `filigree bench crossover`: measures, shows, checks and saves the crossover table.
int bench_crossover(std::span<const std::string> words);

}  // namespace filigree
