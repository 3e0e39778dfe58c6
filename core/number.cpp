#include "core/number.h"

#include <charconv>
#include <fmt/format.h>
#include <limits>

#include "core/error.h"

namespace filigree {

uint64_t parse_natural(std::string_view where, std::string_view text) {
  uint64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) {
    throw ConfigError(where, fmt::format("expected a whole number from 0 to {}, got \"{}\"",
                                         std::numeric_limits<uint64_t>::max(), text));
  }
  return value;
}

}  // namespace filigree
