// What the crossover table is measured on.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "attention/sparse_attention.h"

namespace filigree {

/// A pattern, and how long every kernel took for it.
struct CrossoverCase {
  std::string pattern;
  std::shared_ptr<const AttentionGraph> graph;
  std::map<AttentionKernel, std::vector<double>> times;  ///< ns a head, forward and backward

  double time(AttentionKernel kernel) const;  ///< their median
};

/// Sequences of so many tokens under each pattern.
std::vector<CrossoverCase> make_cases(const std::vector<std::string>& patterns, int64_t sequences,
                                      int64_t length, int heads);

/// Times of all cases under these kernels, in turn, round after round; one round does not count.
void measure(std::vector<CrossoverCase>& cases, std::span<const AttentionKernel> kernels,
             const AttentionUse& use, Device device, int64_t rounds);

/// Their median times under this kernel.
std::vector<double> times_of(const std::vector<CrossoverCase>& cases, AttentionKernel kernel);

/// Prints times and forecasts (ns a head), and what is chosen; gives the worst ratio of the time of
/// the chosen kernel to the best.
double show(const std::vector<CrossoverCase>& cases, std::span<const AttentionKernel> kernels,
            const std::function<double(const CrossoverCase&, AttentionKernel)>& forecast,
            const std::function<AttentionKernel(const CrossoverCase&)>& choice);

}  // namespace filigree
