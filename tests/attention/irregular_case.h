// Random inputs of attention in which tokens draw their reaches, for tests.
#pragma once

#include "attention/irregular_attention.h"
#include "tests/attention/attention_case.h"

namespace filigree::testing_attention {

struct IrregularCase {
  Tensor offsets, qkv, logits, bias, seed;
  Reaches reaches = Reaches::up_to(1);
  double tau = 1;
  int64_t margin = 0;
  std::shared_ptr<AlwaysOn> always;
  AttentionOptions options;

  int64_t heads() const { return logits.size(0); }
  int64_t tokens() const { return qkv.size(0); }
  int64_t dim() const { return qkv.size(1) / 3 / heads(); }
  IrregularDegrees degrees(const Variable& x) const { return {x, reaches, tau, margin, always}; }
};

/// fixed_dim: elements of a head, 0 to draw them.
inline IrregularCase random_irregular_case(RandomStream& random, int64_t longest, int64_t largest,
                                           int64_t fixed_dim = 0) {
  const auto below = [&](int64_t bound) {
    return static_cast<int64_t>(random.below(static_cast<uint64_t>(bound)));
  };
  IrregularCase c;
  std::vector<int64_t> offsets{0};
  for (int64_t b = 1 + below(3); b > 0; --b) offsets.push_back(offsets.back() + 1 + below(longest));
  c.offsets = Tensor::from(offsets);
  const int64_t heads = 1 + below(3), drawn = 1 + below(10),
                dim = fixed_dim > 0 ? fixed_dim : drawn, tokens = offsets.back();
  c.reaches = Reaches::up_to(1 + below(largest));
  c.qkv = random_tensor(random, {tokens, 3 * heads * dim}, DType::f64);
  c.seed = random_tensor(random, {tokens, heads * dim}, DType::f64);
  c.logits = random_tensor(random, {heads, c.reaches.count()}, DType::f64);
  if (below(2) == 0) c.bias = random_tensor(random, {heads, 2 * below(6) + 1}, DType::f64);
  c.tau = 0.5 + 1.5 * random.uniform();
  c.margin = below(2) == 0 ? c.reaches.largest() : below(c.reaches.largest());
  if (below(3) > 0) {
    c.always = std::make_shared<AlwaysOn>();
    c.always->bounds.push_back(0);
    for (size_t b = 0; b + 1 < offsets.size(); ++b) {
      for (int64_t i = 0; i < offsets[b + 1] - offsets[b]; ++i) {
        if (below(6) == 0) c.always->tokens.push_back(static_cast<int32_t>(i));
      }
      c.always->bounds.push_back(static_cast<int64_t>(c.always->tokens.size()));
    }
  }
  c.options.seed = random.bits64();
  c.options.step = 4;
  c.options.layer = 2;
  return c;
}

/// Output and gradients of qkv, logits and bias.
inline Tensors run(const IrregularCase& c, Device device = kCpu) {
  const Variable qkv = leaf_on(c.qkv, device), logits = leaf_on(c.logits, device);
  const Variable bias = leaf_on(c.bias, device);
  const Variable o = irregular_attention_qkv(qkv, c.offsets, c.degrees(logits), c.options, bias);
  backward(o, c.seed.to(device));
  return results_of(o, {qkv, logits, bias});
}

}  // namespace filigree::testing_attention
