// Sentences of a text.
#pragma once

#include <string_view>
#include <vector>

#include "tasks/text/utf8.h"

namespace filigree {

/// The sentences of an English text, without white space around them; blank ones are left out. They
/// end where Unicode's rules (UAX 29, with the usual English abbreviations as exceptions) say, and,
/// for text that is cut into tokens and in lower case, behind a token that is nothing but '.', '!'
/// or '?'. The text must be well-formed UTF-8. Throws DataError if ICU lacks its rules. Cost
/// O(bytes).
std::vector<ByteSpan> split_sentences(std::string_view text);

}  // namespace filigree
