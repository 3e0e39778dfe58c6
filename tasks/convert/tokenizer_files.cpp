#include "tasks/convert/tokenizer_files.h"

#include <algorithm>
#include <fmt/format.h>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/error.h"
#include "core/file.h"
#include "tasks/tokenizer/model.h"
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
/// Those that bear no vocabulary of their own.
constexpr const char* kSettings[] = {"tokenizer_config.json", "special_tokens_map.json",
                                     "added_tokens.json"};
constexpr const char* kOurs = "tokenizer.model";
constexpr const char* kSentencePiece = "sentencepiece.bpe.model";

void copy_if_there(const fs::path& from, const NewFolder& to, const char* name) {
  if (fs::exists(from / name)) write_file(to / name, read_file(from / name));
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
/// CheckpointError unless the ids are 0, 1, 2 ..., each once, and every piece fits in a line.
std::string vocabulary_lines(const fs::path& path, const json& vocab) {
  std::vector<std::optional<std::string>> seen(vocab.size());
  for (const auto& [piece, id] : vocab.items()) {
    const auto fail = [&](const std::string& what, const char* hint) {
      throw CheckpointError(path.string(), what, hint);
    };
    if (!id.is_number_unsigned() || id.get<size_t>() >= seen.size()) {
      fail(fmt::format("the id of \"{}\" is {}", piece, id.dump()), "ids must be 0, 1, 2 ...");
    }
    if (piece.find_first_of("\r\n") != std::string::npos) {
      fail(fmt::format("expected pieces of one line, got {}", json(piece).dump()),
           "no piece of WordPiece holds a line break; take another copy");
    }
    std::optional<std::string>& place = seen[id.get<size_t>()];
    if (place) {
      fail(fmt::format("\"{}\" and \"{}\" both have the id {}", *place, piece, id.dump()),
           "every id must stand for one piece; take another copy");
    }
    place = piece;
  }
  std::string text;
  for (const std::optional<std::string>& piece : seen) text += *piece + "\n";
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

/// A model as it came, or one of ours, which says its layout itself.
Tokenizer from_sentencepiece(const fs::path& file, const std::string& type) {
  std::string bytes = read_file(file);
  if (is_sealed_sentencepiece(bytes)) return Tokenizer::from_bytes(std::move(bytes), file.string());
  const SentencePieceLayout layout = type == "camembert"     ? SentencePieceLayout::camembert
                                     : type == "xlm-roberta" ? SentencePieceLayout::xlm_roberta
                                                             : SentencePieceLayout::plain;
  return Tokenizer::import_sentencepiece(bytes, layout, file.string());
}

/// Files that are one tokenizer together, and how it is read.
struct Source {
  std::vector<const char*> files;
  std::function<std::optional<Tokenizer>()> read;
};

/// The tokenizers of transformers in a folder; the first is what Filigree takes.
std::vector<Source> their_sources(const fs::path& in, const std::string& type,
                                  ConversionReport& report) {
  std::vector<Source> sources;
  if (fs::exists(in / "vocab.txt")) {
    sources.push_back({{"vocab.txt"}, [&report, file = in / "vocab.txt"] {
                         return Tokenizer::import_wordpiece(
                             read_file(file), wordpiece_options(file.parent_path(), report),
                             file.string());
                       }});
  }
  for (const char* name : {kSentencePiece, "spiece.model"}) {
    if (!fs::exists(in / name)) continue;
    sources.push_back(
        {{name}, [file = in / name, type] { return from_sentencepiece(file, type); }});
  }
  if (fs::exists(in / "vocab.json") && fs::exists(in / "merges.txt")) {
    sources.push_back({{"vocab.json", "merges.txt"}, [in] {
                         return Tokenizer::import_bytebpe(read_file(in / "vocab.json"),
                                                          read_file(in / "merges.txt"),
                                                          (in / "vocab.json").string());
                       }});
  }
  if (fs::exists(in / "tokenizer.json")) {
    sources.push_back({{"tokenizer.json"}, [&report, file = in / "tokenizer.json"] {
                         return from_tokenizer_json(file, report);
                       }});
  }
  return sources;
}

/// The tokenizer of a folder, if there is one that Filigree knows.
std::optional<Tokenizer> find_their_tokenizer(const fs::path& in, const std::string& type,
                                              ConversionReport& report) {
  if (fs::exists(in / kOurs)) return Tokenizer::load(in / kOurs);
  const std::vector<Source> sources = their_sources(in, type, report);
  return sources.empty() ? std::nullopt : sources.front().read();
}

}  // namespace

void import_tokenizer(const fs::path& in, const std::string& type, const NewFolder& out,
                      ModelInfo& info, ConversionReport& report) {
  const std::optional<Tokenizer> tokenizer = find_their_tokenizer(in, type, report);
  for (const char* name : kFiles) copy_if_there(in, out, name);
  if (!tokenizer) {
    report.notes.push_back(
        "the folder holds no tokenizer that Filigree knows: datasets must be "
        "made elsewhere");
    return;  // the hash stays what filigree.json says, "" without it
  }
  if (tokenizer->vocabulary() > info.encoder.vocabulary) {
    throw CheckpointError(in.string(),
                          fmt::format("the tokenizer has {} pieces, the model {} embeddings",
                                      tokenizer->vocabulary(), info.encoder.vocabulary),
                          "take the tokenizer of this model");
  }
  if (!info.tokenizer_hash.empty() && info.tokenizer_hash != tokenizer->hash()) {
    throw CheckpointError(
        in.string(),
        fmt::format("expected the tokenizer {} that filigree.json names, got {}",
                    info.tokenizer_hash, tokenizer->hash()),
        fmt::format("put the model's {} into the folder; if another tokenizer is meant, take "
                    "\"tokenizer_hash\" out of filigree.json",
                    kOurs));
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

/// Copies the files beside a model that are the tokenizer `hash`, and their settings. False if
/// there are none. Others are left behind, with a note.
bool copy_theirs(const fs::path& from, const std::string& type, const std::string& hash,
                 const NewFolder& out, ConversionReport& report) {
  bool copied = false;
  ConversionReport unused;  // what was said on the way in
  for (const Source& source : their_sources(from, type, unused)) {
    std::optional<Tokenizer> found;
    try {
      found = source.read();
    } catch (const Error&) {  // damaged: not the model's
    }
    if (found && found->hash() == hash) {
      for (const char* name : source.files) copy_if_there(from, out, name);
      copied = true;
    } else {
      report.notes.push_back(
          fmt::format("{} was left behind: it is not known to be the model's tokenizer",
                      (from / source.files.front()).string()));
    }
  }
  if (!copied) return false;
  for (const char* name : kSettings) copy_if_there(from, out, name);
  return true;
}

}  // namespace

std::optional<Tokenizer> tokenizer_beside(const fs::path& model, const ModelInfo& info) {
  if (info.tokenizer_hash.empty()) return std::nullopt;  // which one it is, nobody knows
  fs::path file;
  try {
    file = find_tokenizer(model);
  } catch (const FileError&) {
    return std::nullopt;
  }
  return load_tokenizer(info, file);
}

std::string type_for(const ModelInfo& info, const Tokenizer* tokenizer) {
  if (info.encoder.position_offset == 0) return "bert";
  const auto layout = tokenizer ? sentencepiece_layout(tokenizer->bytes()) : std::nullopt;
  if (layout == SentencePieceLayout::camembert) return "camembert";
  if (layout == SentencePieceLayout::xlm_roberta) return "xlm-roberta";
  return "roberta";
}

void export_tokenizer(const fs::path& model, const Tokenizer* tokenizer, const ModelInfo& info,
                      const std::string& type, const NewFolder& out, ConversionReport& report) {
  const fs::path beside = fs::absolute(model).parent_path();
  const std::string hash = tokenizer != nullptr ? tokenizer->hash() : info.tokenizer_hash;
  if (tokenizer != nullptr) tokenizer->save(out / kOurs);
  if (copy_theirs(beside, type, hash, out, report)) return;
  if (tokenizer == nullptr) {
    report.notes.push_back("no tokenizer is with the model: none was written");
    return;
  }
  write_tokenizer(*tokenizer, out, report);
}

}  // namespace filigree
