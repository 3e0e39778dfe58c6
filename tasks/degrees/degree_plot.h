// A picture of learned degrees, drawn by gnuplot.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tasks/degrees/learned_heads.h"

namespace filigree {

/// A script for gnuplot with its data in it, which draws `picture` (SVG): a row a head, the
/// distance to the right (logarithmic), the gate g(d) as a shade, and a mark where the head was
/// hardened to. hard: (L H), or none.
std::string plot_script(const LearnedHeads& heads, const std::vector<HardHead>& hard,
                        const std::filesystem::path& picture);

/// Runs gnuplot on a script. False if it is not installed; throws FileError if it fails.
bool run_gnuplot(const std::filesystem::path& script);

}  // namespace filigree
