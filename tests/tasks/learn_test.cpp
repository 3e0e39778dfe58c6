// Learning degrees: soft, hardened, finetuned; interrupted and gone on with.
#include "tasks/degrees/learn.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attention/degrees/water_filling.h"
#include "core/error.h"
#include "core/file.h"
#include "nn/schedules.h"
#include "tasks/dataset/prepare.h"
#include "tasks/degrees/degree_plot.h"
#include "tasks/degrees/hard_heads.h"
#include "tasks/language/language.h"
#include "tasks/training/attention_setup.h"
#include "tasks/training/degree_attention.h"
#include "tasks/training/degree_training.h"
#include "tasks/training/evaluate.h"
#include "tests/error_text.h"
#include "tests/tasks/language_data.h"
#include "tests/temporary_folder.h"

namespace filigree {

namespace {

using testing::error_of;
using ::testing::HasSubstr;
using testing::TemporaryFolder;

/// Datasets of the labelling "global", whose sentences differ in length, made once.
const TemporaryFolder& data() {
  static const TemporaryFolder folder;
  static const bool made = [] {
    testing::prepare_language(folder, Labelling::global, 400, 100);
    return true;
  }();
  (void)made;
  return folder;
}

TrainConfig small_config() {
  TrainConfig config;
  config.data.train = data().path() / "train";
  config.data.dev = data().path() / "dev";
  config.model.width = 16;
  config.model.heads = 2;
  config.train.batch_tokens = 512;
  config.train.steps = 60;
  config.train.evaluate_every = 20;
  config.train.save_every = 7;
  config.degrees.globals = "global:cls";
  config.degrees.density = 0.3;
  return config;
}

/// An observer that asks to stop after so many steps of all stages together.
LearnObserver stop_after(int64_t steps) {
  LearnObserver observer;
  auto left = std::make_shared<int64_t>(steps);
  observer.train.stop = [left] { return --*left <= 0; };
  return observer;
}

Batch first_samples(const TokenDataset& dataset, int64_t count) {
  std::vector<int64_t> samples;
  for (int64_t i = 0; i < count; ++i) samples.push_back(i);
  return make_batch(dataset, samples);
}

std::string error_in(const TemporaryFolder& folder, const TrainConfig& config) {
  return error_of([&] { learn_degrees(config, folder / "wrong", false); });
}

}  // namespace

class Learn : public ::testing::TestWithParam<std::string> {
 protected:
  /// A learner, or "degrees" with draws or an irregular stage.
  static void choose(TrainConfig& config) {
    config.degrees.draws = GetParam() == "drawn";
    config.degrees.irregular = GetParam() == "irregular" ? 0.5 : 0;
    const bool plain = !config.degrees.draws && config.degrees.irregular == 0;
    config.degrees.learner = plain ? GetParam() : "degrees";
  }
};
INSTANTIATE_TEST_SUITE_P(Learners, Learn,
                         ::testing::Values("degrees", "adaptive_span", "free_offsets", "head_gates",
                                           "drawn", "irregular"));

// The stages one after the other; the hardened model is an ordinary one and keeps the budget.
TEST_P(Learn, GivesAnOrdinaryModelWithinTheBudget) {
  const TemporaryFolder folder;
  TrainConfig config = small_config();
  choose(config);
  const LearnResult result = learn_degrees(config, folder / "run", false);
  EXPECT_FALSE(result.stopped);
  EXPECT_EQ(result.stage, "finetune");

  const LoadedModel loaded = load_model(find_model(folder / "run"));
  EXPECT_FALSE(loaded.info.encoder.degrees.learned());
  EXPECT_EQ(loaded.info.pattern, result.pattern);
  for (const auto& [name, tensor] : loaded.model->state_dict()) {
    EXPECT_FALSE(is_degree_parameter(name)) << name;
  }
  const TokenDataset train = TokenDataset::open(config.data.train);
  const double density = evaluate(loaded, loaded.info.plan(), train).density;
  // A head that is all or nothing, or chosen distances, may leave what does not fit.
  const bool whole = GetParam() == "head_gates" || GetParam() == "free_offsets";
  EXPECT_NEAR(density, 0.3, whole ? 0.03 : 0.002);

  // What is evaluated while degrees are soft is what they expect.
  const LoadedModel soft = load_model(
      find_model(folder.path() / "run" / (GetParam() == "irregular" ? "irregular" : "soft")));
  const DegreeLearner& learner = *soft.model->encoder().degrees();
  const DistanceCounts counts = count_pairs(learner.shape().config, train);
  const NoGrad no_grad;
  EXPECT_NEAR(evaluate(soft, soft.info.plan(), train).density,
              expected_density(learner, counts).value().item(), 1e-6);
  const LearnedHeads heads = learned_heads(learner, counts);
  EXPECT_EQ(heads.all.size(), 4U);
  if (GetParam() != "head_gates") {  // those count how often a gate is open, not how far
    EXPECT_NEAR(heads.density, expected_density(learner, counts).value().item(), 1e-6);
  }
  EXPECT_THAT(read_file(folder.path() / "run" / "degrees.txt"), HasSubstr("mean reach"));
  EXPECT_THAT(read_file(folder.path() / "run" / "degrees.json"), HasSubstr("\"edge\""));
}

// Stopped in the soft stage, in the finetuning and before the end of each, and gone on with.
TEST_P(Learn, GoesOnToTheSameBits) {
  const TemporaryFolder folder;
  TrainConfig config = small_config();
  config.train.steps = 52;  // past an update of the multiplier
  choose(config);
  config.degrees.entropy = 0.01;
  learn_degrees(config, folder / "whole", false);

  int stops = 0;
  bool resume = false;
  for (const int64_t steps : {11, 30, 15, 10, 1000}) {
    const LearnResult part = learn_degrees(config, folder / "parts", resume, stop_after(steps));
    resume = true;
    stops += part.stopped;
  }
  EXPECT_GE(stops, 3);
  for (const char* name : {"soft/best/model.safetensors", "hard/model.safetensors",
                           "model.safetensors", "degrees.json"}) {
    EXPECT_TRUE(read_file(folder.path() / "whole" / name) ==
                read_file(folder.path() / "parts" / name))
        << name;
  }
}

TEST(LearnDegrees, StartsFromADenseModelAndItsHead) {
  const TemporaryFolder folder;
  TrainConfig config = small_config();
  config.degrees = {};
  train(config, folder / "dense", false);
  TrainConfig learning = small_config();
  learning.model.init = folder / "dense";
  learning.train.steps = 1;
  learning.train.lr = 0;  // weights and degrees stay
  learning.degrees.hold = 1;
  learning.degrees.finetune = 0;
  learn_degrees(learning, folder / "run", false);
  const StateDict dense = read_model_tensors(find_model(folder / "dense")).weights;
  const StateDict hard = read_model_tensors(folder.path() / "run" / "model.safetensors").weights;
  ASSERT_EQ(dense.size(), hard.size());
  for (const auto& [name, tensor] : dense) {
    for (int64_t e = 0; e < tensor.numel(); ++e) ASSERT_EQ(tensor.at(e), hard.at(name).at(e));
  }
}

TEST(LearnDegrees, TokensThatAreAlwaysOnAreThoseOfThePattern) {
  const TokenDataset dataset = TokenDataset::open(data().path() / "train");
  const Batch batch = first_samples(dataset, 3);
  DegreeConfig degrees{"degrees", 5, "head", "dense", "global:special"};
  const auto always = always_on(degrees, batch);
  ASSERT_TRUE(always);
  for (int64_t b = 0; b < 3; ++b) {
    const auto last = static_cast<int32_t>(dataset.length(b) - 1);
    EXPECT_THAT(always->of(b), ::testing::ElementsAre(0, last));
  }
  degrees.globals = "none";
  EXPECT_FALSE(always_on(degrees, batch));
  EXPECT_EQ(attention_pattern(degrees), "neighbour:5");
  for (const char* wrong : {"global:cls,rows", "neighbour:1", "causal"}) {
    degrees.globals = wrong;
    EXPECT_THAT(error_of([&] { always_on(degrees, batch); }), HasSubstr("degrees.globals"))
        << wrong;
  }
}

TEST(LearnDegrees, PatternNamesTheReachOfEveryHead) {
  std::vector<HardHead> hard;
  for (const int64_t reach : {3, 0, 3, 0, 7, 0}) {
    hard.push_back({HardReach(reach).pattern(), reach});
  }
  const std::string text = hard_pattern(hard, 2, "global:cls");
  const AttentionPlan plan(text, "all", "all", 3, 2);
  SequenceBatch batch;
  batch.offsets = Tensor::from(std::vector<int64_t>{0, 20});
  const LayerGraphs graphs = plan.build(batch, 1, 0);
  for (size_t k = 0; k < hard.size(); ++k) {
    const AttentionGraph& graph = *graphs[k / 2];
    const std::vector<int32_t> row = graph.row(graph.group_of_head(static_cast<int>(k % 2)), 12);
    std::vector<int32_t> want{0};
    const auto r = static_cast<int32_t>(hard[k].reach);
    for (int32_t j = 12 - r; j <= std::min(19, 12 + r); ++j) want.push_back(j);
    EXPECT_EQ(row, want) << k;
  }
  EXPECT_EQ(std::count(text.begin(), text.end(), ';'), 2);  // layers 0 and 1 are alike
  // Irregular reaches come back from their text.
  const HardReach irregular(Reaches({0, 2, 9}), {0.25, 0.5, 0.25}, 0.125);
  EXPECT_EQ(irregular.pattern(), "irregular:0.125,0,0.25,2,0.5,9,0.25");
}

// Under a limit on the loss the sparsest model within it is kept, also past an interruption.
TEST(LearnDegrees, TheSparsestModelWithinTheLimitIsKept) {
  TrainConfig config = small_config();
  config.degrees.learner = "degrees";
  config.degrees.objective = "loss";
  config.degrees.loss = 0.5;
  const auto learner = make_degree_learner({1, 1, {"degrees", 4}}, DType::f32);
  const DegreeTraining training(config, *learner, learner->named_parameters(), 10);
  const auto metrics = [](double loss, double density) {
    Metrics m;
    m.loss = loss;
    m.density = density;
    return m;
  };
  double best = 2;
  EXPECT_TRUE(training.keeps(metrics(0.9, 0.8), best));  // none is within the limit: the newest
  EXPECT_TRUE(training.keeps(metrics(0.8, 0.9), best));
  EXPECT_TRUE(training.misses_limit(best));
  EXPECT_TRUE(training.keeps(metrics(0.5, 0.7), best));
  EXPECT_FALSE(training.misses_limit(best));
  EXPECT_FALSE(training.keeps(metrics(0.4, 0.7), best));  // no sparser
  EXPECT_FALSE(training.keeps(metrics(0.6, 0.1), best));  // beyond the limit
  EXPECT_FALSE(training.keeps(metrics(NAN, 0.1), best));
  EXPECT_TRUE(training.keeps(metrics(0.2, 0.3), best));
  EXPECT_EQ(best, 0.3);

  const TemporaryFolder folder;
  config.degrees.loss = 0.75;  // a little above what guessing has
  config.train.lr = 3e-3;
  config.degrees.beta = 5;
  const TrainResult whole = train(config, folder / "whole", false);
  EXPECT_TRUE(train(config, folder / "parts", false, stop_after(25).train).stopped);
  const TrainResult parts = train(config, folder / "parts", true);
  EXPECT_EQ(whole.state.best_step, parts.state.best_step);
  EXPECT_LT(whole.state.best_density, 1);
  EXPECT_EQ(whole.state.best_density, parts.state.best_density);
  EXPECT_TRUE(read_file(folder.path() / "whole" / "best" / "model.safetensors") ==
              read_file(folder.path() / "parts" / "best" / "model.safetensors"));
}

TEST(LearnDegrees, GatesThatRiseHaveNoWindows) {
  const TokenDataset train = TokenDataset::open(data().path() / "train");
  const DegreeShape shape{1, 1, {"free_offsets", 3, "head", "uniform"}};
  const auto learner = make_degree_learner(shape, DType::f64);
  double* logits = learner->named_parameters()[0].value.value().data<double>();
  logits[0] = -2;
  logits[1] = 3;
  const DistanceCounts counts = count_pairs(shape.config, train);
  const LearnedHeads heads = learned_heads(*learner, counts);
  EXPECT_FALSE(heads.windows());
  EXPECT_THROW(heads.distributions(), ConfigError);
  const HardenOptions options{&counts, edge_budget(0.2, counts, 1)};
  EXPECT_EQ(harden_heads("exact", heads, options)[0].pattern.substr(0, 9), "offsets:2");
  EXPECT_THAT(error_of([&] { harden_heads("median", heads, options); }),
              HasSubstr("--degrees.harden exact"));
  EXPECT_THAT(to_text(heads), HasSubstr("0.0"));
}

// Every hardener gives a plan that reads back.
TEST(LearnDegrees, EveryHardenerGivesAPlan) {
  const TokenDataset train = TokenDataset::open(data().path() / "train");
  DegreeShape shape{2, 3, {"degrees", 12, "head", "uniform", "global:cls"}};
  const auto learner = make_degree_learner(shape, DType::f64);
  const DistanceCounts counts = count_pairs(shape.config, train);
  const LearnedHeads heads = learned_heads(*learner, counts);
  HardenOptions options{&counts, edge_budget(0.4, counts, 6), 7};
  for (const Hardener& hardener : hardeners()) {
    const auto hard = harden_heads(hardener.name, heads, options);
    ASSERT_EQ(hard.size(), 6U);
    const std::string text = hard_pattern(hard, 3, "global:cls");
    const AttentionPlan plan(text, "all", "all", 2, 3);
    DensityMeter density;
    density.add(plan.build(sequence_view(first_samples(train, train.size())), 1, 0));
    double edges = 0;
    for (const HardHead& head : hard) edges += static_cast<double>(counts.edges(head.reach));
    const double most = edges / 6 / static_cast<double>(counts.pairs());
    EXPECT_LE(density.mean(), most + 1e-9) << hardener.name;
    if (hardener.name == "exact") {
      EXPECT_NEAR(density.mean(), 0.4, 0.002);
    } else if (hardener.name != "irregular") {
      EXPECT_NEAR(density.mean(), most, 1e-9) << hardener.name;
    } else {  // distributed as the gate says
      EXPECT_NEAR(density.mean(), heads.density, 0.01);
    }
  }
}

TEST(LearnDegrees, ThePictureHasAllHeads) {
  const TokenDataset train = TokenDataset::open(data().path() / "train");
  const DegreeShape shape{2, 3, {"degrees", 200, "head", "local"}};
  const auto learner = make_degree_learner(shape, DType::f64);
  const LearnedHeads heads = learned_heads(*learner, count_pairs(shape.config, train));
  const TemporaryFolder folder;
  const std::filesystem::path picture = folder.path() / "it's.svg";
  const std::vector<HardHead> hard(6, HardHead{"neighbour:3", 3});
  write_file(folder.path() / "plot.gp", plot_script(heads, hard, picture));
  if (!run_gnuplot(folder.path() / "plot.gp")) GTEST_SKIP() << "gnuplot is not installed";
  const std::string svg = read_file(picture);
  for (const char* part : {"<svg", ">0.0<", ">1.2<", "distance in tokens"}) {
    EXPECT_THAT(svg, HasSubstr(part));
  }
  write_file(folder.path() / "wrong.gp", "plot nothing\n");
  EXPECT_THAT(error_of([&] { run_gnuplot(folder.path() / "wrong.gp"); }),
              HasSubstr("run gnuplot on the file"));
}

TEST(LearnDegrees, WrongSettingsSaySo) {
  const TemporaryFolder folder;
  TrainConfig config = small_config();
  config.train.patience = 3;
  EXPECT_THAT(error_in(folder, config), HasSubstr("train.patience"));
  config = small_config();
  config.degrees.learner = "degree";
  EXPECT_THAT(error_in(folder, config), HasSubstr("did you mean \"degrees\"?"));
  config = small_config();
  config.degrees.harden = "water";
  EXPECT_THAT(error_in(folder, config), HasSubstr("water_filling"));
  config = small_config();
  config.attention.pattern = "causal";
  EXPECT_THAT(error_in(folder, config), HasSubstr("attention.pattern"));
  config = small_config();
  config.degrees.density = 0;
  EXPECT_THAT(error_in(folder, config), HasSubstr("target density of 0"));
  config = small_config();
  config.degrees.density = 0.02;  // [CLS] and the tokens themselves are more
  EXPECT_THAT(error_in(folder, config), HasSubstr("degrees.density"));
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "wrong" / "soft"));
  config = small_config();
  config.degrees.globals = "causal";
  EXPECT_THAT(error_of([&] { learn_degrees(config, folder / "globals", false); }),
              HasSubstr("degrees.globals"));
  config = small_config();
  config.model.init_head = true;
  EXPECT_THAT(error_in(folder, config), HasSubstr("model.init"));
  config = small_config();
  config.degrees.draws = true;
  config.degrees.learner = "free_offsets";
  EXPECT_THAT(error_in(folder, config), HasSubstr("no distribution to draw reaches from"));
}

// A model whose degrees are soft is no model for another attention.
TEST(LearnSchedule, IsOneOverAllStagesIfAsked) {
  const TemporaryFolder folder;
  TrainConfig config = small_config();
  config.train.steps = 20;
  config.degrees.irregular = 0.5;
  config.degrees.finetune = 0.5;
  config.degrees.finetune_lr = 1;
  config.degrees.one_schedule = true;
  std::vector<double> rates;
  LearnObserver observer;
  observer.train.step = [&](const Progress& progress) { rates.push_back(progress.learning_rate); };
  learn_degrees(config, folder.path(), false, observer);
  ASSERT_EQ(rates.size(), 40U);
  const Schedule whole{ScheduleKind::linear, 40, 4, 0, 0.1};
  for (size_t k = 0; k < rates.size(); ++k) {
    EXPECT_NEAR(rates[k], config.train.lr * whole.factor(static_cast<int64_t>(k)), 1e-12) << k;
  }
}

TEST(LearnDegrees, SoftModelsHaveNoOtherPattern) {
  const TemporaryFolder folder;
  TrainConfig config = small_config();
  config.train.steps = 2;
  config.degrees.learner = "degrees";
  train(config, folder / "soft", false);
  const LoadedModel soft = load_model(find_model(folder / "soft"));
  const TokenDataset dev = TokenDataset::open(config.data.dev);
  EXPECT_THAT(error_of([&] {
                attention_under(soft, "neighbour:2", "all", "all", &dev, [](const auto&) {});
              }),
              HasSubstr("not hardened"));
  EXPECT_NO_THROW(attention_under(soft, soft.info.pattern, "all", "all", &dev, [](const auto&) {}));
}

}  // namespace filigree
