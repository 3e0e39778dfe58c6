// filigree convert: Hugging Face BERT and RoBERTa folders to ours, and back.
#include <fmt/format.h>

#include "core/error.h"
#include "tasks/convert/folders.h"
#include "tools/filigree/command.h"
#include "tools/filigree/options.h"

namespace filigree {

namespace {

int run(std::span<const std::string> words) {
  std::vector<std::string> paths;
  while (!words.empty() && !words[0].starts_with('-')) {
    paths.push_back(words[0]);
    words = words.subspan(1);
  }
  std::string head;
  ImportOptions import;
  ExportOptions options;
  bool list = false;
  Options cli(
      "convert IN OUT [options]",
      "A folder of transformers (config.json and safetensors of BERT, RoBERTa, CamemBERT or "
      "XLM-RoBERTa) becomes a model of Filigree; a run or a model of Filigree becomes a "
      "folder that transformers loads. OUT is a new folder.");
  cli.add("head", head,
          "to Filigree: none, classification, masked_lm, span or tags [the architecture's]");
  cli.flag("pairs", import.pairs, "to Filigree: the model takes pairs of texts");
  cli.flag("skip-unknown", import.skip_unknown,
           "to Filigree: leave out tensors that have no place, instead of an error");
  cli.add("type", options.type,
          "to transformers: bert, roberta, camembert or xlm-roberta [by the tokenizer, else by the "
          "positions]");
  cli.flag("list", list, "print what became of every tensor");
  if (!cli.parse(words)) return 0;
  if (paths.size() != 2) {
    throw ConfigError("convert", fmt::format("expected IN and OUT, got {} names", paths.size()),
                      "filigree convert IN OUT, options behind them");
  }
  const bool from_hugging_face = is_hugging_face(paths[0]);
  if (from_hugging_face && cli.given("type")) {
    throw ConfigError("--type", fmt::format("{} is a folder of transformers already", paths[0]));
  }
  if (!from_hugging_face && (cli.given("head") || import.pairs || import.skip_unknown)) {
    throw ConfigError("convert",
                      fmt::format("{} is no folder of transformers: it has no "
                                  "config.json",
                                  paths[0]),
                      "--head, --pairs and --skip-unknown are for such a folder");
  }
  if (!head.empty()) import.head = parse_head(head);
  const ConversionReport report = from_hugging_face
                                      ? convert_from_hugging_face(paths[0], paths[1], import)
                                      : convert_to_hugging_face(paths[0], paths[1], options);
  fmt::print("{}{} {}\n", to_text(report, list),
             from_hugging_face ? "model of Filigree:" : "folder for transformers:", paths[1]);
  return 0;
}

const RegisterCommand registered{
    {"convert", "Hugging Face BERT and RoBERTa folders to ours, and back", run}};

}  // namespace

}  // namespace filigree
