// Null models of a learned run: its hardened model goes on as it did itself, under an attention
// that keeps some of what was learned and loses the rest.
#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "core/random.h"
#include "tasks/degrees/hard_heads.h"
#include "tasks/study/kinds.h"
#include "tasks/training/attention_setup.h"

namespace filigree {

namespace {

namespace fs = std::filesystem;

/// The attention that was learned.
struct Learned {
  std::vector<HardHead> hard;  // (L H)
  int64_t layers = 0, heads = 0;
  std::string globals;

  std::string pattern() const { return hard_pattern(hard, heads, globals); }
};

Learned read_learned(const RunRequest& request) {
  const fs::path path = request.source->folder / "degrees.json";
  Learned learned;
  learned.globals = request.config.degrees.globals;
  try {
    const auto json = nlohmann::json::parse(read_file(path));
    for (const auto& head : json.at("heads")) {
      const auto& hard = head.at("hard");
      learned.hard.push_back({hard.at("pattern"), hard.at("reach")});
      learned.layers = std::max(learned.layers, head.at("layer").get<int64_t>() + 1);
      learned.heads = std::max(learned.heads, head.at("head").get<int64_t>() + 1);
    }
  } catch (const nlohmann::json::exception& error) {
    throw DataError(path.string(), error.what(), "run the study's learned run again");
  }
  return learned;
}

void check(const TrainConfig& config) { kLearnKind.check(config); }

std::string identity(const TrainConfig& config) { return kLearnKind.identity(config); }

double work(const TrainConfig& config) { return config.degrees.finetune; }

/// As the finetuning of the source, under another attention.
RunRecord go_on(const RunRequest& request, const std::string& pattern, bool& stopped) {
  const fs::path learned = request.source->folder;
  TrainConfig config = parse_train_config({}, learned / "finetune" / "config.ini");
  config.model.init = (fs::absolute(learned) / "hard").string();
  config.attention = {pattern, "all", "all"};
  const TrainResult result = train(config, request.folder, true, request.observer);
  stopped = result.stopped;
  if (stopped) return {};
  RunRecord run = record_of(config, result, request.folder);
  run.steps = request.source->record.steps;  // those that made its first weights, too
  return run;
}

RunRecord permuted(const RunRequest& request, bool& stopped) {
  Learned learned = read_learned(request);
  RandomStream random(request.config.train.seed, Purpose::shuffle, {hash_name("permuted heads")});
  for (size_t i = learned.hard.size(); i > 1; --i) {
    std::swap(learned.hard[i - 1], learned.hard[random.below(i)]);
  }
  return go_on(request, learned.pattern(), stopped);
}

RunRecord even(const RunRequest& request, bool& stopped) {
  const Learned learned = read_learned(request);
  const AttentionPlan plan(learned.pattern(), "all", "all", static_cast<int>(learned.layers),
                           static_cast<int>(learned.heads));
  const double density =
      density_on(plan, TokenDataset::open(request.config.data.train), request.config.train.seed);
  const std::string globals = learned.globals == "none" ? "" : "|" + learned.globals;
  return go_on(request, fmt::format("neighbour:?{} match:density={:.9f}", globals, density),
               stopped);
}

/// Every head's attention, but for the global tokens, as NAME(pattern).
RunRecord randomised(const RunRequest& request, const char* name, bool& stopped) {
  Learned learned = read_learned(request);
  for (HardHead& head : learned.hard) head.pattern = fmt::format("{}({})", name, head.pattern);
  return go_on(request, learned.pattern(), stopped);
}

RunRecord shuffled(const RunRequest& request, bool& stopped) {
  return randomised(request, "shuffled", stopped);
}

RunRecord rewired(const RunRequest& request, bool& stopped) {
  return randomised(request, "rewired", stopped);
}

}  // namespace

const RunKind kPermutedKind{
    "permuted", "a learned run with its heads exchanged at random", true, check, identity, work,
    permuted};
const RunKind kEvenKind{"even",   "a learned run with one window for all heads, as dense in all",
                        true,     check,
                        identity, work,
                        even};
const RunKind kShuffledKind{
    "shuffled", "a learned run whose tokens see as many others, drawn at random",
    true,       check,
    identity,   work,
    shuffled};
const RunKind kRewiredKind{"rewired", "a learned run whose graphs are rewired: all degrees stay",
                           true,      check,
                           identity,  work,
                           rewired};

}  // namespace filigree
