// filigree predict: text in, JSON lines out.
#include <fmt/format.h>
#include <iostream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tasks/readers/record_reader.h"
#include "tasks/training/evaluate.h"
#include "tasks/training/model_input.h"
#include "tools/filigree/command.h"
#include "tools/filigree/options.h"

namespace filigree {

namespace {

class Predictor {
 public:
  Predictor(LoadedModel loaded, Tokenizer tokenizer)
      : loaded_(std::move(loaded)), tokenizer_(std::move(tokenizer)), plan_(loaded_.info.plan()) {}

  /// A text, or two with a tab between them.
  void line(const std::string& text, int64_t number) const {
    print(number, sample_of_line(loaded_.info, tokenizer_, fmt::format("line {}", number), text));
  }

  /// Every sentence of a CoNLL-U file, with its tree.
  void trees(const std::string& path) const {
    if (loaded_.info.pairs) {
      throw DataError(path, "the model takes pairs of texts, the file has single sentences");
    }
    ReaderOptions options;
    options.format = RecordFormat::conllu;
    const auto reader = RecordReader::open(path, {"text"}, options);
    while (const std::optional<Record> record = reader->next()) {
      const std::vector<Syntax> syntax{syntax_of_tree(record->words)};
      const std::string where = fmt::format("{}:{}", path, record->line);
      print(record->line,
            sample_of_line(loaded_.info, tokenizer_, where, record->values[0], syntax));
    }
  }

 private:
  /// Prints the task's prediction, with the line and whether it was cut, as one JSON object.
  void print(int64_t line, const Sample& sample) const {
    const ModelInfo& info = loaded_.info;
    Batch batch = make_batch(sample);
    loaded_.task->draw(batch, info.seed, kEvaluationEpoch);
    const Tensor outputs = outputs_of(*loaded_.model, plan_, batch, info.seed).values;
    auto json = nlohmann::json::parse(loaded_.task->predict(info, *loaded_.model, outputs, sample));
    json["line"] = line;
    if (sample.truncated) json["truncated"] = true;
    fmt::print("{}\n", json.dump());
  }

  LoadedModel loaded_;
  Tokenizer tokenizer_;
  AttentionPlan plan_;
};

int run(std::span<const std::string> words) {
  std::string path, file, text, trees;
  Options cli(
      "predict --model RUN [--tokenizer FILE] [--text TEXT | --trees FILE]",
      "The model's answer to a text, or to each line of the standard input, as JSON lines.");
  cli.require("model", path, "folder of a run, or a model file");
  cli.add("tokenizer", file, "the model's tokenizer [RUN/tokenizer.model]");
  cli.add("text", text, "text; without it the standard input, line by line");
  cli.add("trees", trees, "CoNLL-U file instead: for a model whose attention follows syntax");
  if (!cli.parse(words)) return 0;
  if (cli.given("text") && cli.given("trees")) {
    throw ConfigError("predict", "--text and --trees exclude each other");
  }
  const std::filesystem::path model = find_model(path);
  if (file.empty()) file = find_tokenizer(model).string();
  LoadedModel loaded = load_model(model);
  Tokenizer tokenizer = load_tokenizer(loaded.info, file);
  const Predictor predictor(std::move(loaded), std::move(tokenizer));
  if (cli.given("trees")) {
    predictor.trees(trees);
  } else if (cli.given("text")) {
    predictor.line(text, 1);
  } else {
    int64_t number = 0, failed = 0;
    for (std::string line; std::getline(std::cin, line);) {
      try {
        predictor.line(line, ++number);
      } catch (const DataError& error) {
        ++failed;
        fmt::print("{}\n", nlohmann::json{{"line", number}, {"error", error.what()}}.dump(
                               -1, ' ', false, nlohmann::json::error_handler_t::replace));
      }
    }
    if (failed > 0) {
      fmt::print(stderr, "{} of {} lines could not be read\n", failed, number);
      return 1;
    }
  }
  return 0;
}

const RegisterCommand registered{{"predict", "a model's answers to text: JSON lines", run}};

}  // namespace

}  // namespace filigree
