// What a kind of tokenizer must do; tokenizer.cpp adds words, checks and files.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tasks/tokenizer/tokenizer.h"

namespace filigree {

class Tokenizer::Model {
 public:
  Model(std::string bytes, const SpecialIds& specials);
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

  const SpecialIds& specials() const { return specials_; }
  const std::string& bytes() const { return bytes_; }
  const std::string& hash() const { return hash_; }

 private:
  std::string bytes_;
  std::string hash_;
  SpecialIds specials_;
};

/// What a kind makes of its bytes. All throw DataError if these are damaged or lack a special
/// piece.
using ModelPointer = std::shared_ptr<const Tokenizer::Model>;

/// Bytes of a trained SentencePiece model (kinds unigram and bpe). `normalization`: the name of
/// SentencePiece's rule; empty: as the options say.
std::string train_sentencepiece(const TokenizerOptions& options, std::vector<std::string> lines,
                                std::string_view normalization = "");
/// The model with its checksum in front.
std::string seal_sentencepiece(std::string_view model);
/// A SentencePiece model of others, with its layout in an extension field.
std::string sentencepiece_bytes(std::string_view model, SentencePieceLayout layout);
/// True for a SentencePiece model that Tokenizer::save() wrote.
bool is_sealed_sentencepiece(std::string_view bytes);
/// The layout that such a model names; nothing for all others. Throws ConfigError if no layout has
/// that name.
std::optional<SentencePieceLayout> sentencepiece_layout(std::string_view bytes);
ModelPointer load_sentencepiece(std::string bytes, std::string_view where);

/// Bytes of a word list, the most frequent first (ties by spelling).
std::string train_words(const TokenizerOptions& options, const std::vector<std::string>& lines);
/// True if the bytes begin like a word list.
bool is_word_list(std::string_view bytes);
ModelPointer load_words(std::string bytes, std::string_view where);

/// Bytes of a WordPiece vocabulary with the rules for its text.
std::string wordpiece_bytes(std::string_view vocabulary, const WordPieceOptions& options);
/// The same of a vocabulary trained on lines: BPE merges of cleaned words, every character at a
/// word's begin and within, at most options.vocabulary pieces.
std::string train_wordpiece(const TokenizerOptions& options, const std::vector<std::string>& lines);
/// True if the bytes begin like a WordPiece vocabulary.
bool is_wordpiece(std::string_view bytes);
ModelPointer load_wordpiece(std::string bytes, std::string_view where);

/// Bytes of a byte-level BPE: pieces in the order of their ids, then merges.
std::string bytebpe_bytes(std::string_view vocabulary, std::string_view merges,
                          std::string_view where);
/// True if the bytes begin like a byte-level BPE.
bool is_bytebpe(std::string_view bytes);
ModelPointer load_bytebpe(std::string bytes, std::string_view where);

/// Spelling of the special pieces, in the order of their ids.
inline constexpr std::string_view kSpecialTokens[Tokenizer::kSpecials] = {"[PAD]", "[UNK]", "[CLS]",
                                                                          "[SEP]", "[MASK]"};

/// A place for every special piece under the names that published vocabularies give it; `find` says
/// the id of a piece. Those that are nowhere stay empty. In the order of kSpecialTokens.
std::vector<std::optional<int32_t>> find_specials(
    const std::function<std::optional<int32_t>(std::string_view)>& find);
/// The same of a vocabulary that must have them all. Throws DataError that names what it lacks.
SpecialIds require_specials(std::string_view where,
                            const std::function<std::optional<int32_t>(std::string_view)>& find);
/// Ids in the order of kSpecialTokens.
SpecialIds special_ids(std::span<const int32_t> ids);

/// Ids of pieces by their spelling, looked up without a copy.
struct PieceHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};
using PieceIds = std::unordered_map<std::string, int32_t, PieceHash, std::equal_to<>>;

}  // namespace filigree
