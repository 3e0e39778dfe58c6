// filigree predict: text in, JSON lines out.
#include <algorithm>
#include <fmt/format.h>
#include <iostream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tasks/dataset/sample.h"
#include "tasks/tokenizer/tokenizer.h"
#include "tasks/training/evaluate.h"
#include "tasks/training/model_file.h"
#include "tools/filigree/command.h"
#include "tools/filigree/options.h"

namespace filigree {

namespace {

/// Label and probabilities of one line: a text, or two with a tab between them.
nlohmann::json predict_line(const LoadedModel& loaded, const AttentionPlan& plan,
                            const Tokenizer& tokenizer, const std::string& line, int64_t number) {
  const std::string where = fmt::format("line {}", number);
  const std::vector<std::string> texts =
      loaded.info.encoder.segments > 0 ? split_list(line, '\t') : std::vector{line};
  const size_t wanted = loaded.info.encoder.segments > 0 ? 2 : 1;
  if (texts.size() != wanted) {
    throw DataError(where, fmt::format("expected {} texts, got {}", wanted, texts.size()),
                    "the model takes pairs: two texts with a tab between them");
  }
  const int64_t most = loaded.info.encoder.max_positions;
  const Sample sample = make_sample(where, tokenizer, texts, most > 0 ? most : INT32_MAX);
  const auto row = predict(*loaded.model, plan, make_batch(sample), loaded.info.seed).front();
  const auto best = static_cast<size_t>(std::max_element(row.begin(), row.end()) - row.begin());
  nlohmann::json json{{"line", number}, {"label", loaded.info.label_names[best]}};
  for (size_t c = 0; c < row.size(); ++c)
    json["probabilities"][loaded.info.label_names[c]] = row[c];
  if (sample.truncated) json["truncated"] = true;
  return json;
}

int run(std::span<const std::string> words) {
  std::string path, file, text;
  Options cli("predict --model RUN [--tokenizer FILE] [--text TEXT]",
              "Classifies a text, or each line of the standard input, into JSON lines.");
  cli.require("model", path, "folder of a run, or a model file");
  cli.add("tokenizer", file, "the model's tokenizer [RUN/tokenizer.model]");
  cli.add("text", text, "text; without it the standard input, line by line");
  if (!cli.parse(words)) return 0;
  if (file.empty()) file = (std::filesystem::path(path) / "tokenizer.model").string();
  const LoadedModel loaded = load_model(find_model(path));
  const Tokenizer tokenizer = Tokenizer::load(file);
  if (tokenizer.hash() != loaded.info.tokenizer_hash) {
    throw DataError(file,
                    fmt::format("expected the tokenizer {} of the model, got {}",
                                loaded.info.tokenizer_hash, tokenizer.hash()),
                    "give the tokenizer that the training data were prepared with");
  }
  const AttentionPlan plan = loaded.info.plan();
  if (cli.given("text")) {
    fmt::print("{}\n", predict_line(loaded, plan, tokenizer, text, 1).dump());
    return 0;
  }
  int64_t number = 0;
  for (std::string line; std::getline(std::cin, line);) {
    fmt::print("{}\n", predict_line(loaded, plan, tokenizer, line, ++number).dump());
  }
  return 0;
}

const RegisterCommand registered{{"predict", "classify text: JSON lines", run}};

}  // namespace

}  // namespace filigree
