// Which kernel computes what, and why: for `--explain`.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "attention/placement.h"
#include "attention/sparse_attention.h"

namespace filigree {

/// What heads of some layers that share a graph are computed by, in the sequences of a batch for
/// which the same kernel is the fastest (on a device: in all).
struct KernelChoice {
  std::vector<int> layers, heads;
  /// Automatic only of reaches that are drawn on the CPU: chosen for what was drawn.
  AttentionKernel kernel = AttentionKernel::rows;
  int64_t sequences = 0;  ///< that it computes; edges, tiles .. are theirs
  int64_t edges = 0;      ///< of one head
  /// Of one head, by tiles or mixed: on the CPU of 6 queries and 16 keys, on a device of 64 and 64.
  int64_t tiles = 0;
  double density = 0;  ///< edges / valid pairs
  int64_t bytes = 0;   ///< graph and schedule or what the device holds, once for all these heads
  /// Forecast for one head, on one thread or on all of the device, of kernels that there is one of.
  std::map<AttentionKernel, double> milliseconds;
  std::string why;

  // On a device alone:
  std::string units;                               ///< what multiplies: see attention_units
  int64_t full = 0, by_intervals = 0, masked = 0;  ///< of the tiles
};

/// The choices for a batch, in order of layers and heads, as sparse_attention() makes them. Makes
/// the schedules that it will use on the CPU, and counts the tiles of a device. Cost O(T + edges).
/// Where tokens draw their reaches (use.draws()), one choice for all layers and heads, with the
/// edges, tiles and memory of the largest reach, without tokens that are always on.
std::vector<KernelChoice> explain(const LayerGraphs& graphs, const AttentionUse& use,
                                  Device device = kCpu);
/// A table of them, a line each.
std::string to_text(const std::vector<KernelChoice>& choices);

}  // namespace filigree
