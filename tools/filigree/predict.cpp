// filigree predict: text in, JSON lines out.
#include <fmt/format.h>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/error.h"
#include "tasks/readers/record_reader.h"
#include "tasks/training/evaluate.h"
#include "tasks/training/model_input.h"
#include "tools/filigree/answer_flags.h"
#include "tools/filigree/command.h"
#include "tools/filigree/options.h"

namespace filigree {

namespace {

class Predictor {
 public:
  /// With a parser texts have its syntax.
  Predictor(LoadedModel loaded, Tokenizer tokenizer, TextParser* parser)
      : loaded_(std::move(loaded)),
        tokenizer_(std::move(tokenizer)),
        plan_(loaded_.info.plan()),
        parser_(parser) {}

  /// A line of text, as the task reads it.
  void line(const std::string& text, int64_t number) {
    print(number, loaded_.task->read_line(loaded_.info, tokenizer_, fmt::format("line {}", number),
                                          text, parser_));
  }

  /// Every sentence of a CoNLL-U file, with its tree.
  void trees(const std::string& path) {
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
            {sample_of_line(loaded_.info, tokenizer_, where, record->values[0], syntax)});
    }
  }

 private:
  /// Prints the task's prediction, with the line and whether it was cut, as one JSON object.
  void print(int64_t line, const std::vector<Sample>& samples) {
    const ModelInfo& info = loaded_.info;
    std::vector<Tensor> outputs;
    int64_t unparsed = 0;
    for (const Sample& sample : samples) {
      Batch batch = make_batch(sample, samples_++);
      loaded_.task->draw(batch, info.seed, kEvaluationEpoch);
      outputs.push_back(outputs_of(*loaded_.model, plan_, batch, info.seed).values);
      unparsed += sample.unparsed;
    }
    auto json =
        nlohmann::json::parse(loaded_.task->predict_parts(info, *loaded_.model, outputs, samples));
    json["line"] = line;
    if (samples.front().truncated) json["truncated"] = true;
    if (unparsed > 0) json["unparsed"] = unparsed;
    fmt::print("{}\n", json.dump());
  }

  LoadedModel loaded_;
  Tokenizer tokenizer_;
  AttentionPlan plan_;
  TextParser* parser_;
  int64_t samples_ = 0;  // so far: the next one's number, as in a dataset of the same texts
};

/// A JSON object a question, or one for all of them as SQuAD's own evaluation takes it.
void print_answers(const LoadedModel& loaded, const std::string& data, bool official) {
  const TokenDataset dataset = TokenDataset::open(data);
  expect_fits(loaded.info, dataset);
  if (!loaded.task->answers_questions()) {
    throw ConfigError("data", "only the questions of a dataset have names to predict under",
                      "give texts: --text, or the standard input");
  }
  nlohmann::json all = nlohmann::json::object();
  for (const NamedPrediction& each : predict_named(loaded, dataset)) {
    if (official) {
      all[each.name] = each.answer;
      continue;
    }
    auto json = nlohmann::json::parse(each.json);
    json["id"] = each.name;
    fmt::print("{}\n", json.dump());
  }
  if (official) fmt::print("{}\n", all.dump());
}

int run(std::span<const std::string> words) {
  std::string path, file, text, trees, data, device = "cpu";
  bool official = false, parse = false;
  ParseOptions parsing;
  Options cli(
      "predict --model RUN [--tokenizer FILE] [--text TEXT | --trees FILE | --data FILE] [--parse]",
      "The model's answer to a text, or to each line of the standard input, as JSON lines.");
  cli.require("model", path, "folder of a run, or a model file");
  cli.add("tokenizer", file, "the model's tokenizer [RUN/tokenizer.model]");
  cli.add(
      "text", text,
      "text (of a question: {\"question\": .., \"context\": ..}); without it the standard input, "
      "line by line");
  cli.add("trees", trees, "CoNLL-U file instead: for a model whose attention follows syntax");
  cli.flag("parse", parse, "parse the text (English), for a model whose attention follows syntax");
  cli.add("parse-seconds", parsing.seconds, "with --parse: CPU time for a sentence [2]");
  cli.add("data", data, "prepared dataset of questions instead: an answer a question");
  cli.flag("official", official,
           "with --data: one JSON object {id: answer}, as SQuAD's evaluation");
  cli.add("device", device, "where to compute: cpu, cuda or cuda:N [cpu]");
  AnswerFlags answers(cli);
  answers.add_text_options();
  if (!cli.parse(words)) return 0;
  if (cli.given("text") + cli.given("trees") + cli.given("data") > 1) {
    throw ConfigError("predict", "--text, --trees and --data exclude each other");
  }
  if (official && !cli.given("data")) {
    throw ConfigError("official", "it is the form of the answers to a dataset", "add --data FILE");
  }
  for (const char* name : {"max-length", "doc-stride", "max-question"}) {
    if (!cli.given(name) || !cli.given("data")) continue;
    throw ConfigError(name, "it says how texts are divided, and a dataset is divided already",
                      "leave it out, or prepare the dataset with it");
  }
  if (parse && (cli.given("trees") || cli.given("data"))) {
    throw ConfigError("predict", "--parse is for texts, not for --trees or --data");
  }
  if (!parse && cli.given("parse-seconds")) {
    throw ConfigError("parse", "its options are given, but not --parse itself", "add --parse");
  }
  const std::filesystem::path model = find_model(path);
  LoadedModel loaded = load_model(model, parse_device(device));
  answers.apply(loaded);
  if (cli.given("data")) {
    print_answers(loaded, data, official);
    return 0;
  }
  if (file.empty()) file = find_tokenizer(model).string();
  Tokenizer tokenizer = load_tokenizer(loaded.info, file);
  std::optional<TextParser> parser;
  if (parse) parser.emplace(parsing, ParseObserver{});
  Predictor predictor(std::move(loaded), std::move(tokenizer), parser ? &*parser : nullptr);
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
