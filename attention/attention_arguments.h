// What the attention ops share: their inputs checked, as arguments of the kernels. Private to
// attention.
#pragma once

#include <memory>

#include "attention/sparse_attention.h"

namespace filigree {

/// Checks the graph, the sizes and the options that all layouts share; q (T, ..), heads together
/// `width` wide. Fills graph, schedule, head size, scale, dropout and the reach of the bias. Throws
/// ShapeError, ConfigError.
AttentionArguments attention_arguments(std::shared_ptr<const AttentionGraph> graph, const Tensor& q,
                                       int64_t width, const Tensor& bias,
                                       const AttentionOptions& options);

/// The same, but for graph and schedule, which the kernels then make themselves: of `heads` heads,
/// bias (H, 2R+1) in q's dtype or undefined. Throws ShapeError, DTypeError, ConfigError.
AttentionArguments attention_settings(const Tensor& q, int64_t heads, int64_t width,
                                      const Tensor& bias, const AttentionOptions& options);

/// Throws ShapeError unless the tokens that are always on are those of the graph's sequences.
void expect_always_on(std::string_view where, const AlwaysOn& always, const Tensor& offsets);

}  // namespace filigree
