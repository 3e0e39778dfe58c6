// Tokenizer: text to pieces that know where in the text they came from, and back.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tasks/text/utf8.h"
#include "tasks/tokenizer/special_ids.h"

namespace filigree {

/// One piece of a text.
struct Piece {
  int32_t id = 0;
  int32_t word = 0;   ///< index of the word that it belongs to
  int64_t begin = 0;  ///< bytes [begin, end) of the original text; empty for a mere word mark
  int64_t end = 0;
};

enum class TokenizerKind {
  unigram,    ///< SentencePiece, Kudo 2018 (arXiv 1804.10959)
  bpe,        ///< SentencePiece, Sennrich et al. 2016 (arXiv 1508.07909)
  word,       ///< whole words by frequency; for small closed vocabularies
  wordpiece,  ///< BERT's WordPiece, Devlin et al. 2018 (arXiv 1810.04805)
  bytebpe,    ///< byte-level BPE of GPT-2 and RoBERTa; imported only
};
std::string_view name_of(TokenizerKind kind);
/// Throws ConfigError with the nearest name.
TokenizerKind parse_tokenizer_kind(std::string_view name);

struct TokenizerOptions {
  TokenizerKind kind = TokenizerKind::unigram;
  int64_t vocabulary = 8000;           ///< pieces, the 5 special ones included; `word`: at most
  double character_coverage = 0.9995;  ///< share of the corpus' characters that get a piece
  bool lower_case = false;             ///< fold case (NFKC and case folding instead of NFKC)
  bool byte_fallback = false;          ///< unknown characters become byte pieces, not [UNK]
  int64_t max_sentences = 1'000'000;   ///< train on a uniform sample of so many lines at most
  uint64_t seed = 0;                   ///< of that sample
};

/// How BERT's basic tokenizer cleans text for a WordPiece vocabulary.
struct WordPieceOptions {
  bool lower_case = true;  ///< "uncased"
  std::optional<bool> strip_accents =
      std::nullopt;       ///< canonical decomposition without marks; as lower_case
  bool split_cjk = true;  ///< every ideograph is a word
};

/// Which ids a SentencePiece model's pieces have.
enum class SentencePieceLayout {
  plain,        ///< the model's own; special pieces that it lacks stand behind all others
  camembert,    ///< fairseq's as in CamemBERT: id + 4, <pad> 1, <unk> 3, <mask> last
  xlm_roberta,  ///< fairseq's as in XLM-R: id + 1, <s> 0, <pad> 1, </s> 2, <unk> 3, <mask> last
};
std::string_view name_of(SentencePieceLayout layout);
/// Throws ConfigError with the nearest name.
SentencePieceLayout parse_sentencepiece_layout(std::string_view name);

/// A trained tokenizer: immutable, cheap to copy, safe to use from several threads.
///
/// The special pieces have the same ids in every tokenizer that Filigree trains: [PAD] 0, [UNK] 1,
/// [CLS] 2, [SEP] 3, [MASK] 4. Imported vocabularies keep theirs: ask specials(). Text never
/// encodes to one of them, [UNK] aside, even if it spells them ("[MASK]" is three pieces or more).
class Tokenizer {
 public:
  static constexpr int32_t kSpecials = 5;  ///< how many there are

  /// Yields the next line of the corpus into `line`, false at the end.
  using LineSource = std::function<bool(std::string& line)>;

  /// Trains on the lines of a corpus. The same corpus and options give the same tokenizer, bit for
  /// bit. Throws DataError for an empty corpus, malformed UTF-8 (with the line) and a vocabulary
  /// that the corpus cannot fill or that is smaller than its characters (with the bound).
  static Tokenizer train(const TokenizerOptions& options, const LineSource& source);
  static Tokenizer train(const TokenizerOptions& options, std::span<const std::string> lines);
  /// Reads a file written by save(), or any SentencePiece model that has the five special pieces.
  /// Throws FileError, or DataError if the file is damaged or foreign.
  static Tokenizer load(const std::filesystem::path& path);
  /// From the bytes of such a file; `where` names their source in errors.
  static Tokenizer from_bytes(std::string bytes, std::string_view where = "tokenizer");

  /// From BERT's vocab.txt: one piece a line, its id the line's number from 0, "##" before pieces
  /// within a word; of a piece that comes twice the last line counts. Ids and spans are those of
  /// the `tokenizers` library's BertTokenizerFast. Throws DataError (naming `where`) for malformed
  /// UTF-8 and for a vocabulary that lacks a special piece.
  static Tokenizer import_wordpiece(std::string_view vocabulary, const WordPieceOptions& options,
                                    std::string_view where = "vocab.txt");
  /// From a SentencePiece model of others. Throws DataError for what is none, and for a model that
  /// does not suit the layout.
  static Tokenizer import_sentencepiece(std::string_view model, SentencePieceLayout layout,
                                        std::string_view where = "sentencepiece model");
  /// From GPT-2's or RoBERTa's vocab.json and merges.txt. Ids and spans are those of the
  /// `tokenizers` library's ByteLevel (no prefix space, trimmed offsets). Throws DataError for
  /// damaged files and for a vocabulary that lacks a byte or a special piece.
  static Tokenizer import_bytebpe(std::string_view vocabulary, std::string_view merges,
                                  std::string_view where = "vocab.json");

  /// Writes one file, atomically: a SentencePiece model (readable by its own tools) with a checksum
  /// in an extension field; for the other kinds a line "filigree-KIND 1 CHECKSUM" and text.
  void save(const std::filesystem::path& path) const;

  /// Pieces of a text, in order, without special pieces. The words are those of split_words().
  /// Throws DataError for malformed UTF-8 (with the byte). Cost O(bytes) (unigram, word),
  /// O(bytes log bytes) (bpe).
  std::vector<Piece> encode(std::string_view text) const;
  /// The same with the caller's words (the words of a tree): ascending, disjoint spans of the text.
  std::vector<Piece> encode(std::string_view text, std::span<const ByteSpan> words) const;
  /// Text of pieces; special pieces leave nothing, [UNK] leaves U+2047.
  /// WordPiece forgets white space: words are divided by one space. Throws DataError for an id
  /// outside the vocabulary.
  std::string decode(std::span<const int32_t> ids) const;

  /// The piece as the model spells it (SentencePiece marks a word's start by U+2581). Throws
  /// DataError for an id outside the vocabulary.
  std::string token(int32_t id) const;
  /// Id of a piece spelt so, specials().unk if there is none.
  int32_t id_of(std::string_view token) const;

  TokenizerKind kind() const;
  const SpecialIds& specials() const;
  /// Number of pieces V; ids are 0 .. V-1.
  int64_t vocabulary() const;
  /// Checksum of the file's bytes, 16 hexadecimal digits: what a dataset remembers of its
  /// tokenizer.
  const std::string& hash() const;
  /// The file's bytes.
  const std::string& bytes() const;

  class Model;  // one a kind

 private:
  explicit Tokenizer(std::shared_ptr<const Model> model) : model_(std::move(model)) {}
  std::shared_ptr<const Model> model_;
};

}  // namespace filigree
