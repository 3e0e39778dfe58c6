// The graphs of the attention, and what it does on one sample: from the models that the runs kept.
#include <algorithm>
#include <fmt/format.h>
#include <map>

#include "attention/report/attention_statistics.h"
#include "attention/report/degrees.h"
#include "attention/report/flow.h"
#include "core/error.h"
#include "tasks/report/html.h"
#include "tasks/report/sections.h"
#include "tasks/study/study.h"
#include "tasks/tokenizer/tokenizer.h"
#include "tasks/training/attention_inputs.h"

namespace filigree {

namespace {

namespace fs = std::filesystem;

constexpr size_t kMostRows = 24, kMostExamples = 6;
constexpr int64_t kSamples = 16, kMostTokens = 48;
constexpr int kShades = 8, kSquare = 11;

/// The model of a row's first run, on the first samples of its dev split.
struct Subject {
  LoadedModel loaded;
  TrainConfig config;
  Batch batch;
  LayerGraphs graphs;
};

Subject open_subject(const ReportData& data, const RunRecord& summary) {
  const fs::path folder = run_folder(data.folder, summary.id);
  const fs::path best = folder / (summary.command == "learn" ? "finetune" : "");
  Subject subject;
  subject.config = parse_train_config({}, best / "config.ini");
  subject.loaded = load_model(best / "best" / "model.safetensors");
  subject.batch = first_batch(TokenDataset::open(subject.config.data.dev), kSamples);
  subject.graphs =
      subject.loaded.info.plan().build(sequence_view(subject.batch), subject.loaded.info.seed, 0);
  return subject;
}

double mean_degree(const AttentionGraph& graph) {
  double sum = 0;
  for (int head = 0; head < graph.heads(); ++head) {
    for (const int64_t degree : row_degrees(graph, head)) sum += static_cast<double>(degree);
  }
  return sum / static_cast<double>(graph.heads() * std::max<int64_t>(1, graph.tokens()));
}

/// Numbers of the layers, with " · " between them; one if they are all alike.
std::string by_layer(const std::vector<double>& values, const char* format) {
  std::string text;
  bool alike = true;
  for (size_t l = 0; l < values.size(); ++l) {
    text += (l == 0 ? "" : " · ") + fmt::format(fmt::runtime(format), values[l]);
    alike = alike && values[l] == values[0];
  }
  return alike && !values.empty() ? fmt::format(fmt::runtime(format), values[0]) : text;
}

std::vector<HtmlCell> graph_cells(const StudyTable& table, const StudyRow& row,
                                  const Subject& subject) {
  std::vector<double> density, degree, parts, distance, evenness;
  const auto inputs = attention_inputs(subject.loaded, subject.batch, subject.graphs);
  for (size_t l = 0; l < subject.graphs.size(); ++l) {
    const AttentionGraph& graph = *subject.graphs[l];
    density.push_back(100 * graph.density());
    degree.push_back(mean_degree(graph));
    double count = 0;
    for (const int64_t c : components_of(graph).count) count += static_cast<double>(c);
    parts.push_back(count / static_cast<double>(graph.sequences()));
    const std::vector<HeadStatistics> heads = attention_statistics(inputs[l], 1);
    double d = 0, e = 0;
    for (const HeadStatistics& head : heads) {
      d += head.distance / static_cast<double>(heads.size());
      e += head.evenness / static_cast<double>(heads.size());
    }
    distance.push_back(d);
    evenness.push_back(e);
  }
  const Reach reach = reach_of(subject.graphs);
  std::vector<double> seen;
  for (const auto& depth : reach.tokens) {
    double sum = 0;
    for (const int64_t tokens : depth) sum += static_cast<double>(tokens);
    seen.push_back(100 * sum / static_cast<double>(subject.graphs.front()->tokens()));
  }
  std::vector<HtmlCell> cells;
  for (size_t a = 0; a < table.axes.size(); ++a) cells.push_back(text_cell(row.levels[a]));
  for (const std::string& text :
       {by_layer(density, "{:.1f}"), by_layer(degree, "{:.1f}"), by_layer(parts, "{:.1f}"),
        by_layer(seen, "{:.0f}"), by_layer(distance, "{:.1f}"), by_layer(evenness, "{:.2f}")}) {
    cells.push_back(text_cell(text));
  }
  return cells;
}

/// The pieces of one sample, for its rows and columns; numbers where the run has no tokenizer.
std::vector<std::string> pieces_of(const Subject& subject, const fs::path& tokenizer, int64_t n) {
  std::vector<std::string> pieces;
  if (fs::exists(tokenizer)) {
    const Tokenizer reader = Tokenizer::load(tokenizer);
    for (int64_t i = 0; i < n; ++i) {
      pieces.push_back(reader.token(subject.batch.ids.data<int32_t>()[i]));
    }
    return pieces;
  }
  for (int64_t i = 0; i < n; ++i) pieces.push_back(std::to_string(i));
  return pieces;
}

/// A square for every pair (query down, key across), the darker the larger its weight.
std::string example_of(const std::vector<double>& weights, const std::vector<std::string>& pieces) {
  const auto n = static_cast<int64_t>(pieces.size());
  const int margin = 90;
  std::map<int, std::string> shades;
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      const double weight = weights[static_cast<size_t>(i * n + j)];
      if (weight <= 0) continue;
      const int shade = std::clamp(static_cast<int>(std::sqrt(weight) * kShades) + 1, 1, kShades);
      shades[shade] += fmt::format("M{} {}h{}v{}h-{}z", margin + j * kSquare, margin + i * kSquare,
                                   kSquare - 1, kSquare - 1, kSquare - 1);
    }
  }
  const int64_t side = margin + n * kSquare + 4;
  std::string svg = fmt::format(
      "<svg width=\"{0}\" height=\"{0}\" viewBox=\"0 0 {0} {0}\" class=\"small\" role=\"img\" "
      "aria-label=\"attention weights\" font-size=\"9\" fill=\"currentColor\">",
      side);
  for (const auto& [shade, path] : shades) {
    svg += fmt::format("<path d=\"{}\" fill=\"#0072b2\" fill-opacity=\"{:.2f}\"/>", path,
                       static_cast<double>(shade) / kShades);
  }
  for (int64_t i = 0; i < n; ++i) {
    const int64_t at = margin + i * kSquare + kSquare / 2;
    svg += fmt::format(
        "<text x=\"{0}\" y=\"{1}\" text-anchor=\"end\" dominant-baseline=\"central\">{2}</text>"
        "<text transform=\"translate({1} {0}) rotate(-90)\" "
        "dominant-baseline=\"central\">{2}</text>",
        margin - 4, at, escape(pieces[static_cast<size_t>(i)]));
  }
  return svg + "</svg>";
}

/// The last layer's attention on the first sample that is short enough, in the mean of its heads.
std::string example(const ReportData& data, const StudyRow& row, const Subject& subject,
                    size_t number) {
  const Batch one = first_batch(TokenDataset::open(subject.config.data.dev), 1);
  const int64_t n = one.ids.numel();
  if (n > kMostTokens) return "";
  const LayerGraphs graphs =
      subject.loaded.info.plan().build(sequence_view(one), subject.loaded.info.seed, 0);
  const AttentionInputs last = attention_inputs(subject.loaded, one, graphs).back();
  std::vector<double> weights(static_cast<size_t>(n * n), 0);
  const auto heads = static_cast<double>(last.graph->heads());
  for_attention_rows(last, [&](const AttentionRow& attention) {
    for (size_t k = 0; k < attention.keys.size(); ++k) {
      weights[static_cast<size_t>(attention.query * n + attention.keys[k])] +=
          attention.weights[k] / heads;
    }
  });
  const fs::path tokenizer = run_folder(data.folder, row.runs.front().id) / "tokenizer.model";
  Subject shown{{}, subject.config, one, {}};
  return figure(fmt::format("attention-{}", number),
                example_of(weights, pieces_of(shown, tokenizer, n)),
                name_of(data.table, row) + fmt::format(", seed {}", row.runs.front().seed));
}

std::string body(const ReportData& data) {
  if (data.folder.empty()) return "";
  HtmlTable table{"graphs", data.table.axes, {}, false};
  table.head.insert(table.head.end(), {"density, %", "keys a query", "components",
                                       "seen by [CLS], %", "distance attended", "evenness"});
  std::string examples;
  size_t shown = 0, missing = 0, left_out = 0;
  for (const StudyRow& row : data.table.rows) {
    if (row.runs.empty()) continue;
    if (table.rows.size() + missing == kMostRows) {
      ++left_out;
      continue;
    }
    try {
      const Subject subject = open_subject(data, row.runs.front());
      table.rows.push_back(graph_cells(data.table, row, subject));
      if (shown == kMostExamples) continue;
      const std::string picture = example(data, row, subject, shown);
      if (!picture.empty()) ++shown;
      examples += picture;
    } catch (const Error&) {  // the model, or the data, are not there any more
      ++missing;
    }
  }
  if (table.rows.empty()) return "";
  std::string text = paragraph(fmt::format(
      "On the first {} samples of the dev split, of every row's first run; layers from the first "
      "to "
      "the last with · between them. Components: parts of a sample's graph that no edge joins. "
      "Seen "
      "by [CLS]: the share of tokens that the first token can depend on, after 0, 1, .. layers. "
      "Distance attended: mean of weight times distance. Evenness: entropy of the weights over "
      "that "
      "of even ones.",
      kSamples));
  if (left_out > 0) {
    text += paragraph(fmt::format("The first {} rows; {} more are left out.", kMostRows, left_out),
                      "note");
  }
  if (missing > 0) {
    text += paragraph(
        fmt::format("{} rows are left out: their model or their data are not there.", missing),
        "note");
  }
  text += table.html();
  if (examples.empty()) return text;
  return text + "<h3>Attention on one sample</h3>\n" +
         paragraph(
             "Weights of the last layer in the mean of its heads: queries down, keys across; "
             "the darker, the larger (by the square root).") +
         "<div class=\"examples\">" + examples + "</div>";
}

}  // namespace

const ReportSection kGraphsSection{"graphs", "Graphs and attention", body};

}  // namespace filigree
