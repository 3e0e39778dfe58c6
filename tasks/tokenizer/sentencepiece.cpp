// The SentencePiece tokenizers: unigram and byte-pair encoding.
#include <algorithm>
#include <fmt/format.h>
#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>
#include <unordered_map>

#include "core/error.h"
#include "core/file.h"
#include "tasks/tokenizer/model.h"

namespace filigree {

namespace {

// A SentencePiece model is a protobuf message that allows extension fields from 200 on. We put one
// in front: field 1000, length-delimited (tag 0xc2 0x3e), 20 bytes: "xxh3" and the checksum of all
// that follows. Other readers skip it; for us a damaged or cut file never passes.
constexpr std::string_view kSealTag = "\xc2\x3e\x14xxh3";
constexpr size_t kSealSize = kSealTag.size() + 16;

/// SentencePiece packs places within a line into 16 bits and looks at whitespace-separated words
/// only, so long lines are handed over in parts, divided at whitespace where there is any.
constexpr size_t kLongestPart = 4000;

std::vector<std::string> divide(std::vector<std::string> lines) {
  std::vector<std::string> parts;
  parts.reserve(lines.size());
  for (std::string& line : lines) {
    if (line.size() <= kLongestPart) {
      parts.push_back(std::move(line));
      continue;
    }
    std::string_view rest = line;
    while (!rest.empty()) {
      std::string_view part = utf8_prefix(rest, kLongestPart);
      if (part.size() < rest.size()) {
        const size_t space = part.find_last_of(" \t");
        if (space != std::string_view::npos && space > 0) part = part.substr(0, space);
      }
      parts.emplace_back(part);
      rest.remove_prefix(part.size());
    }
  }
  return parts;
}

class Lines final : public sentencepiece::SentenceIterator {
 public:
  explicit Lines(const std::vector<std::string>& lines) : lines_(lines) {}
  bool done() const override { return at_ == lines_.size(); }
  void Next() override { ++at_; }
  const std::string& value() const override { return lines_[at_]; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  const std::vector<std::string>& lines_;
  size_t at_ = 0;
};

/// The number behind the last occurrence of `mark`, or "".
std::string number_behind(std::string_view text, std::string_view mark) {
  const size_t at = text.rfind(mark);
  if (at == std::string_view::npos) return "";
  const size_t begin = text.find_first_of("0123456789", at + mark.size());
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_first_not_of("0123456789", begin) - begin));
}

[[noreturn]] void throw_training(const TokenizerOptions& options, std::string_view message) {
  if (message.find("too high") != std::string_view::npos) {
    const std::string bound = number_behind(message, "<=");
    throw DataError("tokenizer",
                    fmt::format("expected a vocabulary that the corpus can fill, got {} pieces{}",
                                options.vocabulary,
                                bound.empty() ? "" : fmt::format(" where {} are possible", bound)),
                    bound.empty()
                        ? "ask for fewer pieces or give more text"
                        : fmt::format("ask for at most {} pieces, or give more text", bound));
  }
  if (message.find("required_chars") != std::string_view::npos ||
      message.find("smaller than") != std::string_view::npos) {
    const std::string bound = number_behind(message, " vs ");
    throw DataError(
        "tokenizer",
        fmt::format("expected a vocabulary that holds every character of the corpus, got {} pieces"
                    "{}",
                    options.vocabulary,
                    bound.empty() ? "" : fmt::format(" for {} characters", bound)),
        "ask for more pieces, or lower the character coverage");
  }
  throw DataError("tokenizer", fmt::format("SentencePiece cannot train: {}", message),
                  "look at the corpus: it may be too small or too uniform");
}

class SentencePieceModel final : public Tokenizer::Model {
 public:
  SentencePieceModel(std::string bytes, std::unique_ptr<sentencepiece::SentencePieceProcessor> p,
                     TokenizerKind kind)
      : Model(std::move(bytes)), processor_(std::move(p)), kind_(kind) {}

  TokenizerKind kind() const override { return kind_; }
  int64_t vocabulary() const override { return processor_->GetPieceSize(); }
  std::string token(int32_t id) const override { return processor_->IdToPiece(id); }
  int32_t id_of(std::string_view token) const override {
    return processor_->PieceToId(absl::string_view(token.data(), token.size()));
  }

  std::vector<Piece> encode(std::string_view text, std::span<const ByteSpan>) const override {
    sentencepiece::ImmutableSentencePieceText result;
    const auto status =
        processor_->Encode(absl::string_view(text.data(), text.size()), result.mutable_proto());
    if (!status.ok()) throw DataError("encode", status.message());
    std::vector<Piece> pieces;
    const size_t count = result.pieces_size();
    pieces.reserve(count);
    int64_t last = 0;
    for (size_t i = 0; i < count; ++i) {
      const auto piece = result.pieces(static_cast<int>(i));
      Piece next{static_cast<int32_t>(piece.id()), 0, piece.begin(), piece.end()};
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
      if (id >= Tokenizer::kSpecials || id == Tokenizer::kUnk) known.push_back(id);
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

  std::unique_ptr<sentencepiece::SentencePieceProcessor> processor_;
  TokenizerKind kind_;
};

/// The kind of a model, by its scores: pieces of BPE are scored 0, -1, -2, ... in the order of
/// their merges, those of the unigram model by log-probabilities, which are below 0.
TokenizerKind kind_of(const sentencepiece::SentencePieceProcessor& processor) {
  const int first = Tokenizer::kSpecials;
  const int size = processor.GetPieceSize();
  for (int id = first; id < size; ++id) {
    if (processor.IsByte(id)) continue;
    return processor.GetScore(id) == 0 ? TokenizerKind::bpe : TokenizerKind::unigram;
  }
  return TokenizerKind::unigram;
}

}  // namespace

std::string train_sentencepiece(const TokenizerOptions& options, std::vector<std::string> lines) {
  const std::vector<std::string> parts = divide(std::move(lines));
  const std::unordered_map<std::string, std::string> settings{
      {"model_type", std::string(name_of(options.kind))},
      {"vocab_size", std::to_string(options.vocabulary)},
      {"character_coverage", fmt::format("{}", options.character_coverage)},
      {"normalization_rule_name", options.lower_case ? "nmt_nfkc_cf" : "nmt_nfkc"},
      {"byte_fallback", options.byte_fallback ? "true" : "false"},
      {"pad_id", "0"},
      {"unk_id", "1"},
      {"bos_id", "2"},
      {"eos_id", "3"},
      {"pad_piece", "[PAD]"},
      {"unk_piece", "[UNK]"},
      {"bos_piece", "[CLS]"},
      {"eos_piece", "[SEP]"},
      {"control_symbols", "[MASK]"},
      // A fixed number, whatever the machine: the order of its sums depends on it.
      {"num_threads", "4"},
      {"minloglevel", "2"}};
  Lines iterator(parts);
  std::string model;
  const auto status = sentencepiece::SentencePieceTrainer::Train(settings, &iterator, &model);
  if (!status.ok()) throw_training(options, status.message());
  return std::string(kSealTag) + to_hex(checksum(model)) + model;
}

std::shared_ptr<const Tokenizer::Model> load_sentencepiece(std::string bytes,
                                                           std::string_view where) {
  constexpr std::string_view kHint = "give a model of `filigree tokenizer train`";
  const std::string_view all = bytes;
  if (all.starts_with(kSealTag) &&
      (all.size() < kSealSize ||
       all.substr(kSealTag.size(), 16) != to_hex(checksum(all.substr(kSealSize))))) {
    throw DataError(where, "damaged tokenizer: its checksum differs",
                    "train the tokenizer again, or restore the file");
  }
  auto processor = std::make_unique<sentencepiece::SentencePieceProcessor>();
  const auto status =
      all.empty() ? sentencepiece::util::Status(sentencepiece::util::StatusCode::kDataLoss, "")
                  : processor->LoadFromSerializedProto(absl::string_view(all.data(), all.size()));
  if (!status.ok()) throw DataError(where, "not a SentencePiece model", kHint);
  for (int id = 0; id < Tokenizer::kSpecials; ++id) {
    if (id >= processor->GetPieceSize() ||
        processor->IdToPiece(id) != kSpecialTokens[static_cast<size_t>(id)]) {
      throw DataError(
          where,
          fmt::format(
              "expected piece {} to be {}, got {}", id, kSpecialTokens[static_cast<size_t>(id)],
              id < processor->GetPieceSize() ? excerpt(processor->IdToPiece(id)) : "nothing"),
          kHint);
    }
  }
  const TokenizerKind kind = kind_of(*processor);
  return std::make_shared<SentencePieceModel>(std::move(bytes), std::move(processor), kind);
}

}  // namespace filigree
