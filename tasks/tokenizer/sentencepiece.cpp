// The SentencePiece tokenizers: unigram and byte-pair encoding.
#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>
#include <sentencepiece_processor.h>

#include "core/error.h"
#include "core/file.h"
#include "tasks/tokenizer/model.h"
#include "tasks/tokenizer/sealed_text.h"

namespace filigree {

namespace {

// A SentencePiece model is a protobuf message that allows extension fields from 200 on. We put two
// in front. Field 1000, length-delimited (tag 0xc2 0x3e), 20 bytes: "xxh3" and the checksum of all
// that follows. Field 1001 (tag 0xca 0x3e), of imported models only: the name of the layout. Other
// readers skip them; for us a damaged or cut file never passes.
constexpr std::string_view kSealTag = "\xc2\x3e\x14xxh3";
constexpr size_t kSealSize = kSealTag.size() + 16;
constexpr std::string_view kLayoutTag = "\xca\x3e";
constexpr std::string_view kHint =
    "give a model of `filigree tokenizer train`, or bring in another with `filigree tokenizer "
    "import "
    "--kind sentencepiece`";

using Processor = sentencepiece::SentencePieceProcessor;

absl::string_view view(std::string_view text) { return {text.data(), text.size()}; }

std::optional<int32_t> find_piece(const Processor& processor, std::string_view piece) {
  const int id = processor.PieceToId(view(piece));
  if (id < 0 || id >= processor.GetPieceSize() || processor.IdToPiece(id) != piece) {
    return std::nullopt;
  }
  return id;
}

/// Which id a piece of the model has: `offset` more than in the model, and further ids before
/// (`front`, from 0 on) and behind (`back`) all pieces. The unknown piece is specials.unk.
struct IdMap {
  int32_t offset = 0;
  std::vector<std::string> front, back;
  SpecialIds specials;
};

/// Published fairseq dictionaries: see CamembertTokenizer and XLMRobertaTokenizer of transformers.
IdMap fairseq_map(const Processor& processor, SentencePieceLayout layout, std::string_view where) {
  constexpr std::array<std::string_view, 3> kFirst{"<unk>", "<s>", "</s>"};
  for (int id = 0; id < 3; ++id) {
    const std::string piece = id < processor.GetPieceSize() ? processor.IdToPiece(id) : "";
    if (piece == kFirst[static_cast<size_t>(id)]) continue;
    throw DataError(
        where,
        fmt::format("expected piece {} of a model for the layout {} to be {}, got {}", id,
                    name_of(layout), kFirst[static_cast<size_t>(id)], excerpt(piece)),
        "use --layout plain");
  }
  const int32_t size = processor.GetPieceSize();
  if (layout == SentencePieceLayout::camembert) {
    return {4,
            {"<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED"},
            {"<mask>"},
            {.pad = 1, .unk = 3, .cls = 5, .sep = 6, .mask = size + 4}};
  }
  return {1,
          {"<s>", "<pad>", "</s>", "<unk>"},
          {"<mask>"},
          {.pad = 1, .unk = 3, .cls = 0, .sep = 2, .mask = size + 1}};
}

IdMap plain_map(const Processor& processor) {
  IdMap map;
  auto found = find_specials([&](std::string_view piece) { return find_piece(processor, piece); });
  found[1] = processor.unk_id();  // every model has one, whatever its name
  std::vector<int32_t> ids;
  for (size_t i = 0; i < found.size(); ++i) {
    if (!found[i]) {
      found[i] = processor.GetPieceSize() + static_cast<int32_t>(map.back.size());
      map.back.emplace_back(kSpecialTokens[i]);
    }
    ids.push_back(*found[i]);
  }
  map.specials = special_ids(ids);
  return map;
}

/// Of a model that `tokenizer train` made.
IdMap own_map(const Processor& processor, std::string_view where) {
  for (int id = 0; id < Tokenizer::kSpecials; ++id) {
    const std::string_view special = kSpecialTokens[static_cast<size_t>(id)];
    if (id < processor.GetPieceSize() && processor.IdToPiece(id) == special) continue;
    throw DataError(
        where,
        fmt::format("expected piece {} to be {}, got {}", id, special,
                    id < processor.GetPieceSize() ? excerpt(processor.IdToPiece(id)) : "nothing"),
        kHint);
  }
  return {};
}

/// The kind of a model, by its scores: pieces of BPE are scored 0, -1, -2, ... in the order of
/// their merges, those of the unigram model by log-probabilities. (Pieces that the user defined,
/// which may have any score, are among the first.)
TokenizerKind kind_of(const Processor& processor) {
  const float last = processor.GetScore(processor.GetPieceSize() - 1);
  return last == std::floor(last) ? TokenizerKind::bpe : TokenizerKind::unigram;
}

class SentencePieceModel final : public Tokenizer::Model {
 public:
  SentencePieceModel(std::string bytes, std::unique_ptr<Processor> processor, IdMap map)
      : Model(std::move(bytes), map.specials),
        processor_(std::move(processor)),
        map_(std::move(map)),
        kind_(kind_of(*processor_)) {}

  TokenizerKind kind() const override { return kind_; }
  int64_t vocabulary() const override {
    return end_of_model() + static_cast<int64_t>(map_.back.size());
  }
  std::string token(int32_t id) const override {
    const auto index = static_cast<size_t>(id);
    if (index < map_.front.size()) return map_.front[index];
    if (id >= end_of_model()) return map_.back[static_cast<size_t>(id - end_of_model())];
    return processor_->IdToPiece(id - map_.offset);
  }
  int32_t id_of(std::string_view token) const override {
    for (size_t i = 0; i < map_.front.size(); ++i) {
      if (map_.front[i] == token) return static_cast<int32_t>(i);
    }
    for (size_t i = 0; i < map_.back.size(); ++i) {
      if (map_.back[i] == token) return end_of_model() + static_cast<int32_t>(i);
    }
    return ours(processor_->PieceToId(view(token)));
  }

  std::vector<Piece> encode(std::string_view text, std::span<const ByteSpan>) const override {
    sentencepiece::ImmutableSentencePieceText result;
    const auto status = processor_->Encode(view(text), result.mutable_proto());
    if (!status.ok()) throw DataError("encode", status.message());
    std::vector<Piece> pieces;
    const size_t count = result.pieces_size();
    pieces.reserve(count);
    int64_t last = 0;
    for (size_t i = 0; i < count; ++i) {
      const auto piece = result.pieces(static_cast<int>(i));
      Piece next{ours(static_cast<int32_t>(piece.id())), 0, piece.begin(), piece.end()};
      // The spaces that SentencePiece counts to the piece behind them belong to no word.
      while (next.begin < next.end && is_space(text, next.begin)) ++next.begin;
      next.begin = std::max(next.begin, last);
      next.end = std::max(next.end, next.begin);
      last = next.begin;
      pieces.push_back(next);
    }
    return pieces;
  }

  std::string decode(std::span<const int32_t> ids) const override {
    std::vector<int> known;
    known.reserve(ids.size());
    for (const int32_t id : ids) {
      if (specials().marks(id) || id >= end_of_model()) continue;
      if (id == specials().unk) {
        known.push_back(processor_->unk_id());
      } else if (static_cast<size_t>(id) >= map_.front.size()) {
        known.push_back(id - map_.offset);
      }
    }
    std::string text;
    const auto status = processor_->Decode(known, &text);
    if (!status.ok()) throw DataError("decode", status.message());
    return text;
  }

 private:
  static bool is_space(std::string_view text, int64_t at) {
    return std::string_view(" \t\r\n\v\f").find(text[static_cast<size_t>(at)]) !=
           std::string_view::npos;
  }

  int32_t end_of_model() const { return processor_->GetPieceSize() + map_.offset; }
  int32_t ours(int32_t id) const {
    return id == processor_->unk_id() ? specials().unk : id + map_.offset;
  }

  std::unique_ptr<Processor> processor_;
  IdMap map_;
  TokenizerKind kind_;
};

}  // namespace

std::string seal_sentencepiece(std::string_view model) {
  return fmt::format("{}{}{}", kSealTag, to_hex(checksum(model)), model);
}

std::string sentencepiece_bytes(std::string_view model, SentencePieceLayout layout) {
  const std::string_view name = name_of(layout);
  return seal_sentencepiece(
      fmt::format("{}{}{}{}", kLayoutTag, static_cast<char>(name.size()), name, model));
}

bool is_sealed_sentencepiece(std::string_view bytes) { return bytes.starts_with(kSealTag); }

std::optional<SentencePieceLayout> sentencepiece_layout(std::string_view bytes) {
  if (!is_sealed_sentencepiece(bytes) || bytes.size() < kSealSize) return std::nullopt;
  const std::string_view field = bytes.substr(kSealSize);
  if (!field.starts_with(kLayoutTag) || field.size() == kLayoutTag.size()) return std::nullopt;
  const auto length = static_cast<uint8_t>(field[kLayoutTag.size()]);
  return parse_sentencepiece_layout(field.substr(kLayoutTag.size() + 1, length));
}

ModelPointer load_sentencepiece(std::string bytes, std::string_view where) {
  std::string_view rest = bytes;
  if (is_sealed_sentencepiece(bytes)) {
    if (rest.size() < kSealSize ||
        rest.substr(kSealTag.size(), 16) != to_hex(checksum(rest.substr(kSealSize)))) {
      throw DataError(where, "damaged tokenizer: its checksum differs",
                      "make the tokenizer again, or restore the file");
    }
    rest.remove_prefix(kSealSize);
  }
  const std::optional<SentencePieceLayout> layout = sentencepiece_layout(bytes);
  if (layout) rest.remove_prefix(kLayoutTag.size() + 1 + name_of(*layout).size());
  auto processor = std::make_unique<Processor>();
  if (rest.empty() || !processor->LoadFromSerializedProto(view(rest)).ok()) {
    throw DataError(where, "not a SentencePiece model", kHint);
  }
  IdMap map = !layout                                 ? own_map(*processor, where)
              : *layout == SentencePieceLayout::plain ? plain_map(*processor)
                                                      : fairseq_map(*processor, *layout, where);
  return std::make_shared<SentencePieceModel>(std::move(bytes), std::move(processor),
                                              std::move(map));
}

}  // namespace filigree
