// filigree generate: the built-in language.
#include <fmt/format.h>

#include "tasks/language/language.h"
#include "tools/filigree/command.h"
#include "tools/filigree/options.h"

namespace filigree {

namespace {

int run(std::span<const std::string> words) {
  std::string out, labelling;
  LanguageOptions options;
  Options cli("generate --labelling NAME --out FOLDER [options]",
              "Writes sentences with labels (TSV) and dependency trees (CoNLL-U). Each labelling "
              "needs a\nconnection of its kind: docs/language.md.");
  cli.require("labelling", labelling, "local, syntactic, lexical, global, second, fifth or ninth");
  cli.require("out", out, "folder");
  cli.add("train", options.train, "sentences of the train split [6000]");
  cli.add("dev", options.dev, "sentences of the dev split [1000]");
  cli.add("seed", options.seed, "seed [1]");
  if (!cli.parse(words)) return 0;
  options.labelling = parse_labelling(labelling);
  for (const auto& path : write_language(options, out)) fmt::print("wrote {}\n", path.string());
  const NeededConnection needed = needed_connection(options.labelling);
  fmt::print("can be learnt under \"{}\", not under \"{}\" (docs/language.md)\n", needed.with,
             needed.without);
  return 0;
}

const RegisterCommand registered{{"generate", "the built-in language: trees and labels", run}};

}  // namespace

}  // namespace filigree
