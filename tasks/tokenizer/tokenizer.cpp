#include "tasks/tokenizer/tokenizer.h"

#include <array>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "core/file.h"
#include "core/random.h"
#include "tasks/tokenizer/model.h"
#include "tasks/tokenizer/sealed_text.h"

namespace filigree {

namespace {

constexpr std::array<std::string_view, 5> kKindNames = {"unigram", "bpe", "word", "wordpiece",
                                                        "bytebpe"};
constexpr std::array<std::string_view, 3> kLayoutNames = {"plain", "camembert", "xlm-roberta"};

template <class Enum, size_t N>
Enum parse_name(std::string_view where, const std::array<std::string_view, N>& names,
                std::string_view name) {
  for (size_t i = 0; i < N; ++i) {
    if (names[i] == name) return static_cast<Enum>(i);
  }
  const std::string near = nearest_name(name, names);
  throw ConfigError(where, fmt::format("expected {}, got \"{}\"", fmt::join(names, ", "), name),
                    near.empty() ? "" : fmt::format("did you mean \"{}\"?", near));
}

void check(const TokenizerOptions& options) {
  if (options.vocabulary <= Tokenizer::kSpecials || options.vocabulary > 4'000'000) {
    throw ConfigError("tokenizer.vocabulary",
                      fmt::format("expected {} to 4000000 pieces, got {}", Tokenizer::kSpecials + 1,
                                  options.vocabulary));
  }
  if (!(options.character_coverage > 0.9 && options.character_coverage <= 1)) {
    throw ConfigError("tokenizer.character_coverage",
                      fmt::format("expected a share above 0.9 and at most 1, got {}",
                                  options.character_coverage));
  }
  if (options.kind == TokenizerKind::bytebpe) {
    throw ConfigError("tokenizer.kind", "byte-level BPE can be imported, not trained",
                      "train bpe with byte fallback, or `filigree tokenizer import`");
  }
  if (options.byte_fallback && options.kind != TokenizerKind::unigram &&
      options.kind != TokenizerKind::bpe) {
    throw ConfigError("tokenizer.byte_fallback", "expected kind unigram or bpe",
                      "leave it out, or choose one of these kinds");
  }
  if (options.max_sentences < 1) {
    throw ConfigError("tokenizer.max_sentences",
                      fmt::format("expected at least 1, got {}", options.max_sentences));
  }
}

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r\n\v\f") == std::string_view::npos;
}

/// The lines that are not blank, or a uniform sample of `max_sentences` of them (reservoir
/// sampling, Vitter 1985, algorithm R).
std::vector<std::string> collect(const TokenizerOptions& options,
                                 const Tokenizer::LineSource& source) {
  std::vector<std::string> lines;
  RandomStream random(options.seed, Purpose::shuffle, {hash_name("tokenizer sample")});
  std::string line;
  uint64_t seen = 0;
  for (int64_t number = 1; source(line); ++number) {
    if (is_blank(line)) continue;
    require_utf8(fmt::format("corpus line {}", number), line);
    ++seen;
    if (static_cast<int64_t>(lines.size()) < options.max_sentences) {
      lines.push_back(line);
    } else if (const uint64_t slot = random.below(seen); slot < lines.size()) {
      lines[slot] = line;
    }
  }
  if (lines.empty()) {
    throw DataError("tokenizer", "the corpus holds no text", "check the file and the column");
  }
  return lines;
}

}  // namespace

std::string_view name_of(TokenizerKind kind) { return kKindNames[static_cast<size_t>(kind)]; }

TokenizerKind parse_tokenizer_kind(std::string_view name) {
  return parse_name<TokenizerKind>("tokenizer.kind", kKindNames, name);
}

std::string_view name_of(SentencePieceLayout layout) {
  return kLayoutNames[static_cast<size_t>(layout)];
}

SentencePieceLayout parse_sentencepiece_layout(std::string_view name) {
  return parse_name<SentencePieceLayout>("tokenizer.layout", kLayoutNames, name);
}

Tokenizer::Model::Model(std::string bytes, const SpecialIds& specials)
    : bytes_(std::move(bytes)), hash_(hash_of(bytes_)), specials_(specials) {}

Tokenizer Tokenizer::train(const TokenizerOptions& options, const LineSource& source) {
  check(options);
  std::vector<std::string> lines = collect(options, source);
  if (options.kind == TokenizerKind::word) return from_bytes(train_words(options, lines));
  if (options.kind == TokenizerKind::wordpiece) return from_bytes(train_wordpiece(options, lines));
  return from_bytes(train_sentencepiece(options, std::move(lines)));
}

Tokenizer Tokenizer::train(const TokenizerOptions& options, std::span<const std::string> lines) {
  size_t next = 0;
  return train(options, [&](std::string& line) {
    if (next == lines.size()) return false;
    line = lines[next++];
    return true;
  });
}

Tokenizer Tokenizer::load(const std::filesystem::path& path) {
  return from_bytes(read_file(path), path.string());
}

Tokenizer Tokenizer::from_bytes(std::string bytes, std::string_view where) {
  if (is_word_list(bytes)) return Tokenizer(load_words(std::move(bytes), where));
  if (is_wordpiece(bytes)) return Tokenizer(load_wordpiece(std::move(bytes), where));
  if (is_bytebpe(bytes)) return Tokenizer(load_bytebpe(std::move(bytes), where));
  return Tokenizer(load_sentencepiece(std::move(bytes), where));
}

Tokenizer Tokenizer::import_wordpiece(std::string_view vocabulary, const WordPieceOptions& options,
                                      std::string_view where) {
  return Tokenizer(load_wordpiece(wordpiece_bytes(vocabulary, options), where));
}

Tokenizer Tokenizer::import_sentencepiece(std::string_view model, SentencePieceLayout layout,
                                          std::string_view where) {
  return Tokenizer(load_sentencepiece(sentencepiece_bytes(model, layout), where));
}

Tokenizer Tokenizer::import_bytebpe(std::string_view vocabulary, std::string_view merges,
                                    std::string_view where) {
  return Tokenizer(load_bytebpe(bytebpe_bytes(vocabulary, merges, where), where));
}

void Tokenizer::save(const std::filesystem::path& path) const { write_file(path, bytes()); }

std::vector<Piece> Tokenizer::encode(std::string_view text) const {
  require_utf8("encode", text);
  return encode(text, split_words(text));
}

std::vector<Piece> Tokenizer::encode(std::string_view text, std::span<const ByteSpan> words) const {
  require_utf8("encode", text);
  std::vector<Piece> pieces = model_->encode(text, words);
  size_t word = 0;
  for (Piece& piece : pieces) {
    // The first word that ends behind the piece's begin: its own, or the next for a word mark.
    while (word + 1 < words.size() && words[word].end <= piece.begin) ++word;
    piece.word = static_cast<int32_t>(word);
  }
  return pieces;
}

std::string Tokenizer::decode(std::span<const int32_t> ids) const {
  for (const int32_t id : ids) token(id);
  return model_->decode(ids);
}

std::string Tokenizer::token(int32_t id) const {
  if (id < 0 || id >= vocabulary()) {
    throw DataError("tokenizer",
                    fmt::format("expected an id of 0 to {}, got {}", vocabulary() - 1, id));
  }
  return model_->token(id);
}

int32_t Tokenizer::id_of(std::string_view token) const { return model_->id_of(token); }
const SpecialIds& Tokenizer::specials() const { return model_->specials(); }
TokenizerKind Tokenizer::kind() const { return model_->kind(); }
int64_t Tokenizer::vocabulary() const { return model_->vocabulary(); }
const std::string& Tokenizer::hash() const { return model_->hash(); }
const std::string& Tokenizer::bytes() const { return model_->bytes(); }

}  // namespace filigree
