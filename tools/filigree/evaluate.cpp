// filigree evaluate: a model on a dataset, under its own or another attention.
#include "tasks/training/evaluate.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "attention/explain.h"
#include "core/error.h"
#include "tasks/training/attention_setup.h"
#include "tasks/training/model_input.h"
#include "tools/filigree/command.h"
#include "tools/filigree/options.h"

namespace filigree {

namespace {

/// On the standard error, which leaves the output to the result.
void explain_first_batch(const ModelInfo& info, const AttentionPlan& plan,
                         const TokenDataset& dataset, int64_t batch_tokens) {
  SamplerOptions options;
  options.token_budget = batch_tokens;
  options.shuffle = false;
  Prefetcher batches(dataset, Sampler(dataset, options), 0, 1);
  const LayerGraphs graphs = plan.build(sequence_view(*batches.next()), info.seed, 0);
  fmt::print(stderr, "{}",
             to_text(explain(graphs, info.dtype, info.encoder.width / info.encoder.heads)));
}

int run(std::span<const std::string> words) {
  std::string path, data, pattern, layers, heads;
  int64_t batch_tokens = 8192;
  bool json = false, explained = false;
  Options cli("evaluate --model RUN --data FILE [--pattern P --layers L --heads H]",
              "Loss, accuracy, F1, Matthews correlation and exact density on a dataset.");
  cli.require("model", path, "folder of a run or a checkpoint, or a model file");
  cli.require("data", data, "labelled dataset of `filigree prepare`");
  cli.add("pattern", pattern, "evaluate under this attention instead of the model's");
  cli.add("layers", layers, "layers of the pattern");
  cli.add("heads", heads, "heads of the pattern");
  cli.add("batch-tokens", batch_tokens, "tokens of a batch at most [8192]");
  cli.flag("json", json, "print one JSON object");
  cli.flag("explain", explained,
           "print which kernel computes the first batch's attention, and why");
  if (!cli.parse(words)) return 0;
  if (batch_tokens < 1) {
    throw ConfigError("batch-tokens", fmt::format("expected 1 or more, got {}", batch_tokens));
  }
  const LoadedModel loaded = load_model(find_model(path));
  const ModelInfo& info = loaded.info;
  const TokenDataset dataset = TokenDataset::open(data);
  expect_fits(info, dataset);
  if (dataset.info().label_names != info.label_names) {
    throw DataError(data, "its labels differ from the model's",
                    fmt::format("prepare it with --labels {}", fmt::join(info.label_names, ",")));
  }
  const AttentionPlan plan = attention_under(
      loaded, cli.given("pattern") ? pattern : info.pattern,
      cli.given("layers") ? layers : info.layers, cli.given("heads") ? heads : info.heads, &dataset,
      [](const std::string& text) { fmt::print(stderr, "{}\n", text); });
  if (explained) explain_first_batch(info, plan, dataset, batch_tokens);
  const Metrics m = evaluate(*loaded.model, plan, dataset, info.seed, batch_tokens);
  if (json) {
    fmt::print("{}\n", nlohmann::json{{"attention", plan.describe()},
                                      {"samples", m.samples},
                                      {"loss", m.loss},
                                      {"accuracy", m.accuracy},
                                      {"f1", m.f1},
                                      {"matthews", m.matthews},
                                      {"density", m.density}}
                           .dump());
    return 0;
  }
  fmt::print(
      "attention  {}\nsamples    {}\nloss       {:.4f}\naccuracy   {:.4f}\nf1         {:.4f}\n"
      "matthews   {:.4f}\ndensity    {:.2f}%\ntokens/s   {:.0f}\n",
      plan.describe(), m.samples, m.loss, m.accuracy, m.f1, m.matthews, 100 * m.density,
      static_cast<double>(m.tokens) / std::max(m.seconds, 1e-9));
  return 0;
}

const RegisterCommand registered{{"evaluate", "a model's metrics on a dataset", run}};

}  // namespace

}  // namespace filigree
