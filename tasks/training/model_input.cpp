#include "tasks/training/model_input.h"

#include <fmt/format.h>

#include "core/error.h"

namespace filigree {

namespace {

/// The text, or the two of a model that takes pairs.
std::vector<std::string> texts_of_line(const ModelInfo& info, std::string_view where,
                                       const std::string& line) {
  if (!info.pairs) return {line};
  const size_t tab = line.find('\t');
  if (tab == std::string::npos || line.find('\t', tab + 1) != std::string::npos) {
    throw DataError(where, "expected 2 texts",
                    "the model takes pairs: two texts with a tab between them");
  }
  return {line.substr(0, tab), line.substr(tab + 1)};
}

}  // namespace

void expect_tokenizer(const ModelInfo& info, std::string_view where, std::string_view hash,
                      int64_t vocabulary, std::string_view hint) {
  if (!info.tokenizer_hash.empty()) {
    return expect_tokenizer_hash(where, info.tokenizer_hash, "the model", hash, hint);
  }
  if (vocabulary == info.encoder.vocabulary) return;
  throw DataError(where,
                  fmt::format("expected the {} pieces of the model, whose tokenizer is not known, "
                              "got {}",
                              info.encoder.vocabulary, vocabulary),
                  hint);
}

void expect_fits(const ModelInfo& info, const TokenDataset& dataset) {
  const std::string where = dataset.path().string();
  expect_tokenizer(info, where, dataset.info().tokenizer_hash, dataset.info().vocabulary,
                   "prepare the data with the model's tokenizer (RUN/tokenizer.model)");
  if (dataset.has_segments() != info.pairs) {
    throw DataError(where, fmt::format("holds {}, the model takes {}",
                                       dataset.has_segments() ? "pairs" : "single texts",
                                       dataset.has_segments() ? "single texts" : "pairs"));
  }
  if (const int64_t most = info.encoder.longest_sequence(); most > 0 && dataset.longest() > most) {
    throw DataError(where,
                    fmt::format("expected samples of at most {} tokens, the model's positions, got "
                                "one of {}",
                                most, dataset.longest()),
                    fmt::format("prepare it with --max-length {}", most));
  }
}

Tokenizer load_tokenizer(const ModelInfo& info, const std::filesystem::path& file) {
  Tokenizer tokenizer = Tokenizer::load(file);
  expect_tokenizer(info, file.string(), tokenizer.hash(), tokenizer.vocabulary(),
                   "give the tokenizer that the training data were prepared with");
  return tokenizer;
}

Sample sample_of_line(const ModelInfo& info, const Tokenizer& tokenizer, std::string_view where,
                      const std::string& line, std::span<const Syntax> syntax) {
  const std::vector<std::string> texts = texts_of_line(info, where, line);
  const int64_t most = info.encoder.longest_sequence();
  return make_sample(where, tokenizer, texts, most > 0 ? most : INT32_MAX, syntax);
}

Sample sample_of_line(const ModelInfo& info, const Tokenizer& tokenizer, std::string_view where,
                      const std::string& line, TextParser& parser) {
  require_utf8(where, line);
  std::vector<Syntax> syntax;
  for (const std::string& text : texts_of_line(info, where, line)) {
    syntax.push_back(parser.parse(text));
  }
  return sample_of_line(info, tokenizer, where, line, syntax);
}

}  // namespace filigree
