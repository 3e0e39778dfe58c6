// filigree inspect: the graph of a model's attention, and what its weights are like.
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "attention/explain.h"
#include "attention/report/attention_statistics.h"
#include "attention/report/degrees.h"
#include "attention/report/flow.h"
#include "autograd/variable.h"
#include "core/error.h"
#include "core/file.h"
#include "tasks/dataset/batch.h"
#include "tasks/degrees/learned_json.h"
#include "tasks/training/attention_inputs.h"
#include "tasks/training/attention_setup.h"
#include "tasks/training/degree_attention.h"
#include "tasks/training/evaluate.h"
#include "tasks/training/model_input.h"
#include "tools/filigree/command.h"
#include "tools/filigree/options.h"

namespace filigree {

namespace {

using Json = nlohmann::json;

/// What is looked at: a model, one batch, and the graphs of its attention and of others.
struct Subject {
  LoadedModel loaded;
  Batch batch;
  AttentionPlan plan;
  LayerGraphs graphs;
  std::vector<std::string> candidates;
  std::vector<LayerGraphs> candidate_graphs;
};

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

Json degrees_json(const DegreeDistribution& d) {
  return {{"degree", d.degree}, {"node", d.node},           {"edge", d.edge},
          {"mean", d.mean},     {"deviation", d.deviation}, {"median", d.quantile(0.5)}};
}

/// The degrees of all heads of a graph together.
DegreeDistribution all_heads(const AttentionGraph& graph,
                             std::vector<int64_t> (*degrees)(const AttentionGraph&, int)) {
  std::vector<int64_t> all;
  for (int head = 0; head < graph.heads(); ++head) {
    const auto one = degrees(graph, head);
    all.insert(all.end(), one.begin(), one.end());
  }
  return distribution_of(all);
}

std::string range_of(const DegreeDistribution& d) {
  return fmt::format("{:.1f} ({} to {})", d.mean, d.least(), d.most());
}

/// One row for every different graph: degrees, components, spectral gap.
Json report_graphs(const Subject& subject) {
  fmt::print("{:<7} {:>8} {:>20} {:>20} {:>11} {:>13}\n", "layer", "density", "keys a query",
             "queries a key", "components", "spectral gap");
  Json layers = Json::array();
  for (size_t layer = 0; layer < subject.graphs.size(); ++layer) {
    const AttentionGraph& graph = *subject.graphs[layer];
    if (layer > 0 && subject.graphs[layer] == subject.graphs[layer - 1]) {
      fmt::print("{:<7} as layer {}\n", layer, layer - 1);
      layers.push_back(layers.back());
      continue;
    }
    const DegreeDistribution rows = all_heads(graph, row_degrees);
    const DegreeDistribution columns = all_heads(graph, column_degrees);
    const Components components = components_of(graph);
    std::vector<double> gaps, counts;
    for (int64_t b = 0; b < graph.sequences(); ++b) {
      gaps.push_back(spectral_gap(graph, b));
      counts.push_back(static_cast<double>(components.count[static_cast<size_t>(b)]));
    }
    fmt::print("{:<7} {:>8.4f} {:>20} {:>20} {:>11.1f} {:>13.6f}\n", layer, graph.density(),
               range_of(rows), range_of(columns), mean(counts), mean(gaps));
    layers.push_back({{"density", graph.density()},
                      {"rows", degrees_json(rows)},
                      {"columns", degrees_json(columns)},
                      {"empty_rows", graph.empty_rows()},
                      {"components", components.count},
                      {"largest_component", components.largest},
                      {"spectral_gap", gaps}});
  }
  const std::string warning = empty_rows_warning(subject.graphs, subject.plan.pattern());
  if (!warning.empty()) fmt::print("{}\n", warning);
  return layers;
}

Json report_reach(const Subject& subject) {
  const Reach reach = reach_of(subject.graphs);
  const auto tokens = static_cast<double>(subject.graphs.front()->tokens());
  fmt::print("\nof all tokens, what the first one can depend on:");
  Json shares = Json::array();
  for (const std::vector<int64_t>& depth : reach.tokens) {
    double sum = 0;
    for (const int64_t count : depth) sum += static_cast<double>(count);
    shares.push_back(sum / tokens);
    fmt::print(" {:.1f}%", 100 * sum / tokens);
  }
  fmt::print(" after 0 to {} layers; {} tokens cannot reach it\n", subject.graphs.size(),
             reach.unreachable.size());
  return {{"share_by_depth", shares}, {"unreachable", reach.unreachable}};
}

/// Distances 0, 1, 2, 3-4, 5-8, ... and their share of the attention.
std::vector<std::pair<std::string, double>> by_distance(const HeadStatistics& s, int64_t reach) {
  std::vector<std::pair<std::string, double>> bins;
  int64_t low = 0, high = 0;
  while (low <= reach) {
    double sum = 0;
    for (int64_t d = low; d <= std::min(high, reach); ++d) {
      sum += s.offset[static_cast<size_t>(reach + d)];
      if (d > 0) sum += s.offset[static_cast<size_t>(reach - d)];
    }
    bins.emplace_back(low == high ? std::to_string(low) : fmt::format("{}-{}", low, high), sum);
    low = high + 1;
    high = high == 0 ? 1 : 2 * high;
  }
  bins.emplace_back(fmt::format(">{}", reach), s.before + s.after);
  return bins;
}

Json report_weights(const Subject& subject, int64_t reach) {
  const std::vector<std::string>& candidates = subject.candidates;
  fmt::print("\n{:<6} {:<5} {:>8} {:>9} {:>9}  share of the attention by distance\n", "layer",
             "head", "entropy", "evenness", "distance");
  Json layers = Json::array();
  const std::vector<AttentionInputs> inputs =
      attention_inputs(subject.loaded, subject.batch, subject.graphs);
  for (size_t layer = 0; layer < inputs.size(); ++layer) {
    std::vector<std::shared_ptr<const AttentionGraph>> graphs;
    for (const LayerGraphs& other : subject.candidate_graphs) graphs.push_back(other[layer]);
    const auto heads = attention_statistics(inputs[layer], reach, graphs);
    Json rows = Json::array();
    for (size_t head = 0; head < heads.size(); ++head) {
      const HeadStatistics& s = heads[head];
      std::string shares;
      for (const auto& [name, share] : by_distance(s, reach)) {
        if (share > 0) shares += fmt::format("{}: {:.3f}  ", name, share);
      }
      fmt::print("{:<6} {:<5} {:>8.3f} {:>9.3f} {:>9.2f}  {}\n", layer, head, s.entropy, s.evenness,
                 s.distance, shares);
      for (size_t c = 0; c < candidates.size(); ++c) {
        fmt::print("{:<12} {} would keep {:.2f}% of the attention on {:.2f}% of the pairs\n", "",
                   candidates[c], 100 * s.kept[c], 100 * graphs[c]->density());
      }
      Json kept = Json::object();
      for (size_t c = 0; c < candidates.size(); ++c) kept[candidates[c]] = s.kept[c];
      rows.push_back({{"rows", s.rows},
                      {"entropy", s.entropy},
                      {"evenness", s.evenness},
                      {"distance", s.distance},
                      {"first_offset", -reach},
                      {"offset", s.offset},
                      {"before", s.before},
                      {"after", s.after},
                      {"kept", kept}});
    }
    layers.push_back(rows);
  }
  return layers;
}

/// Every weight, as rows [layer, head, query, [keys], [weights]].
Json all_weights(const Subject& subject) {
  Json rows = Json::array();
  const std::vector<AttentionInputs> inputs =
      attention_inputs(subject.loaded, subject.batch, subject.graphs);
  for (size_t layer = 0; layer < inputs.size(); ++layer) {
    for_attention_rows(inputs[layer], [&](const AttentionRow& row) {
      rows.push_back({layer, row.head, row.query,
                      std::vector<int32_t>(row.keys.begin(), row.keys.end()),
                      std::vector<double>(row.weights.begin(), row.weights.end())});
    });
  }
  return rows;
}

/// Of a model whose degrees are not hardened: what every head has learned so far.
int inspect_degrees(const LoadedModel& loaded, const Batch& batch, const std::string& out) {
  const DegreeLearner& learner = *loaded.model->encoder().degrees();
  const DegreeConfig& degrees = learner.shape().config;
  const LearnedHeads heads = learned_heads(learner, count_pairs(degrees, batch));
  fmt::print(
      "degrees learned by {}, not hardened: density {:.2f}% of {} tokens in {} sequences\n\n{}",
      degrees.learner, 100 * heads.density, batch.tokens(), batch.offsets.numel() - 1,
      to_text(heads));
  if (!out.empty()) write_file(out, to_json(heads, {}, loaded.info.pattern) + "\n");
  return 0;
}

int run(std::span<const std::string> words) {
  std::string path, data, text, file, pattern, out, candidates;
  int64_t samples = 32, reach = 32;
  bool weights = false, explained = false, parse = false;
  Options cli(
      "inspect --model RUN (--data FILE | --text TEXT) [--candidates \"P;P\"] [--json FILE]",
      "The graph of a model's attention: degrees, components, reach, mixing; and its "
      "weights: entropy, distances, what a sparser pattern would keep of them.");
  cli.require("model", path, "folder of a run or a checkpoint, or a model file");
  cli.add("data", data, "dataset of `filigree prepare`; its first samples are looked at");
  cli.add("samples", samples, "how many samples of the dataset [32]");
  cli.add("text", text, "a text instead");
  cli.flag("parse", parse, "with --text: parse it (English), for attention that follows syntax");
  cli.add("tokenizer", file, "the model's tokenizer, for --text [RUN/tokenizer.model]");
  cli.add("pattern", pattern, "look under this attention instead of the model's");
  cli.add("candidates", candidates, "patterns, separated by ;: what would they keep?");
  cli.add("reach", reach, "distances up to this one are counted by themselves [32]");
  cli.add("json", out, "write everything to this file");
  cli.flag("weights", weights, "with --json: every single weight, too");
  cli.flag("explain", explained, "which kernel computes what, and why");
  if (!cli.parse(words)) return 0;
  if (cli.given("data") == cli.given("text")) {
    throw ConfigError("inspect", "expected one of --data and --text");
  }
  if (parse && cli.given("data")) throw ConfigError("--parse", "needs --text TEXT");
  if (samples < 1 || samples > 1 << 20 || reach < 0 || reach > 1 << 20) {
    throw ConfigError("inspect", "--samples or --reach makes no sense");
  }
  if (weights && out.empty()) throw ConfigError("--weights", "needs --json FILE");
  const std::filesystem::path model = find_model(path);
  if (!out.empty()) {
    for (const auto& input : {model, std::filesystem::path(data), std::filesystem::path(file)}) {
      expect_other_file(out, input);
    }
    expect_writable(out);
  }
  LoadedModel loaded = load_model(model);
  const ModelInfo& info = loaded.info;
  std::optional<TokenDataset> dataset;
  Batch batch;
  if (cli.given("data")) {
    dataset = TokenDataset::open(data);
    expect_fits(info, *dataset);
    batch = first_batch(*dataset, samples);
  } else {
    const Tokenizer tokenizer =
        load_tokenizer(info, file.empty() ? find_tokenizer(model) : std::filesystem::path(file));
    if (parse) {
      TextParser parser({}, {});
      batch = make_batch(sample_of_line(info, tokenizer, "--text", text, parser));
    } else {
      batch = make_batch(sample_of_line(info, tokenizer, "--text", text));
    }
  }
  if (info.encoder.degrees.learned()) return inspect_degrees(loaded, batch, out);
  const auto plan_of = [&](const std::string& pattern_text, const std::string& layers,
                           const std::string& heads) {
    return attention_under(loaded, pattern_text, layers, heads, dataset ? &*dataset : nullptr,
                           [](const std::string& note) { fmt::print(stderr, "{}\n", note); });
  };
  const auto graphs_of = [&](const AttentionPlan& plan) {
    return plan.build(sequence_view(batch), info.seed, 0);
  };
  const AttentionPlan plan =
      plan_of(cli.given("pattern") ? pattern : info.pattern, info.layers, info.heads);
  const std::vector<std::string> others = split_list(candidates, ';');
  std::vector<LayerGraphs> other_graphs;
  for (const std::string& other : others)
    other_graphs.push_back(graphs_of(plan_of(other, "all", "all")));
  LayerGraphs graphs = graphs_of(plan);
  const Subject subject{std::move(loaded), std::move(batch), plan,
                        std::move(graphs), others,           std::move(other_graphs)};
  fmt::print("attention {}; {} tokens in {} sequences\n\n", plan.describe(),
             subject.graphs.front()->tokens(), subject.graphs.front()->sequences());
  Json json{{"attention", plan.describe()}, {"graphs", report_graphs(subject)}};
  json["reach"] = report_reach(subject);
  if (explained) {
    const AttentionUse use = subject.loaded.model->encoder().attention_use();
    fmt::print("\n{}", to_text(explain(subject.graphs, use)));
  }
  json["statistics"] = report_weights(subject, reach);
  if (weights) json["weights"] = all_weights(subject);
  if (!out.empty()) write_file(out, json.dump() + "\n");
  return 0;
}

const RegisterCommand registered{
    {"inspect", "a model's attention: its graph and its weights", run}};

}  // namespace

}  // namespace filigree
