// What learned degrees do to the attention of one layer.
#pragma once

#include <optional>

#include "attention/irregular_attention.h"

namespace filigree {

/// Nothing, a soft gate, or an ensemble in which every token draws its own reach.
struct LayerDegrees {
  AttentionGate gate;                        ///< soft, if its g is defined
  std::optional<IrregularDegrees> ensemble;  ///< else

  /// What is learned from; undefined for nothing.
  Variable& parameter() { return ensemble ? ensemble->logits : gate.g; }
};

}  // namespace filigree
