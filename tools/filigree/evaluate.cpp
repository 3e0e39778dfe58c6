// filigree evaluate: a model on a dataset, under its own or another attention.
#include "tasks/training/evaluate.h"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "attention/explain.h"
#include "core/error.h"
#include "tasks/training/attention_setup.h"
#include "tasks/training/model_input.h"
#include "tools/filigree/answer_flags.h"
#include "tools/filigree/command.h"
#include "tools/filigree/options.h"

namespace filigree {

namespace {

/// On the standard error, which leaves the output to the result.
void explain_first_batch(const LoadedModel& loaded, const AttentionPlan& plan,
                         const TokenDataset& dataset, int64_t batch_tokens) {
  SamplerOptions options;
  options.token_budget = batch_tokens;
  options.shuffle = false;
  Prefetcher batches(dataset, Sampler(dataset, options), 0, 1);
  const LayerGraphs graphs = plan.build(sequence_view(*batches.next()), loaded.info.seed, 0);
  const Encoder& encoder = loaded.model->encoder();
  fmt::print(
      stderr, "{}",
      to_text(explain(graphs, encoder.attention_use(), encoder.token_embeddings().device())));
}

void print_metrics(const Metrics& m, const std::string& attention, bool json) {
  if (json) {
    nlohmann::json all{{"attention", attention},
                       {"samples", m.samples},
                       {"units", m.units},
                       {"loss", m.loss},
                       {"density", m.density}};
    for (const NamedValue& each : m.values) all[each.name] = each.value;
    fmt::print("{}\n", all.dump());
    return;
  }
  size_t width = 11;
  for (const NamedValue& each : m.values) width = std::max(width, each.name.size() + 1);
  const auto print = [width](const std::string& name, const std::string& value) {
    fmt::print("{:<{}}{}\n", name, width, value);
  };
  print("attention", attention);
  print("samples", std::to_string(m.samples));
  if (m.units != m.samples) print("units", std::to_string(m.units));
  print("loss", fmt::format("{:.4f}", m.loss));
  for (const NamedValue& each : m.values) print(each.name, fmt::format("{:.4f}", each.value));
  print("density", fmt::format("{:.2f}%", 100 * m.density));
  print("tokens/s",
        fmt::format("{:.0f}", static_cast<double>(m.tokens) / std::max(m.seconds, 1e-9)));
}

int run(std::span<const std::string> words) {
  std::string path, data, pattern, layers, heads, device = "cpu";
  int64_t batch_tokens = 8192;
  bool json = false, explained = false;
  Options cli("evaluate --model RUN --data FILE [--pattern P --layers L --heads H]",
              "Loss, the metrics of the model's task and exact density on a dataset.");
  cli.require("model", path, "folder of a run or a checkpoint, or a model file");
  cli.require("data", data, "dataset of `filigree prepare` with the task's targets");
  cli.add("pattern", pattern, "evaluate under this attention instead of the model's");
  cli.add("layers", layers, "layers of the pattern");
  cli.add("heads", heads, "heads of the pattern");
  cli.add("batch-tokens", batch_tokens, "tokens of a batch at most [8192]");
  cli.flag("json", json, "print one JSON object");
  cli.flag("explain", explained,
           "print which kernel computes the first batch's attention, and why");
  cli.add("device", device, "where to compute: cpu, cuda or cuda:N [cpu]");
  AnswerFlags answers(cli);
  if (!cli.parse(words)) return 0;
  if (batch_tokens < 1) {
    throw ConfigError("batch-tokens", fmt::format("expected 1 or more, got {}", batch_tokens));
  }
  LoadedModel loaded = load_model(find_model(path), parse_device(device));
  answers.apply(loaded);
  const ModelInfo& info = loaded.info;
  const TokenDataset dataset = TokenDataset::open(data);
  expect_fits(info, dataset);
  expect_task_fits(*loaded.task, info, dataset);
  const AttentionPlan plan = attention_under(
      loaded, cli.given("pattern") ? pattern : info.pattern,
      cli.given("layers") ? layers : info.layers, cli.given("heads") ? heads : info.heads, &dataset,
      [](const std::string& text) { fmt::print(stderr, "{}\n", text); });
  if (explained) explain_first_batch(loaded, plan, dataset, batch_tokens);
  print_metrics(evaluate(loaded, plan, dataset, batch_tokens), plan.describe(), json);
  return 0;
}

const RegisterCommand registered{{"evaluate", "a model's metrics on a dataset", run}};

}  // namespace

}  // namespace filigree
