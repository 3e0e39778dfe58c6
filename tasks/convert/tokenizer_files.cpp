#include "tasks/convert/tokenizer_files.h"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/error.h"
#include "core/file.h"
#include "tasks/tokenizer/tokenizer.h"
#include "tasks/training/model_input.h"

namespace filigree {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// What tokenizers of transformers keep in a folder.
constexpr const char* kFiles[] = {"vocab.txt",
                                  "vocab.json",
                                  "merges.txt",
                                  "sentencepiece.bpe.model",
                                  "spiece.model",
                                  "tokenizer.json",
                                  "tokenizer_config.json",
                                  "special_tokens_map.json",
                                  "added_tokens.json"};
constexpr const char* kOurs = "tokenizer.model";
constexpr const char* kSentencePiece = "sentencepiece.bpe.model";

/// Copies those that are there; how many.
int copy_files(const fs::path& from, const NewFolder& to) {
  int copied = 0;
  for (const char* name : kFiles) {
    if (!fs::exists(from / name)) continue;
    write_file(to / name, read_file(from / name));
    ++copied;
  }
  return copied;
}

json read_json(const fs::path& path) {
  if (!fs::exists(path)) return json::object();
  json parsed = json::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
  if (parsed.is_object()) return parsed;
  throw CheckpointError(path.string(), "is not a JSON object",
                        "take another copy, or remove the file");
}

/// A truth value of a key, `fallback` where it is missing or of another kind.
std::optional<bool> truth(const json& object, const char* key, std::optional<bool> fallback) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_boolean()) return fallback;
  return found->get<bool>();
}

/// The pieces of "vocab" in a tokenizer.json, in the order of their ids, one a line. Throws
/// CheckpointError unless the ids are 0, 1, 2 ...
std::string vocabulary_lines(const fs::path& path, const json& vocab) {
  std::vector<std::string> pieces(vocab.size());
  for (const auto& [piece, id] : vocab.items()) {
    if (!id.is_number_unsigned() || id.get<size_t>() >= pieces.size()) {
      throw CheckpointError(path.string(), fmt::format("the id of \"{}\" is {}", piece, id.dump()),
                            "ids must be 0, 1, 2 ...");
    }
    pieces[id.get<size_t>()] = piece;
  }
  std::string text;
  for (const std::string& piece : pieces) text += piece + "\n";
  return text;
}

/// "merges" of a tokenizer.json, "a b" or ["a", "b"], as merges.txt.
std::string merges_text(const json& merges) {
  std::string text = "#version: 0.2\n";
  for (const json& merge : merges) {
    if (merge.is_string()) {
      text += merge.get<std::string>() + "\n";
    } else {
      text +=
          fmt::format("{} {}\n", merge.at(0).get<std::string>(), merge.at(1).get<std::string>());
    }
  }
  return text;
}

/// From tokenizer.json, which holds everything, where it is a WordPiece or a byte-level BPE.
std::optional<Tokenizer> from_tokenizer_json(const fs::path& path, ConversionReport& report) {
  const json all = read_json(path);
  try {
    const json& model = all.at("model");
    const std::string type = model.at("type");
    if (type == "WordPiece") {
      const json normalizer = all.contains("normalizer") && all["normalizer"].is_object()
                                  ? all["normalizer"]
                                  : json::object();
      WordPieceOptions options;
      options.lower_case = *truth(normalizer, "lowercase", true);
      options.strip_accents = truth(normalizer, "strip_accents", std::nullopt);
      options.split_cjk = *truth(normalizer, "handle_chinese_chars", true);
      return Tokenizer::import_wordpiece(vocabulary_lines(path, model.at("vocab")), options,
                                         path.string());
    }
    if (type == "BPE") {
      return Tokenizer::import_bytebpe(model.at("vocab").dump(), merges_text(model.at("merges")),
                                       path.string());
    }
    report.notes.push_back(
        fmt::format("tokenizer.json holds a {} model: put its SentencePiece file beside it", type));
    return std::nullopt;
  } catch (const json::exception& error) {
    throw CheckpointError(path.string(), fmt::format("is no tokenizer: {}", error.what()),
                          "take another copy, or remove the file");
  }
}

WordPieceOptions wordpiece_options(const fs::path& folder, ConversionReport& report) {
  const json config = read_json(folder / "tokenizer_config.json");
  WordPieceOptions options;
  options.lower_case = *truth(config, "do_lower_case", true);
  options.strip_accents = truth(config, "strip_accents", std::nullopt);
  options.split_cjk = *truth(config, "tokenize_chinese_chars", true);
  if (!config.contains("do_lower_case")) {
    report.notes.push_back(
        "no tokenizer_config.json says do_lower_case: taken as uncased, as transformers does");
  }
  return options;
}

/// The tokenizer of a folder, if there is one that Filigree knows.
std::optional<Tokenizer> find_their_tokenizer(const fs::path& in, const std::string& type,
                                              ConversionReport& report) {
  if (fs::exists(in / kOurs)) return Tokenizer::load(in / kOurs);
  if (fs::exists(in / "vocab.txt")) {
    const fs::path file = in / "vocab.txt";
    return Tokenizer::import_wordpiece(read_file(file), wordpiece_options(in, report),
                                       file.string());
  }
  for (const char* name : {kSentencePiece, "spiece.model"}) {
    if (!fs::exists(in / name)) continue;
    const SentencePieceLayout layout = type == "camembert"     ? SentencePieceLayout::camembert
                                       : type == "xlm-roberta" ? SentencePieceLayout::xlm_roberta
                                                               : SentencePieceLayout::plain;
    return Tokenizer::import_sentencepiece(read_file(in / name), layout, (in / name).string());
  }
  if (fs::exists(in / "vocab.json") && fs::exists(in / "merges.txt")) {
    return Tokenizer::import_bytebpe(read_file(in / "vocab.json"), read_file(in / "merges.txt"),
                                     (in / "vocab.json").string());
  }
  if (fs::exists(in / "tokenizer.json")) {
    return from_tokenizer_json(in / "tokenizer.json", report);
  }
  return std::nullopt;
}

}  // namespace

void import_tokenizer(const fs::path& in, const std::string& type, const NewFolder& out,
                      ModelInfo& info, ConversionReport& report) {
  const std::optional<Tokenizer> tokenizer = find_their_tokenizer(in, type, report);
  copy_files(in, out);
  if (!tokenizer) {
    report.notes.push_back(
        "the folder holds no tokenizer that Filigree knows: datasets must be "
        "made elsewhere");
    return;
  }
  if (tokenizer->vocabulary() > info.encoder.vocabulary) {
    throw CheckpointError(in.string(),
                          fmt::format("the tokenizer has {} pieces, the model {} embeddings",
                                      tokenizer->vocabulary(), info.encoder.vocabulary),
                          "take the tokenizer of this model");
  }
  tokenizer->save(out / kOurs);
  info.tokenizer_hash = tokenizer->hash();
  report.notes.push_back(fmt::format("tokenizer: {}, {} pieces, as {}", name_of(tokenizer->kind()),
                                     tokenizer->vocabulary(), kOurs));
}

namespace {

/// The text behind the first `count` lines.
std::string_view behind_lines(std::string_view text, int64_t count) {
  for (; count > 0; --count) text.remove_prefix(std::min(text.size(), text.find('\n') + 1));
  return text;
}

/// Files of WordPiece: the vocabulary as it came, and the rules for the text, which stand in the
/// second line of ours ("uncased strip-accents split-cjk").
void write_wordpiece(const Tokenizer& tokenizer, const NewFolder& out) {
  const std::string_view rules = behind_lines(tokenizer.bytes(), 1);
  const std::string line(rules.substr(0, rules.find('\n')));
  const auto says = [&](const char* rule) { return line.find(rule) != std::string::npos; };
  const json config{{"tokenizer_class", "BertTokenizer"},
                    {"do_lower_case", says("uncased")},
                    {"strip_accents", says("strip-accents")},
                    {"tokenize_chinese_chars", says("split-cjk")}};
  write_file(out / "vocab.txt", behind_lines(rules, 1));
  write_file(out / "tokenizer_config.json", config.dump(2) + "\n");
}

/// Files of byte-level BPE. Ours: two lines, the pieces in order of their ids, the merges.
void write_bytebpe(const Tokenizer& tokenizer, const NewFolder& out) {
  nlohmann::ordered_json vocabulary = nlohmann::ordered_json::object();
  for (int32_t id = 0; id < tokenizer.vocabulary(); ++id) vocabulary[tokenizer.token(id)] = id;
  write_file(out / "vocab.json", vocabulary.dump());
  write_file(out / "merges.txt",
             fmt::format("#version: 0.2\n{}",
                         behind_lines(tokenizer.bytes(), 2 + tokenizer.vocabulary())));
  write_file(out / "tokenizer_config.json",
             json{{"tokenizer_class", "RobertaTokenizer"}}.dump(2) + "\n");
}

void write_tokenizer(const Tokenizer& tokenizer, const NewFolder& out, ConversionReport& report) {
  switch (tokenizer.kind()) {
    case TokenizerKind::wordpiece:
      return write_wordpiece(tokenizer, out);
    case TokenizerKind::bytebpe:
      return write_bytebpe(tokenizer, out);
    case TokenizerKind::unigram:
    case TokenizerKind::bpe:
      write_file(out / kSentencePiece, tokenizer.bytes());
      report.notes.push_back(
          fmt::format("{}: a SentencePiece model, for the sentencepiece package; [CLS] and [SEP] "
                      "are {} and {}",
                      kSentencePiece, tokenizer.specials().cls, tokenizer.specials().sep));
      return;
    case TokenizerKind::word:
      report.notes.push_back("transformers has no tokenizer of whole words: none was written");
  }
}

}  // namespace

void export_tokenizer(const fs::path& model, const ModelInfo& info, const NewFolder& out,
                      ConversionReport& report) {
  if (copy_files(model.parent_path(), out) > 0) return;  // of a converted model: as they came
  fs::path file;
  try {
    file = find_tokenizer(model);
  } catch (const FileError&) {
    report.notes.push_back("no tokenizer is with the model: none was written");
    return;
  }
  write_tokenizer(load_tokenizer(info, file), out, report);
}

}  // namespace filigree
