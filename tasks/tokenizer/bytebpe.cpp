// Byte-level byte-pair encoding: the tokenizer of GPT-2 and RoBERTa.
#include <algorithm>
#include <array>
#include <charconv>
#include <fmt/format.h>
#include <map>
#include <nlohmann/json.hpp>
#include <queue>
#include <unicode/utf8.h>

#include "core/error.h"
#include "tasks/tokenizer/gpt2_split.h"
#include "tasks/tokenizer/model.h"
#include "tasks/tokenizer/sealed_text.h"

namespace filigree {

namespace {

// The file: "filigree-bytebpe 1 CHECKSUM", a line with the numbers of pieces and merges, the pieces
// in the order of their ids, one a line, and the merges ("left right") in the order of their ranks.
constexpr std::string_view kName = "filigree-bytebpe";
constexpr std::string_view kHint =
    "give the vocab.json and merges.txt of one GPT-2 or RoBERTa model";
constexpr int64_t kMostPieces = 4'000'000;

/// GPT-2 spells a byte by a visible character: itself if it is visible in Latin-1, else U+0100 and
/// on, in order.
std::array<std::string, 256> spell_bytes() {
  std::array<std::string, 256> spelling;
  UChar32 next = 0x100;
  for (size_t byte = 0; byte < spelling.size(); ++byte) {
    const bool visible = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte != 0xAD);
    const UChar32 c = visible ? static_cast<UChar32>(byte) : next++;
    char text[U8_MAX_LENGTH];
    int32_t length = 0;
    U8_APPEND_UNSAFE(text, length, c);
    spelling[byte].assign(text, static_cast<size_t>(length));
  }
  return spelling;
}

struct Merge {
  int32_t rank = 0;
  int32_t id = 0;  // of both together
};

constexpr uint64_t pair_of(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32U | static_cast<uint32_t>(right);
}

struct Tables {
  std::vector<std::string> pieces;             // as spelt
  PieceIds ids;                                // by spelling
  std::array<int32_t, 256> byte_ids{};         // pieces of one byte
  std::unordered_map<uint64_t, Merge> merges;  // by pair_of(left, right)
};

class ByteBpeModel final : public Tokenizer::Model {
 public:
  ByteBpeModel(std::string bytes, Tables tables, const SpecialIds& specials)
      : Model(std::move(bytes), specials), tables_(std::move(tables)) {
    const std::array<std::string, 256> spelling = spell_bytes();
    for (size_t byte = 0; byte < spelling.size(); ++byte) {
      bytes_of_.emplace(spelling[byte], static_cast<char>(byte));
    }
    for (const std::string& piece : tables_.pieces) plain_.push_back(unspell(piece));
  }

  TokenizerKind kind() const override { return TokenizerKind::bytebpe; }
  int64_t vocabulary() const override { return static_cast<int64_t>(tables_.pieces.size()); }
  std::string token(int32_t id) const override { return tables_.pieces[static_cast<size_t>(id)]; }
  int32_t id_of(std::string_view token) const override {
    const auto found = tables_.ids.find(token);
    return found == tables_.ids.end() ? specials().unk : found->second;
  }

  std::vector<Piece> encode(std::string_view text, std::span<const ByteSpan>) const override {
    std::vector<Piece> pieces;
    pieces.reserve(text.size() / 3);
    std::unordered_map<std::string_view, std::vector<int32_t>> known;  // parts that came before
    for (const ByteSpan& part : split_gpt2(text)) {
      const std::string_view bytes =
          text.substr(static_cast<size_t>(part.begin), static_cast<size_t>(part.end - part.begin));
      const auto [found, is_new] = known.try_emplace(bytes);
      if (is_new) found->second = merge(bytes);
      int64_t begin = part.begin;
      for (const int32_t id : found->second) {
        const auto length = static_cast<int64_t>(plain_[static_cast<size_t>(id)]->size());
        pieces.push_back(place(text, id, begin, begin + length));
        begin += length;
      }
    }
    return pieces;
  }

  std::string decode(std::span<const int32_t> ids) const override {
    std::string text;
    for (const int32_t id : ids) {
      if (specials().marks(id)) continue;
      const auto index = static_cast<size_t>(id);
      text += id == specials().unk ? "\u2047" : plain_[index].value_or(tables_.pieces[index]);
    }
    return well_formed(text);
  }

 private:
  /// Pieces may end within a character: malformed bytes become U+FFFD.
  static std::string well_formed(std::string_view text) {
    std::string result;
    for (int64_t at = 0; at < static_cast<int64_t>(text.size());) {
      const auto begin = static_cast<size_t>(at);
      const bool good = next_character(text, at) >= 0;
      result += good ? text.substr(begin, static_cast<size_t>(at) - begin) : "\uFFFD";
    }
    return result;
  }

  /// The bytes that a piece spells; nothing for special pieces that spell none.
  std::optional<std::string> unspell(std::string_view piece) const {
    std::string bytes;
    for (int64_t at = 0; at < static_cast<int64_t>(piece.size());) {
      const auto begin = static_cast<size_t>(at);
      next_character(piece, at);
      const auto found = bytes_of_.find(piece.substr(begin, static_cast<size_t>(at) - begin));
      if (found == bytes_of_.end()) return std::nullopt;
      bytes += found->second;
    }
    return bytes;
  }

  /// Whole characters of the text, without the blanks around.
  static Piece place(std::string_view text, int32_t id, int64_t begin, int64_t end) {
    const auto byte = [&](int64_t at) { return text[static_cast<size_t>(at)]; };
    const auto size = static_cast<int64_t>(text.size());
    while (begin < end && byte(begin) == ' ') ++begin;
    while (begin < end && byte(end - 1) == ' ') --end;
    if (begin == end) return {id, 0, end, end};
    while (begin > 0 && U8_IS_TRAIL(static_cast<uint8_t>(byte(begin)))) --begin;
    while (end < size && U8_IS_TRAIL(static_cast<uint8_t>(byte(end)))) ++end;
    return {id, 0, begin, end};
  }

  struct Candidate {
    int32_t rank = 0;
    int64_t at = 0;
    uint64_t pair = 0;
    bool operator>(const Candidate& other) const {
      return std::pair(rank, at) > std::pair(other.rank, other.at);
    }
  };

  /// Merges the pair of lowest rank (the first of equals) until none is left. O(n log n).
  std::vector<int32_t> merge(std::string_view bytes) const {
    const auto size = static_cast<int64_t>(bytes.size());
    std::vector<int32_t> ids(bytes.size());
    std::vector<int64_t> next(bytes.size()), before(bytes.size());
    for (int64_t i = 0; i < size; ++i) {
      const auto index = static_cast<size_t>(i);
      ids[index] = tables_.byte_ids[static_cast<uint8_t>(bytes[index])];
      next[index] = i + 1;
      before[index] = i - 1;
    }
    std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
    const auto id = [&](int64_t i) -> int32_t& { return ids[static_cast<size_t>(i)]; };
    const auto offer = [&](int64_t left) {
      if (left < 0 || next[static_cast<size_t>(left)] >= size) return;
      const uint64_t pair = pair_of(id(left), id(next[static_cast<size_t>(left)]));
      const auto found = tables_.merges.find(pair);
      if (found != tables_.merges.end()) queue.push({found->second.rank, left, pair});
    };
    for (int64_t i = 0; i < size; ++i) offer(i);
    while (!queue.empty()) {
      const Candidate best = queue.top();
      queue.pop();
      const auto left = static_cast<size_t>(best.at);
      const int64_t right = next[left];
      if (ids[left] < 0 || right >= size || pair_of(ids[left], id(right)) != best.pair) continue;
      ids[left] = tables_.merges.at(best.pair).id;
      id(right) = -1;  // it is part of the left one
      next[left] = next[static_cast<size_t>(right)];
      if (next[left] < size) before[static_cast<size_t>(next[left])] = best.at;
      offer(before[left]);
      offer(best.at);
    }
    std::erase(ids, -1);
    return ids;
  }

  Tables tables_;
  std::unordered_map<std::string, char, PieceHash, std::equal_to<>> bytes_of_;
  std::vector<std::optional<std::string>> plain_;  // (V) bytes of a piece
};

/// The pieces of vocab.json in the order of their ids, which must be 0 .. V-1.
std::vector<std::string> read_vocabulary(std::string_view text, std::string_view where) {
  const auto fail = [&](std::string_view what) { throw DataError(where, what, kHint); };
  std::vector<std::string> pieces;
  try {
    const auto json = nlohmann::json::parse(text);
    const auto ids = json.get<std::map<std::string, int64_t>>();
    pieces.resize(ids.size());
    std::vector<bool> taken(ids.size(), false);
    for (const auto& [piece, id] : ids) {
      if (id < 0 || id >= static_cast<int64_t>(ids.size()) || taken[static_cast<size_t>(id)]) {
        fail(fmt::format("expected each id from 0 to {} once, got {} for {}", ids.size() - 1, id,
                         excerpt(piece)));
      }
      if (piece.empty() || piece.find('\n') != std::string::npos) {
        fail(fmt::format("piece {} is empty or has a line end", id));
      }
      taken[static_cast<size_t>(id)] = true;
      pieces[static_cast<size_t>(id)] = piece;
    }
  } catch (const nlohmann::json::exception&) {
    fail("expected a JSON object of pieces and their ids");
  }
  return pieces;
}

int64_t read_number(std::string_view text, std::string_view where) {
  int64_t number = -1;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size() || number < 0 ||
      number > kMostPieces) {
    throw DataError(where, fmt::format("expected a number of pieces, got {}", excerpt(text)),
                    kHint);
  }
  return number;
}

void add_merge(Tables& tables, std::string_view line, int32_t rank, std::string_view where) {
  const size_t blank = line.find(' ');
  const auto id = [&](std::string_view piece) {
    const auto found = tables.ids.find(piece);
    return found == tables.ids.end() ? -1 : found->second;
  };
  int32_t left = -1, right = -1, both = -1;
  if (blank != std::string_view::npos) {
    left = id(line.substr(0, blank));
    right = id(line.substr(blank + 1));
    both = id(std::string(line.substr(0, blank)).append(line.substr(blank + 1)));
  }
  if (left < 0 || right < 0 || both < 0) {
    throw DataError(where,
                    fmt::format("expected merge {} to be of two pieces whose union is a piece, got "
                                "{}",
                                rank + 1, excerpt(line)),
                    kHint);
  }
  tables.merges.insert_or_assign(pair_of(left, right), Merge{rank, both});
}

}  // namespace

std::string bytebpe_bytes(std::string_view vocabulary, std::string_view merges,
                          std::string_view where) {
  std::string body;
  const std::vector<std::string> pieces = read_vocabulary(vocabulary, where);
  for (const std::string& piece : pieces) body.append(piece).append("\n");
  int64_t count = 0;
  while (!merges.empty()) {
    std::string_view line = take_line(merges);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with("#version")) continue;
    body.append(line).append("\n");
    ++count;
  }
  return seal_text(kName, fmt::format("{} {}\n{}", pieces.size(), count, body));
}

bool is_bytebpe(std::string_view bytes) { return is_sealed_text(kName, bytes); }

ModelPointer load_bytebpe(std::string bytes, std::string_view where) {
  std::string_view body = unseal_text(kName, bytes, where);
  require_utf8(where, body);
  const std::string_view head = take_line(body);
  const size_t blank = std::min(head.find(' '), head.size() - 1);
  const int64_t size = read_number(head.substr(0, blank), where);
  const int64_t merges = read_number(head.substr(blank + 1), where);
  Tables tables;
  for (int64_t i = 0; i < size; ++i) {
    tables.pieces.emplace_back(take_line(body));
    tables.ids.emplace(tables.pieces.back(), static_cast<int32_t>(i));
  }
  const auto find = [&](std::string_view piece) -> std::optional<int32_t> {
    const auto found = tables.ids.find(piece);
    return found == tables.ids.end() ? std::nullopt : std::optional(found->second);
  };
  const std::array<std::string, 256> spelling = spell_bytes();
  for (size_t byte = 0; byte < spelling.size(); ++byte) {
    const std::optional<int32_t> id = find(spelling[byte]);
    if (!id) {
      throw DataError(where,
                      fmt::format("expected a piece for every byte, got none for 0x{:02x}", byte),
                      kHint);
    }
    tables.byte_ids[byte] = *id;
  }
  for (int64_t rank = 0; rank < merges; ++rank) {
    add_merge(tables, take_line(body), static_cast<int32_t>(rank), where);
  }
  const SpecialIds specials = require_specials(where, find);
  return std::make_shared<ByteBpeModel>(std::move(bytes), std::move(tables), specials);
}

}  // namespace filigree
