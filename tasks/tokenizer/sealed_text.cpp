#include "tasks/tokenizer/sealed_text.h"

#include <cstdint>
#include <fmt/format.h>

#include "core/error.h"
#include "core/file.h"

namespace filigree {

std::string hash_of(std::string_view text) {
  return to_hex(checksum({reinterpret_cast<const uint8_t*>(text.data()), text.size()}));
}

std::string seal_text(std::string_view name, std::string_view body) {
  return fmt::format("{} 1 {}\n{}", name, hash_of(body), body);
}

bool is_sealed_text(std::string_view name, std::string_view bytes) {
  return bytes.starts_with(fmt::format("{} 1 ", name));
}

std::string_view unseal_text(std::string_view name, std::string_view bytes,
                             std::string_view where) {
  std::string_view body = bytes;
  const std::string_view head = take_line(body);
  if (head != fmt::format("{} 1 {}", name, hash_of(body))) {
    throw DataError(where, "damaged tokenizer: its checksum differs",
                    "make the tokenizer again, or restore the file");
  }
  return body;
}

std::string_view take_line(std::string_view& text) {
  const size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

}  // namespace filigree
