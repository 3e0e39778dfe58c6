// Which parameters of a model learn, and how fast: layer-wise decay and freezing.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "nn/model.h"

namespace filigree {

/// The learning rate of a parameter of a Model as a share of the head's: decay^(L - l) in layer l
/// of 0 .. L-1, decay^(L+1) in the embeddings, 1 in the head and in a final norm. (Layer-wise decay
/// as in Howard and Ruder, arXiv 1801.06146, and ELECTRA, arXiv 2003.10555.)
double layer_rate(std::string_view name, int64_t layers, double decay);

/// What does not learn.
struct Freeze {
  bool embeddings = false;
  int64_t layers = 0;    ///< the first so many layers
  bool encoder = false;  ///< all of it but its degrees

  /// "" or "none", "embeddings", "first:k" (the embeddings and the first k layers), "encoder".
  /// Throws ConfigError.
  static Freeze parse(const std::string& text);
  /// True for the name of a parameter of a Model that does not learn.
  bool holds(std::string_view name) const;
};

/// Takes the gradient from the frozen parameters and returns the others. `drawn`: parameters that
/// no checkpoint had, which learn in any case. Throws ConfigError if the encoder has fewer layers.
NamedParameters freeze(Model& model, const Freeze& what, std::span<const std::string> drawn = {});

}  // namespace filigree
