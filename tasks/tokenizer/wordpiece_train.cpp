// Training of a WordPiece vocabulary.
#include <unordered_set>

#include "tasks/tokenizer/bert_text.h"
#include "tasks/tokenizer/model.h"

namespace filigree {

namespace {

constexpr std::string_view kWordMark = "\u2581";  // of SentencePiece

/// A vocabulary of at most so many different pieces.
class Vocabulary {
 public:
  explicit Vocabulary(int64_t limit) : limit_(static_cast<size_t>(limit)) {}

  void add(const std::string& piece) {
    if (taken_.size() == limit_ || !taken_.insert(piece).second) return;
    text_.append(piece).append("\n");
  }
  const std::string& text() const { return text_; }

 private:
  size_t limit_;
  std::unordered_set<std::string> taken_;
  std::string text_;
};

}  // namespace

std::string train_wordpiece(const TokenizerOptions& options,
                            const std::vector<std::string>& lines) {
  const WordPieceOptions rules{.lower_case = options.lower_case};
  std::vector<std::string> cleaned;
  for (const std::string& line : lines) {
    cleaned.push_back(bert_text(line, {rules.lower_case, rules.lower_case, rules.split_cjk}));
  }
  TokenizerOptions merging = options;
  merging.kind = TokenizerKind::bpe;
  const Tokenizer merged =
      Tokenizer::from_bytes(train_sentencepiece(merging, std::move(cleaned), "identity"));
  std::vector<std::string> pieces;  // in the order of their merges
  Vocabulary vocabulary(options.vocabulary);
  for (const std::string_view special : kSpecialTokens) vocabulary.add(std::string(special));
  for (int32_t id = Tokenizer::kSpecials; id < merged.vocabulary(); ++id) {
    const std::string spelt = merged.token(id);
    const bool begin = spelt.starts_with(kWordMark);
    const std::string piece = begin ? spelt.substr(kWordMark.size()) : spelt;
    if (piece.empty()) continue;
    int64_t behind = 0;
    next_character(piece, behind);
    if (behind == static_cast<int64_t>(piece.size())) {  // a character may stand anywhere
      vocabulary.add(piece);
      vocabulary.add("##" + piece);
    }
    pieces.push_back(begin ? piece : "##" + piece);
  }
  for (const std::string& piece : pieces) vocabulary.add(piece);
  return wordpiece_bytes(vocabulary.text(), rules);
}

}  // namespace filigree
