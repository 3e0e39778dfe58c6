// The shape of an encoder, as it stands in a checkpoint.
#pragma once

#include <string>

#include "core/kernels/activation.h"
#include "core/tensor.h"
#include "nn/degrees/degree_config.h"

namespace filigree {

/// Post-norm: LN(x + f(x)), as BERT. Pre-norm: x + f(LN(x)), with a final LN.
enum class NormPlacement : uint8_t { post, pre };

struct EncoderConfig {
  int64_t vocabulary = 0;       ///< V
  int64_t width = 128;          ///< E
  int64_t layers = 2;           ///< L
  int64_t heads = 4;            ///< H, divides E
  int64_t ffn = 512;            ///< F
  int64_t max_positions = 512;  ///< learned position embeddings; 0 for none
  int64_t position_offset = 0;  ///< number of the first position (RoBERTa: 2)
  int64_t segments = 0;         ///< segment embeddings; 0 for none
  int64_t relative_bias = 0;    ///< reach R of a learned bias per head and distance; 0 for none
  double dropout = 0.1;
  double attention_dropout = 0.1;
  double norm_eps = 1e-12;
  double init_std = 0.02;
  Activation activation = Activation::gelu_erf;
  NormPlacement norm = NormPlacement::post;
  DegreeConfig degrees;  ///< how far heads look, if it is learned

  /// BERT-base (Devlin et al. 2019) and RoBERTa-base (Liu et al. 2019) with a vocabulary.
  static EncoderConfig bert(int64_t vocabulary);
  static EncoderConfig roberta(int64_t vocabulary);

  /// Tokens of the longest sequence that has a position for each; 0: no limit.
  int64_t longest_sequence() const {
    return max_positions > 0 ? max_positions - position_offset : 0;
  }

  /// Throws ConfigError naming the first setting that makes no sense.
  void validate() const;
  /// JSON object; from_json throws CheckpointError.
  std::string to_json() const;
  static EncoderConfig from_json(const std::string& text);
};

}  // namespace filigree
