// filigree prepare: text to a tokenized dataset.
#include "tasks/dataset/prepare.h"

#include <chrono>
#include <fmt/format.h>
#include <optional>
#include <unistd.h>

#include "core/error.h"
#include "core/file.h"
#include "tasks/dataset/prepare_documents.h"
#include "tasks/task/task.h"
#include "tasks/training/stop_request.h"
#include "tools/filigree/command.h"
#include "tools/filigree/options.h"
#include "tools/filigree/progress.h"

namespace filigree {

namespace {

/// Shows how far parsing is: one line that renews itself on a terminal, a line every ten seconds
/// elsewhere.
ParseObserver show_parsing() {
  const bool terminal = isatty(fileno(stderr)) == 1;
  ParseObserver observer;
  observer.progress = [terminal,
                       last = std::chrono::steady_clock::now()](const ParseProgress& p) mutable {
    const auto now = std::chrono::steady_clock::now();
    const bool end = p.done == p.total;
    if (now - last < std::chrono::milliseconds(terminal ? 200 : 10'000) && !end) return;
    last = now;
    fmt::print(stderr, "{}parsed {}/{} sentences  {:.0f}/s  {} timed out  {} refused  {} left{}",
               terminal ? "\r\x1b[K" : "", p.done, p.total, p.rate, p.timed_out, p.refused,
               human_seconds(p.seconds_left), terminal && !end ? "" : "\n");
    std::fflush(stderr);
  };
  observer.note = [](const std::string& text) { fmt::print(stderr, "{}\n", text); };
  observer.stop = [] { return StopRequest::requested(); };
  return observer;
}

void print_syntax(const PrepareReport& report) {
  const ParseCounts& p = report.parses;
  const auto share = [](int64_t part, int64_t all) {
    return 100.0 * static_cast<double>(part) / static_cast<double>(std::max<int64_t>(all, 1));
  };
  if (!report.parser.empty()) {
    fmt::print(
        "  syntax by {}: {} sentences, {:.1f}% parsed: {} whole, {} with words left out; {} timed "
        "out, {} refused\n",
        report.parser, p.sentences, share(p.complete + p.partial, p.sentences), p.complete,
        p.partial, p.timed_out, p.refused);
  }
  fmt::print(
      "  {} links, {:.3f} a token; tokens without a link (they keep self and globals only): {}{}\n",
      report.links, share(report.links, report.tokens) / 100, report.alone,
      report.parser.empty()
          ? ""
          : fmt::format(", of these {} in sentences not parsed", report.unparsed));
}

void print_bad_lines(const std::vector<std::string>& shown, int64_t skipped) {
  for (const std::string& line : shown) fmt::print(stderr, "skipped: {}\n", line);
  const int64_t more = skipped - static_cast<int64_t>(shown.size());
  if (more > 0) fmt::print(stderr, "skipped: {} more\n", more);
}

void print_targets(const PrepareReport& report) {
  const TargetReport& targets = report.targets;
  for (size_t c = 0; c < targets.labels.size(); ++c) {
    fmt::print("  label {} = {}: {} {}\n", c, targets.labels[c], targets.label_counts[c],
               targets.counted);
  }
  for (const std::string& note : targets.notes) fmt::print("  {}\n", note);
  if (report.left_out > 0) fmt::print("  {} samples left out by --label-map\n", report.left_out);
}

/// --parse and the options of parsing.
class ParseFlags {
 public:
  explicit ParseFlags(Options& cli) : cli_(cli) {
    cli.flag("parse", parse_,
             "parse the text (English, link-grammar): links for the pattern syntax");
    cli.add("parse-seconds", options_.seconds, "CPU time for a sentence [2]");
    cli.add("parse-memory", options_.memory, "MiB of memory for a sentence [2048]");
    cli.add("parse-threads", options_.threads, "sentences parsed at once [the processors]");
    cli.add("parse-cache", cache_, "folder that keeps parses [parse-cache, beside --out]");
  }
  bool asked() const { return parse_; }
  /// True if the text is to be parsed.
  bool apply(const std::string& out, PrepareOptions& options) {
    if (parse_) {
      options_.cache = cache_.empty() ? std::filesystem::path(out).parent_path() / "parse-cache"
                                      : std::filesystem::path(cache_);
      options.parse = options_;
      options.observer = show_parsing();
    } else if (cli_.given("parse-seconds") || cli_.given("parse-memory") ||
               cli_.given("parse-threads") || cli_.given("parse-cache")) {
      throw ConfigError("parse", "its options are given, but not --parse itself", "add --parse");
    }
    return parse_;
  }

 private:
  Options& cli_;
  ParseOptions options_;
  std::string cache_;
  bool parse_ = false;
};

/// Says every ten seconds how far it is.
auto show_documents() {
  return
      [last = std::chrono::steady_clock::now()](const DocumentCounts& done, int64_t files) mutable {
        const auto now = std::chrono::steady_clock::now();
        if (now - last < std::chrono::seconds(10)) return;
        last = now;
        fmt::print(stderr, "file {} of {}  {} documents  {} samples  {} tokens\n", done.files + 1,
                   files, done.documents, done.samples, done.tokens);
      };
}

/// Packs documents for a task that reads them.
int run_documents(const PrepareDocuments& options, const Tokenizer& tokenizer,
                  const std::string& out) {
  const DocumentsReport report = prepare_documents(options, tokenizer, out);
  for (const std::string& format : report.formats) fmt::print("  {}\n", format);
  print_bad_lines(report.bad_lines.shown(), report.bad_lines.count());
  const DocumentCounts& c = report.counts;
  fmt::print(
      "wrote {}: {} documents of {} files, {} sentences ({} longer than a sample), {} samples, {} "
      "tokens, longest {}, {} lines skipped, {} [UNK]\n",
      out, c.documents, c.files, c.sentences, c.cut, c.samples, c.tokens, c.longest,
      report.bad_lines.count(), c.unknown);
  return 0;
}

/// Throws ConfigError for an option that the task's kind of input has no use for.
void expect_unused(const Options& cli, std::initializer_list<const char*> options,
                   std::string_view why) {
  for (const char* name : options) {
    if (cli.given(name)) throw ConfigError(name, why, "leave the option out");
  }
}

int run(std::span<const std::string> words) {
  std::vector<std::string> inputs;
  std::string pack = "documents";
  std::string out, tokenizer, labels, label_map, columns, format = "auto", quoting = "none";
  PrepareOptions options;
  Options cli(
      "prepare --input FILE --tokenizer FILE --out FILE [options]",
      "Makes a tokenized dataset (safetensors) from TSV, JSON lines, CoNLL-U, SQuAD or text; "
      "for --task masked_lm from documents, packed to the length.");
  cli.require("input", inputs,
              "file of records; for documents files, folders and FORMAT:FILE, several times");
  cli.require("tokenizer", tokenizer, "tokenizer file (`filigree tokenizer train`)");
  cli.require("out", out, "the dataset");
  cli.add("pack", pack,
          "documents: a sample is of one document; full: the next one goes on in it [documents]");
  cli.add("text", options.text, "column of the sentence [sentence]");
  cli.add("pair", options.pair, "column of the second sentence [none]");
  cli.add("task", options.task, "what the labels are for (`filigree info`) [classification]");
  cli.add("label", options.label,
          "column of the label, or for tagging a CoNLL-U field; \"\" for none [label]");
  cli.add("labels", labels, "the known labels in order, by commas [those that come, sorted]");
  cli.add("label-map", label_map,
          "a=x,b=x,c=: labels a and b become class x, samples with c are left out");
  cli.add("columns", columns, "TSV without a header line: names of its columns");
  cli.add("format", format, "auto, tsv, jsonl, conllu, text or squad [auto: by the name]");
  cli.add("quoting", quoting, "TSV: none or standard (\"...\") [none]");
  int64_t doc_stride = 0, max_question = 0;
  cli.add("doc-stride", doc_stride, "qa: tokens that neighbouring features share [128]");
  cli.add("max-question", max_question, "qa: tokens of the question at most [64]");
  cli.add("max-length", options.max_length, "tokens at most; longer is cut and counted [512]");
  cli.add("skip-bad-lines", options.skip_bad_lines,
          "leave out so many bad lines at most; with more nothing is written [0]");
  cli.add("show-bad-lines", options.show_bad_lines, "name so many bad lines at most [20]");
  cli.flag("strict", options.strict, "stop at the first bad line");
  cli.add("max-line-bytes", options.reader.max_line_bytes, "longest line in bytes [16777216]");
  ParseFlags parsing(cli);
  if (!cli.parse(words)) return 0;
  expect_other_file(out, tokenizer);
  if (make_task("task", options.task)->reads_documents() && options.label != "") {
    expect_unused(cli,
                  {"text", "pair", "label", "labels", "label-map", "columns", "format", "quoting",
                   "doc-stride", "max-question", "parse-seconds", "parse-memory", "parse-threads",
                   "parse-cache"},
                  "records have such a thing, documents have not");
    if (parsing.asked()) {
      throw ConfigError("parse", "documents of a pretraining task are not parsed",
                        "leave the option out");
    }
    PrepareDocuments documents;
    documents.inputs = inputs;
    documents.packing = parse_packing(pack);
    documents.task = options.task;
    documents.max_length = options.max_length;
    documents.max_line_bytes = options.reader.max_line_bytes;
    static_cast<BadLineOptions&>(documents) = options;
    documents.progress = show_documents();
    return run_documents(documents, Tokenizer::load(tokenizer), out);
  }
  expect_unused(cli, {"pack"}, "documents are packed, records are not");
  if (inputs.size() != 1) {
    throw ConfigError("input", fmt::format("expected one file of records, got {}", inputs.size()),
                      "put the records into one file");
  }
  const std::string& input = inputs.front();
  const bool parse = parsing.apply(out, options);
  std::optional<StopRequest> stop_request;  // while parsing, Ctrl-C saves first
  if (parse) stop_request.emplace();
  if (cli.given("doc-stride")) options.doc_stride = doc_stride;
  if (cli.given("max-question")) options.max_question = max_question;
  options.labels = split_list(labels);
  options.label_map = parse_label_map(label_map);
  options.reader.columns = split_list(columns);
  options.reader.format = parse_record_format(format);
  options.reader.quoting = parse_quoting(quoting);
  const PrepareReport report = prepare(input, Tokenizer::load(tokenizer), options, out);
  if (report.stopped) {
    fmt::print(stderr, "stopped; the parses are kept in {}: the same command goes on\n",
               options.parse->cache.string());
    return 0;
  }
  print_bad_lines(report.bad_lines, report.skipped);
  fmt::print(
      "wrote {}: {} samples, {} tokens, longest {}, {} truncated, {} lines skipped, {} [UNK]\n",
      out, report.samples, report.tokens, report.longest, report.truncated, report.skipped,
      report.unknown);
  if (report.has_syntax) print_syntax(report);
  print_targets(report);
  return 0;
}

const RegisterCommand registered{{"prepare", "text, TSV, JSON lines, CoNLL-U to a dataset", run}};

}  // namespace

}  // namespace filigree
