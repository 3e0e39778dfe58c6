// Model: an encoder and a head, the base of everything that is trained.
#pragma once

#include "nn/encoder.h"

namespace filigree {

/// Encoder and head. The encoder's parameters are named "encoder. ..."; all others are the head's.
/// A head is a class of its own in one file; what its outputs mean is for its task to know.
class Model : public Module {
 public:
  /// The outputs of the head: (B, C) or (T, C), as the head says.
  virtual Variable forward(const TokenBatch& batch, const LayerGraphs& graphs,
                           const ForwardContext& context) const = 0;
  /// Moves the parameters to a device; their gradients are forgotten. Degrees stay on the CPU: they
  /// are few, and what is worked out from them (gates, densities, hardened reaches) is as well.
  void to(Device device);

  Encoder& encoder() { return encoder_; }
  const Encoder& encoder() const { return encoder_; }

 protected:
  explicit Model(const EncoderConfig& config, DType dtype) : encoder_(config, dtype) {
    add_child("encoder", encoder_);
  }

 private:
  Encoder encoder_;
};

/// True for a name of Model's named_parameters() that is the encoder's.
inline bool is_encoder_parameter(std::string_view name) { return name.starts_with("encoder."); }
/// True for one of the encoder's degrees.
inline bool is_degree_parameter(std::string_view name) {
  return name.starts_with("encoder.degrees.");
}

}  // namespace filigree
