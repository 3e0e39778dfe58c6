#include "tasks/training/attention_setup.h"

#include <algorithm>
#include <fmt/format.h>
#include <numeric>

#include "attention/match.h"
#include "core/error.h"
#include "tasks/dataset/batch.h"

namespace filigree {

namespace {

constexpr int64_t kSamples = 32;  // of a batch that a match looks at

/// The samples in their order, a few at a time.
MatchData match_data(const TokenDataset& data) {
  return {(data.size() + kSamples - 1) / kSamples, [data](int64_t k, const auto& use) {
            std::vector<int64_t> samples(
                static_cast<size_t>(std::min(kSamples, data.size() - k * kSamples)));
            std::iota(samples.begin(), samples.end(), k * kSamples);
            const Batch batch = make_batch(data, samples);
            use(sequence_view(batch));
          }};
}

void give_vectors(ModelInfo& info, const Encoder& encoder) {
  if (info.vectors || !info.plan().needs_vectors()) return;
  info.vectors = std::make_shared<TokenVectors>(encoder.token_embeddings().to(kCpu));
}

}  // namespace

void set_up_attention(ModelInfo& info, const Encoder& encoder, const TokenDataset& data,
                      const std::function<void(const std::string&)>& note) {
  give_vectors(info, encoder);
  const AttentionPlan plan = info.plan();
  if (!plan.needs_match()) return;
  expect_attention_fits(plan, data);
  const MatchResult solved = solve_match(plan, match_data(data), info.seed);
  for (const MatchedRule& rule : solved.rules) {
    note(fmt::format("{}: {}, density {:.3f}% of {}", rule.asked, rule.pattern, 100 * rule.density,
                     data.path().string()));
  }
  info.pattern = solved.pattern;
}

AttentionPlan attention_under(const LoadedModel& model, const std::string& pattern,
                              const std::string& layers, const std::string& heads,
                              const TokenDataset* data,
                              const std::function<void(const std::string&)>& note) {
  ModelInfo info = model.info;
  const bool other = pattern != info.pattern || layers != info.layers || heads != info.heads;
  if (other && info.encoder.degrees.learned()) {
    throw ConfigError("pattern", "the model's degrees are learned and not hardened",
                      "harden them with `filigree learn`, or leave the pattern out");
  }
  info.pattern = pattern;
  info.layers = layers;
  info.heads = heads;
  if (data != nullptr) {
    set_up_attention(info, model.model->encoder(), *data, note);
    AttentionPlan plan = info.plan();
    expect_attention_fits(plan, *data);
    return plan;
  }
  give_vectors(info, model.model->encoder());
  AttentionPlan plan = info.plan();
  if (plan.needs_match()) {
    throw ConfigError("pattern",
                      fmt::format("\"{}\" is matched on a dataset, there is none", pattern),
                      "give --data, or a number in place of the ?");
  }
  return plan;
}

double density_on(const AttentionPlan& plan, const TokenDataset& data, uint64_t seed) {
  const MatchData batches = match_data(data);
  DensityMeter meter;
  for (int64_t k = 0; k < batches.batches; ++k) {
    batches.visit(k, [&](const SequenceBatch& batch) { meter.add(plan.build(batch, seed, 0)); });
  }
  return meter.mean();
}

void expect_attention_fits(const AttentionPlan& plan, const TokenDataset& data) {
  const Batch batch = make_batch(data, std::vector<int64_t>{0});
  try {
    plan.expect_data(sequence_view(batch));
  } catch (const DataError& error) {
    throw DataError(data.path().string(), error.what());
  }
}

}  // namespace filigree
