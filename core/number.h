// Numbers from text.
#pragma once

#include <cstdint>
#include <string_view>

namespace filigree {

/// A whole number from 0 to 2^64 - 1. Throws ConfigError at `where` for anything else: a sign, a
/// blank, a fraction, no digit, too many of them.
uint64_t parse_natural(std::string_view where, std::string_view text);

}  // namespace filigree
