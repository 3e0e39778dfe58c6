// Training of the SentencePiece tokenizers.
#include <fmt/format.h>
#include <sentencepiece_trainer.h>
#include <unordered_map>

#include "core/error.h"
#include "tasks/tokenizer/model.h"

namespace filigree {

namespace {

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

}  // namespace

std::string train_sentencepiece(const TokenizerOptions& options, std::vector<std::string> lines,
                                std::string_view normalization) {
  const std::vector<std::string> parts = divide(std::move(lines));
  const std::unordered_map<std::string, std::string> settings{
      {"model_type", std::string(name_of(options.kind))},
      {"vocab_size", std::to_string(options.vocabulary)},
      {"character_coverage", fmt::format("{}", options.character_coverage)},
      {"normalization_rule_name", std::string(!normalization.empty() ? normalization
                                              : options.lower_case   ? "nmt_nfkc_cf"
                                                                     : "nmt_nfkc")},
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
  return seal_sentencepiece(model);
}

}  // namespace filigree
