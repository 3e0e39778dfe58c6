// filigree tokenizer train | import | encode
#include "tasks/tokenizer/tokenizer.h"

#include <fmt/format.h>
#include <iostream>

#include "core/error.h"
#include "core/file.h"
#include "tasks/readers/record_reader.h"
#include "tools/filigree/command.h"
#include "tools/filigree/options.h"

namespace filigree {

namespace {

int train_tokenizer(std::span<const std::string> words) {
  std::vector<std::string> inputs;
  std::string out, kind = "unigram", columns = "sentence", format = "auto", quoting = "none",
                   header;
  TokenizerOptions options;
  Options cli("tokenizer train --input FILE --out FILE [options]",
              "Trains a tokenizer on text files, or on columns of TSV, JSON lines or CoNLL-U.");
  cli.require("input", inputs, "text to train on; may be given several times");
  cli.require("out", out, "the tokenizer's file");
  cli.add("kind", kind, "unigram, bpe (SentencePiece), wordpiece or word [unigram]");
  cli.add("vocabulary", options.vocabulary, "pieces, the five special ones included [8000]");
  cli.add("column", columns, "columns with text, separated by commas [sentence; of .txt the line]");
  cli.add("columns", header, "TSV without a header line: names of its columns");
  cli.add("format", format, "auto, tsv, jsonl, conllu, squad or text [auto]");
  cli.add("quoting", quoting, "TSV: none or standard [none]");
  cli.add("character-coverage", options.character_coverage, "share of the characters [0.9995]");
  cli.flag("lower-case", options.lower_case, "fold case");
  cli.flag("byte-fallback", options.byte_fallback, "unknown characters become bytes, not [UNK]");
  cli.add("max-sentences", options.max_sentences, "train on a sample of so many [1000000]");
  cli.add("seed", options.seed, "of that sample [0]");
  if (!cli.parse(words)) return 0;
  options.kind = parse_tokenizer_kind(kind);
  ReaderOptions reading;
  reading.format = parse_record_format(format);
  reading.quoting = parse_quoting(quoting);
  reading.columns = split_list(header);
  const std::vector<std::string> wanted = split_list(columns);
  size_t next_input = 0;
  std::unique_ptr<RecordReader> reader;
  std::vector<std::string> pending;
  for (const std::string& input : inputs) expect_other_file(out, input);
  expect_writable(out);
  const Tokenizer tokenizer = Tokenizer::train(options, [&](std::string& line) {
    while (pending.empty()) {
      std::optional<Record> record;
      if (reader) record = reader->next();
      if (record) {
        pending.assign(record->values.rbegin(), record->values.rend());
      } else if (next_input == inputs.size()) {
        return false;
      } else {
        reader = RecordReader::open(inputs[next_input++], wanted, reading);
      }
    }
    line = std::move(pending.back());
    pending.pop_back();
    return true;
  });
  tokenizer.save(out);
  fmt::print("wrote {}: {}, {} pieces, hash {}\n", out, name_of(tokenizer.kind()),
             tokenizer.vocabulary(), tokenizer.hash());
  return 0;
}

int import_tokenizer(std::span<const std::string> words) {
  std::string kind, vocabulary, merges, model, out, layout = "plain";
  bool cased = false, uncased = false, keep_accents = false, keep_cjk = false;
  Options cli("tokenizer import --kind KIND --out FILE [options]",
              "Makes a tokenizer of a published vocabulary; its ids stay what they are.");
  cli.require("kind", kind, "wordpiece (BERT), sentencepiece (CamemBERT ...) or bytebpe (RoBERTa)");
  cli.require("out", out, "the tokenizer's file");
  cli.add("vocab", vocabulary, "wordpiece: vocab.txt; bytebpe: vocab.json");
  cli.add("merges", merges, "bytebpe: merges.txt");
  cli.add("model", model, "sentencepiece: the model file");
  cli.add("layout", layout, "sentencepiece: ids plain, camembert or xlm-roberta [plain]");
  cli.flag("cased", cased, "wordpiece: the vocabulary knows case and accents");
  cli.flag("uncased", uncased, "wordpiece: it does not (the default)");
  cli.flag("keep-accents", keep_accents, "wordpiece: uncased, but with accents");
  cli.flag("keep-cjk", keep_cjk, "wordpiece: ideographs are no words by themselves");
  if (!cli.parse(words)) return 0;
  const auto file = [&](const char* option, const std::string& path) {
    if (path.empty()) {
      throw ConfigError(option, fmt::format("expected a file for kind {}, got none", kind),
                        fmt::format("give --{} FILE", option));
    }
    expect_other_file(out, path);
    return read_file(path);
  };
  if (cased && (uncased || keep_accents)) {
    throw ConfigError("cased", "cased vocabularies keep case and accents",
                      "give --cased, or --uncased [--keep-accents]");
  }
  const Tokenizer tokenizer = [&] {
    if (kind == "wordpiece") {
      WordPieceOptions options{.lower_case = !cased, .split_cjk = !keep_cjk};
      if (keep_accents) options.strip_accents = false;
      return Tokenizer::import_wordpiece(file("vocab", vocabulary), options, vocabulary);
    }
    if (kind == "sentencepiece") {
      return Tokenizer::import_sentencepiece(file("model", model),
                                             parse_sentencepiece_layout(layout), model);
    }
    if (kind == "bytebpe") {
      return Tokenizer::import_bytebpe(file("vocab", vocabulary), file("merges", merges),
                                       vocabulary);
    }
    throw ConfigError(
        "kind", fmt::format("expected wordpiece, sentencepiece or bytebpe, got \"{}\"", kind));
  }();
  tokenizer.save(out);
  const SpecialIds& ids = tokenizer.specials();
  fmt::print("wrote {}: {}, {} pieces, hash {}; ids {} pad, {} unk, {} cls, {} sep, {} mask\n", out,
             name_of(tokenizer.kind()), tokenizer.vocabulary(), tokenizer.hash(), ids.pad, ids.unk,
             ids.cls, ids.sep, ids.mask);
  return 0;
}

int encode(std::span<const std::string> words) {
  std::string file, text;
  bool pieces = false;
  Options cli("tokenizer encode --tokenizer FILE [--text TEXT] [--pieces]",
              "Encodes a text, or each line of the standard input.");
  cli.require("tokenizer", file, "tokenizer file");
  cli.add("text", text, "text; without it the standard input, line by line");
  cli.flag("pieces", pieces, "print pieces with their place and word, not ids");
  if (!cli.parse(words)) return 0;
  const Tokenizer tokenizer = Tokenizer::load(file);
  const auto print = [&](const std::string& line) {
    std::string result;
    for (const Piece& piece : tokenizer.encode(line)) {
      if (!result.empty()) result += ' ';
      result += pieces ? fmt::format("{}[{},{})w{}", tokenizer.token(piece.id), piece.begin,
                                     piece.end, piece.word)
                       : std::to_string(piece.id);
    }
    fmt::print("{}\n", result);
  };
  if (cli.given("text")) {
    print(text);
    return 0;
  }
  for (std::string line; std::getline(std::cin, line);) print(line);
  return 0;
}

int run(std::span<const std::string> words) {
  const std::string name = words.empty() ? "--help" : words[0];
  if (name == "train") return train_tokenizer(words.subspan(1));
  if (name == "import") return import_tokenizer(words.subspan(1));
  if (name == "encode") return encode(words.subspan(1));
  if (name == "--help" || name == "-h") {
    fmt::print("usage: filigree tokenizer train|import|encode [options]    (... train --help)\n");
    return 0;
  }
  throw ConfigError("tokenizer", fmt::format("expected train, import or encode, got \"{}\"", name),
                    "`filigree tokenizer train --help`");
}

const RegisterCommand registered{{"tokenizer", "train or import a tokenizer; encode text", run}};

}  // namespace

}  // namespace filigree
