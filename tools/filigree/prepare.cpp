// filigree prepare: text to a tokenized dataset.
#include "tasks/dataset/prepare.h"

#include <fmt/format.h>

#include "tools/filigree/command.h"
#include "tools/filigree/options.h"

namespace filigree {

namespace {

int run(std::span<const std::string> words) {
  std::string input, out, tokenizer, labels, columns, format = "auto", quoting = "none";
  PrepareOptions options;
  Options cli("prepare --input FILE --tokenizer FILE --out FILE [options]",
              "Makes a tokenized dataset (safetensors) from TSV, JSON lines, CoNLL-U or text.");
  cli.require("input", input, "file of records");
  cli.require("tokenizer", tokenizer, "tokenizer file (`filigree tokenizer train`)");
  cli.require("out", out, "the dataset");
  cli.add("text", options.text, "column of the sentence [sentence]");
  cli.add("pair", options.pair, "column of the second sentence [none]");
  cli.add("label", options.label, "column of the label; \"\" for none [label]");
  cli.add("labels", labels, "the known labels in order, by commas [those that come, sorted]");
  cli.add("columns", columns, "TSV without a header line: names of its columns");
  cli.add("format", format, "auto, tsv, jsonl, conllu or text [auto: by the name]");
  cli.add("quoting", quoting, "TSV: none or standard (\"...\") [none]");
  cli.add("max-length", options.max_length, "tokens at most; longer is cut and counted [512]");
  cli.add("skip-bad-lines", options.skip_bad_lines, "leave out so many bad lines at most [0]");
  cli.add("max-line-bytes", options.reader.max_line_bytes, "longest line in bytes [16777216]");
  if (!cli.parse(words)) return 0;
  options.labels = split_list(labels);
  options.reader.columns = split_list(columns);
  options.reader.format = parse_record_format(format);
  options.reader.quoting = parse_quoting(quoting);
  const PrepareReport report = prepare(input, Tokenizer::load(tokenizer), options, out);
  for (const std::string& warning : report.warnings) fmt::print(stderr, "skipped: {}\n", warning);
  fmt::print(
      "wrote {}: {} samples, {} tokens, longest {}, {} truncated, {} lines skipped, {} [UNK]\n",
      out, report.samples, report.tokens, report.longest, report.truncated, report.skipped,
      report.unknown);
  for (size_t c = 0; c < report.labels.size(); ++c) {
    fmt::print("  label {} = {}: {} samples\n", c, report.labels[c], report.label_counts[c]);
  }
  return 0;
}

const RegisterCommand registered{{"prepare", "text, TSV, JSON lines, CoNLL-U to a dataset", run}};

}  // namespace

}  // namespace filigree
