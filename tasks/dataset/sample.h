// Sample: a text, or a pair, as a model takes it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tasks/syntax/syntax.h"
#include "tasks/tokenizer/tokenizer.h"

namespace filigree {

/// Tokens of one sample; the arrays mean what they mean in a TokenDataset.
struct Sample {
  std::vector<int32_t> ids, words;  // (n)
  std::vector<uint8_t> segments;    // (n), empty without a second text
  std::vector<int32_t> classes;     // (n)
  std::vector<int32_t> heads;       // (n), empty without syntax
  std::vector<int32_t> links;       // (k, 2) pairs of words
  std::vector<std::string> texts;   // what it was made of
  std::vector<ByteSpan> pieces;     // (n) place of the token in its text; empty for special tokens
  std::vector<ByteSpan> places;     // (words) place of every word in its text, those cut off too
  std::vector<uint8_t> text_of;     // (words) number of the text that the word is in
  int64_t unparsed = 0;             // tokens of sentences that could not be parsed
  bool truncated = false;           // cut to max_length
};

/// A text cut into pieces, each with its word, and the links between the words.
struct TokenizedText {
  std::string text;
  std::vector<Piece> pieces;
  std::vector<ByteSpan> words;
  std::vector<std::string> names;  // (words) what a word has in common with words of its class
  WordForest forest;               // no heads without syntax
  std::vector<ByteSpan> unparsed;  // ascending
  bool has_syntax = false;
  SpecialIds specials;  // of the tokenizer
};

/// Words are of one class if their lemmas are equal up to case, or their forms where there is no
/// lemma. `syntax`: words and links of the text, or null. Throws DataError at `where` for an empty
/// text and for malformed UTF-8. Cost O(bytes + links log links).
TokenizedText tokenize(std::string_view where, const Tokenizer& tokenizer, const std::string& text,
                       const Syntax* syntax = nullptr);

/// Pieces [begin, end) of a text.
struct TextPart {
  const TokenizedText* text;
  size_t begin, end;
};

/// [CLS] a [SEP], or [CLS] a [SEP] b [SEP] with segments 0 and 1, of parts of one or two texts.
/// Links to words outside a part are dropped.
Sample join_parts(std::span<const TextPart> parts);

/// [CLS] a [SEP], or [CLS] a [SEP] b [SEP] with segments 0 and 1. Of a pair that is too long the
/// longer text loses tokens first. `syntax`: words and links of the texts, of none of them or of
/// the first ones; links to words that were cut are dropped. Throws and costs as tokenize().
Sample make_sample(std::string_view where, const Tokenizer& tokenizer,
                   const std::vector<std::string>& texts, int64_t max_length,
                   std::span<const Syntax> syntax = {});

}  // namespace filigree
