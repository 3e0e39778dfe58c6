// What a kind of tokenizer must do; tokenizer.cpp adds words, checks and files.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tasks/tokenizer/tokenizer.h"

namespace filigree {

class Tokenizer::Model {
 public:
  explicit Model(std::string bytes);
  virtual ~Model() = default;

  virtual TokenizerKind kind() const = 0;
  virtual int64_t vocabulary() const = 0;
  virtual std::string token(int32_t id) const = 0;
  virtual int32_t id_of(std::string_view token) const = 0;
  /// Pieces of well-formed UTF-8, begins not descending. `words` are the words of the text; the
  /// caller sets Piece::word.
  virtual std::vector<Piece> encode(std::string_view text,
                                    std::span<const ByteSpan> words) const = 0;
  /// ids are inside the vocabulary.
  virtual std::string decode(std::span<const int32_t> ids) const = 0;

  const std::string& bytes() const { return bytes_; }
  const std::string& hash() const { return hash_; }

 private:
  std::string bytes_;
  std::string hash_;
};

/// Bytes of a trained SentencePiece model (kinds unigram and bpe).
std::string train_sentencepiece(const TokenizerOptions& options, std::vector<std::string> lines);
/// Throws DataError if the bytes are no SentencePiece model, damaged, or lack a special piece.
std::shared_ptr<const Tokenizer::Model> load_sentencepiece(std::string bytes,
                                                           std::string_view where);

/// Bytes of a word list, the most frequent first (ties by spelling).
std::string train_words(const TokenizerOptions& options, const std::vector<std::string>& lines);
/// True if the bytes begin like a word list.
bool is_word_list(std::string_view bytes);
/// Throws DataError if the word list is damaged.
std::shared_ptr<const Tokenizer::Model> load_words(std::string bytes, std::string_view where);

/// Spelling of the special pieces, in the order of their ids.
inline constexpr std::string_view kSpecialTokens[Tokenizer::kSpecials] = {"[PAD]", "[UNK]", "[CLS]",
                                                                          "[SEP]", "[MASK]"};

}  // namespace filigree
