// What this build was made of.
#pragma once

#include <string_view>

namespace filigree {

inline constexpr std::string_view kVersion = FILIGREE_VERSION;
inline constexpr std::string_view kCompiler = FILIGREE_COMPILER;
inline constexpr std::string_view kBlas = FILIGREE_BLAS;
inline constexpr std::string_view kCuda = FILIGREE_CUDA_VERSION;

}  // namespace filigree
