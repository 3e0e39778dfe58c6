// The word tokenizer: a list of whole words.
#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <unicode/uchar.h>
#include <unicode/utf8.h>
#include <unordered_map>

#include "core/error.h"
#include "tasks/tokenizer/model.h"
#include "tasks/tokenizer/sealed_text.h"

namespace filigree {

namespace {

constexpr std::string_view kMagic = "filigree-words 1 ";

/// Simple case folding, character by character.
std::string fold(std::string_view text) {
  std::string result;
  const int32_t size = static_cast<int32_t>(text.size());
  for (int32_t at = 0; at < size;) {
    UChar32 c = 0;
    U8_NEXT(text.data(), at, size, c);
    char buffer[U8_MAX_LENGTH];
    int32_t length = 0;
    U8_APPEND_UNSAFE(buffer, length, u_foldCase(c < 0 ? 0xfffd : c, U_FOLD_CASE_DEFAULT));
    result.append(buffer, static_cast<size_t>(length));
  }
  return result;
}

/// A word is at most so many bytes: longer ones are unknown, never kept.
constexpr size_t kLongestWord = 1000;

class WordModel final : public Tokenizer::Model {
 public:
  WordModel(std::string bytes, std::vector<std::string> words, bool folds)
      : Model(std::move(bytes), SpecialIds{}), words_(std::move(words)), folds_(folds) {
    for (size_t i = 0; i < words_.size(); ++i) ids_.emplace(words_[i], static_cast<int32_t>(i));
  }

  TokenizerKind kind() const override { return TokenizerKind::word; }
  int64_t vocabulary() const override { return static_cast<int64_t>(words_.size()); }
  std::string token(int32_t id) const override { return words_[static_cast<size_t>(id)]; }
  int32_t id_of(std::string_view token) const override {
    const auto found = ids_.find(std::string(token));
    return found == ids_.end() ? specials().unk : found->second;
  }

  std::vector<Piece> encode(std::string_view text, std::span<const ByteSpan> words) const override {
    std::vector<Piece> pieces;
    pieces.reserve(words.size());
    for (const ByteSpan& word : words) {
      const auto begin = static_cast<size_t>(word.begin);
      pieces.push_back({id_of_word(text.substr(begin, static_cast<size_t>(word.end) - begin)), 0,
                        word.begin, word.end});
    }
    return pieces;
  }

  std::string decode(std::span<const int32_t> ids) const override {
    std::string text;
    for (const int32_t id : ids) {
      if (specials().marks(id)) continue;
      if (!text.empty()) text += ' ';
      text += id == specials().unk ? "\u2047" : words_[static_cast<size_t>(id)];
    }
    return text;
  }

 private:
  int32_t id_of_word(std::string_view word) const {
    if (word.size() > kLongestWord) return specials().unk;
    const auto found = ids_.find(folds_ ? fold(word) : std::string(word));
    // A word that is spelt like a special piece is an unknown word.
    return found == ids_.end() || specials().marks(found->second) ? specials().unk : found->second;
  }

  std::vector<std::string> words_;
  std::unordered_map<std::string, int32_t> ids_;
  bool folds_;
};

}  // namespace

std::string train_words(const TokenizerOptions& options, const std::vector<std::string>& lines) {
  std::map<std::string, int64_t> counts;
  for (const std::string& line : lines) {
    for (const ByteSpan& span : split_words(line)) {
      const auto begin = static_cast<size_t>(span.begin);
      const std::string word = line.substr(begin, static_cast<size_t>(span.end) - begin);
      if (word.size() <= kLongestWord) ++counts[options.lower_case ? fold(word) : word];
    }
  }
  std::vector<std::pair<std::string, int64_t>> order(counts.begin(), counts.end());
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  const auto room = static_cast<size_t>(options.vocabulary - Tokenizer::kSpecials);
  if (order.size() > room) order.resize(room);
  std::string body;
  for (const std::string_view special : kSpecialTokens) body.append(special).append("\n");
  for (const auto& entry : order) body.append(entry.first).append("\n");
  return fmt::format("{}{} {}\n{}", kMagic, hash_of(body), options.lower_case ? "fold" : "exact",
                     body);
}

bool is_word_list(std::string_view bytes) { return bytes.starts_with(kMagic); }

ModelPointer load_words(std::string bytes, std::string_view where) {
  const auto damaged = [&](std::string_view fault) {
    return DataError(where, fmt::format("damaged word list: {}", fault),
                     "train the tokenizer again, or restore the file");
  };
  const size_t line_end = bytes.find('\n');
  if (line_end == std::string::npos) throw damaged("it ends within its first line");
  const std::string head = bytes.substr(kMagic.size(), line_end - kMagic.size());
  const std::string_view body = std::string_view(bytes).substr(line_end + 1);
  const size_t space = head.find(' ');
  const std::string fold_name = space == std::string::npos ? "" : head.substr(space + 1);
  if (fold_name != "fold" && fold_name != "exact") throw damaged("its first line is malformed");
  if (head.substr(0, space) != hash_of(body)) throw damaged("its checksum differs");
  std::vector<std::string> words;
  for (size_t at = 0; at < body.size();) {
    const size_t end = body.find('\n', at);
    words.emplace_back(body.substr(at, end - at));
    at = end == std::string_view::npos ? body.size() : end + 1;
  }
  for (size_t i = 0; i < std::size(kSpecialTokens); ++i) {
    if (i >= words.size() || words[i] != kSpecialTokens[i]) {
      throw damaged(fmt::format("word {} is not {}", i, kSpecialTokens[i]));
    }
  }
  return std::make_shared<WordModel>(std::move(bytes), std::move(words), fold_name == "fold");
}

}  // namespace filigree
