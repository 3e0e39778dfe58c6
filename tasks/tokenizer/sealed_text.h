// Files of text with a checksum in their first line. Private to tasks/tokenizer.
#pragma once

#include <string>
#include <string_view>

namespace filigree {

/// Checksum of a text, 16 hexadecimal digits.
std::string hash_of(std::string_view text);

/// "NAME 1 CHECKSUM", a line end, and the body.
std::string seal_text(std::string_view name, std::string_view body);
/// True if the bytes begin like a text sealed under this name.
bool is_sealed_text(std::string_view name, std::string_view bytes);
/// The body, which lies in `bytes`. Throws DataError if it is cut or changed.
std::string_view unseal_text(std::string_view name, std::string_view bytes, std::string_view where);

/// Takes the first line, without its end, off `text`. Cost O(line).
std::string_view take_line(std::string_view& text);

}  // namespace filigree
