// WordPiece: BERT's tokenizer.
#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "core/error.h"
#include "tasks/tokenizer/bert_text.h"
#include "tasks/tokenizer/model.h"
#include "tasks/tokenizer/sealed_text.h"

namespace filigree {

namespace {

// The file: "filigree-wordpiece 1 CHECKSUM", a line with the rules, and vocab.txt as it came.
constexpr std::string_view kName = "filigree-wordpiece";
constexpr std::string_view kInside = "##";  // before pieces that begin no word
constexpr size_t kMostPieces = 4'000'000;

std::string name_of_rules(const BertTextRules& rules) {
  return fmt::format("{} {} {}", rules.lower_case ? "uncased" : "cased",
                     rules.strip_accents ? "strip-accents" : "keep-accents",
                     rules.split_cjk ? "split-cjk" : "keep-cjk");
}

std::optional<BertTextRules> parse_rules(std::string_view name) {
  for (int bits = 0; bits < 8; ++bits) {
    const BertTextRules rules{(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0};
    if (name_of_rules(rules) == name) return rules;
  }
  return std::nullopt;
}

/// The lines, without white space at their ends (as the `tokenizers` library reads them; a line may
/// be empty and then stands for no text).
std::vector<std::string> split_lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    std::string_view line = take_line(text);
    const size_t last = line.find_last_not_of(" \t\r\v\f");
    lines.emplace_back(line.substr(0, last == std::string_view::npos ? 0 : last + 1));
  }
  return lines;
}

class WordPieceModel final : public Tokenizer::Model {
 public:
  WordPieceModel(std::string bytes, const BertTextRules& rules, std::vector<std::string> pieces,
                 PieceIds ids, const SpecialIds& specials)
      : Model(std::move(bytes), specials),
        rules_(rules),
        pieces_(std::move(pieces)),
        ids_(std::move(ids)) {
    for (const auto& [piece, id] : ids_) {
      longest_ = std::max(longest_, piece.size());
      if (piece.starts_with(kInside)) inside_.emplace(piece.substr(kInside.size()), id);
    }
  }

  TokenizerKind kind() const override { return TokenizerKind::wordpiece; }
  int64_t vocabulary() const override { return static_cast<int64_t>(pieces_.size()); }
  std::string token(int32_t id) const override { return pieces_[static_cast<size_t>(id)]; }
  int32_t id_of(std::string_view token) const override {
    const auto found = ids_.find(token);
    return found == ids_.end() ? specials().unk : found->second;
  }

  std::vector<Piece> encode(std::string_view text, std::span<const ByteSpan>) const override {
    std::vector<Piece> pieces;
    pieces.reserve(text.size() / 4);
    for_each_bert_word(text, rules_, [&](const BertWord& word) {
      const size_t known = pieces.size();
      if (!word.too_long && divide(word, pieces)) return;
      pieces.resize(known);
      pieces.push_back({specials().unk, 0, word.span.begin, word.span.end});
    });
    return pieces;
  }

  std::string decode(std::span<const int32_t> ids) const override {
    std::string text;
    for (const int32_t id : ids) {
      if (specials().marks(id)) continue;
      std::string_view piece =
          id == specials().unk ? std::string_view("\u2047") : pieces_[static_cast<size_t>(id)];
      const bool inside = piece.size() > kInside.size() && piece.starts_with(kInside);
      if (inside) piece.remove_prefix(kInside.size());
      if (!inside && !text.empty()) text += ' ';
      text += piece;
    }
    return text;
  }

 private:
  /// The longest piece that fits, and so on to the word's end. False if none fits somewhere.
  bool divide(const BertWord& word, std::vector<Piece>& pieces) const {
    const std::string_view text = word.text;
    const size_t characters = word.ends.size();
    for (size_t first = 0; first < characters;) {
      const PieceIds& ids = first == 0 ? ids_ : inside_;
      const size_t begin = first == 0 ? 0 : word.ends[first - 1];
      size_t last = characters;  // behind the piece
      while (last > first && word.ends[last - 1] - begin > longest_) --last;
      for (; last > first; --last) {
        const auto found = ids.find(text.substr(begin, word.ends[last - 1] - begin));
        if (found == ids.end()) continue;
        pieces.push_back({found->second, 0, word.places[first].begin, word.places[last - 1].end});
        break;
      }
      if (last == first) return false;
      first = last;
    }
    return true;
  }

  BertTextRules rules_;
  std::vector<std::string> pieces_;
  PieceIds ids_;        // of all pieces
  PieceIds inside_;     // of those within a word, without their mark
  size_t longest_ = 0;  // bytes of a piece
};

}  // namespace

std::string wordpiece_bytes(std::string_view vocabulary, const WordPieceOptions& options) {
  const BertTextRules rules{options.lower_case, options.strip_accents.value_or(options.lower_case),
                            options.split_cjk};
  return seal_text(kName, fmt::format("{}\n{}", name_of_rules(rules), vocabulary));
}

bool is_wordpiece(std::string_view bytes) { return is_sealed_text(kName, bytes); }

ModelPointer load_wordpiece(std::string bytes, std::string_view where) {
  std::string_view body = unseal_text(kName, bytes, where);
  const std::string_view name = take_line(body);
  const std::optional<BertTextRules> rules = parse_rules(name);
  if (!rules) {
    throw DataError(where,
                    fmt::format("expected the rules of a WordPiece file, got {}", excerpt(name)),
                    "it is of a later version: import the vocabulary again");
  }
  require_utf8(where, body);
  std::vector<std::string> pieces = split_lines(body);
  if (pieces.size() > kMostPieces) {
    throw DataError(where,
                    fmt::format("expected at most {} pieces, got {}", kMostPieces, pieces.size()),
                    "give a vocab.txt: one piece a line");
  }
  PieceIds ids;
  ids.reserve(pieces.size());
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (!pieces[i].empty()) ids[pieces[i]] = static_cast<int32_t>(i);
  }
  const SpecialIds specials = require_specials(where, [&](std::string_view piece) {
    const auto found = ids.find(piece);
    return found == ids.end() ? std::nullopt : std::optional(found->second);
  });
  return std::make_shared<WordPieceModel>(std::move(bytes), *rules, std::move(pieces),
                                          std::move(ids), specials);
}

}  // namespace filigree
