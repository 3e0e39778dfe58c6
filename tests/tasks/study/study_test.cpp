// Studies: the plan of runs, and that each is made once, whatever happens.
#include "tasks/study/study.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

#include "core/file.h"
#include "core/file_lock.h"
#include "tests/error_text.h"
#include "tests/tasks/language_data.h"
#include "tests/temporary_folder.h"

namespace filigree {

namespace {

namespace fs = std::filesystem;

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::TemporaryFolder;

/// Datasets of the labelling "global", made once.
const TemporaryFolder& data() {
  static const TemporaryFolder folder;
  static const bool made = [] {
    testing::prepare_language(folder, Labelling::global, 200, 50);
    return true;
  }();
  (void)made;
  return folder;
}

/// Two axes, two seeds, a few short steps.
Study small_study() {
  Study study;
  study.axes = {
      {"mask", {{"dense", {}}, {"near", {{"attention.pattern", "neighbour:1|global:cls"}}}}},
      {"layers",
       {{"all", {{"attention.layers", "all"}}}, {"last:1", {{"attention.layers", "last:1"}}}}}};
  study.seeds = {1, 2};
  study.settings = {{"data.train", (data().path() / "train").string()},
                    {"data.dev", (data().path() / "dev").string()},
                    {"model.width", "16"},
                    {"model.heads", "2"},
                    {"train.batch_tokens", "256"},
                    {"train.steps", "3"},
                    {"train.save_every", "1"}};
  study.excludes = {{{"mask", {"dense"}, false}, {"layers", {"all"}, true}}};
  return study;
}

/// Learned degrees and all null models of them.
Study learned_study() {
  Study study = small_study();
  study.excludes.clear();
  study.seeds = {1};
  study.settings.insert(
      study.settings.end(),
      {{"train.steps", "10"}, {"degrees.density", "{density}"}, {"degrees.globals", "global:cls"}});
  study.axes = {{"density", {{"0.4", {}}}}, {"method", {{"learned", {{"run.command", "learn"}}}}}};
  for (const char* kind : {"permuted", "even", "shuffled", "rewired"}) {
    study.axes[1].levels.push_back({kind, {{"run.command", kind}, {"run.from", "method=learned"}}});
  }
  return study;
}

std::vector<RunRecord> run_all(const Study& study, const fs::path& folder,
                               const StudyObserver& observer = {}) {
  const std::vector<PlannedRun> plan = plan_runs(study);
  start_study(study, plan, folder);
  run_study(study, plan, folder, "test", observer);
  return RunStore(store_path(folder)).all();
}

/// The value of every run by its id.
std::map<std::string, double> values(const std::vector<RunRecord>& runs) {
  std::map<std::string, double> all;
  for (const RunRecord& run : runs) all[run.id] = run.value;
  return all;
}

std::string plan_error(const std::function<void(Study&)>& spoil) {
  Study study = small_study();
  spoil(study);
  return error_of([&] { plan_runs(study); });
}

}  // namespace

TEST(StudyPlan, EveryCombinationThatIsNotExcludedWithEverySeed) {
  const std::vector<PlannedRun> plan = plan_runs(small_study());
  ASSERT_EQ(plan.size(), 6U);
  EXPECT_THAT(plan[0].levels, ElementsAre("dense", "all"));
  EXPECT_EQ(plan[1].seed, 2U);
  EXPECT_THAT(plan[5].levels, ElementsAre("near", "last:1"));
  EXPECT_EQ(plan[5].config.attention.layers, "last:1");
  std::set<std::string> ids;
  for (const PlannedRun& run : plan) ids.insert(run.id);
  EXPECT_EQ(ids.size(), 6U);
}

TEST(StudyPlan, NamesInBracesAreReplacedAndWordsWin) {
  Study study = small_study();
  study.defines = {{"k", "2"}};
  study.axes[0].levels[1].settings = {{"attention.pattern", "neighbour:{k}"},
                                      {"train.lr", "0.{k}"}};
  const std::vector<std::string> words{"--train.steps", "7", "--model.width=32"};
  const std::vector<PlannedRun> plan = plan_runs(study, words);
  EXPECT_EQ(plan.back().config.attention.pattern, "neighbour:2");
  EXPECT_EQ(plan.back().config.train.lr, 0.2);
  EXPECT_EQ(plan.back().config.train.steps, 7);
  EXPECT_EQ(plan.back().config.model.width, 32);
  EXPECT_THAT(error_of([&] { plan_runs(study, std::vector<std::string>{"--train.lr=1"}); }),
              HasSubstr("--train.lr is what the axis mask sets"));
}

TEST(StudyPlan, MistakesAreFoundBeforeTheFirstRun) {
  EXPECT_THAT(plan_error([](Study& s) { s.axes[0].levels[1].settings[0].second = "neighbor:1"; }),
              AllOf(HasSubstr("mask=near layers=all seed=1"), HasSubstr("neighbour")));
  EXPECT_THAT(plan_error([](Study& s) {
                s.settings.push_back({"train.stepz", "1"});
              }),
              HasSubstr("did you mean \"train.steps\"?"));
  EXPECT_THAT(plan_error([](Study& s) {
                s.settings.push_back({"train.lr", "{rate}"});
              }),
              HasSubstr("nothing is named {rate}"));
  EXPECT_THAT(plan_error([](Study& s) {
                s.settings.push_back({"train.lr", "{rate"});
              }),
              HasSubstr("without its }"));
  EXPECT_THAT(plan_error([](Study& s) {
                s.excludes = {{{"mask", {}, true}}};
              }),
              HasSubstr("every combination is excluded"));
  EXPECT_THAT(plan_error([](Study& s) {
                s.settings.push_back({"run.command", "lern"});
              }),
              HasSubstr("did you mean \"learn\"?"));
  EXPECT_THAT(plan_error([](Study& s) {
                s.settings.push_back({"run.command", "permuted"});
              }),
              HasSubstr("null model of another run"));
  EXPECT_THAT(plan_error([](Study& s) {
                s.settings.push_back({"run.from", "mask=dense"});
              }),
              HasSubstr("comes from no other run"));
  EXPECT_THAT(
      plan_error([](Study& s) {
        s.axes[0].levels[1].settings = {{"run.command", "even"}, {"run.from", "mask=dense"}};
      }),
      HasSubstr("no learned run at mask=dense"));
  EXPECT_THAT(plan_error([](Study& s) { s.settings[0].second = "/not/there"; }),
              HasSubstr("/not/there"));
}

TEST(StudyRun, WhatIsDoneIsNeverDoneAgain) {
  const TemporaryFolder folder;
  int begun = 0;
  StudyObserver observer;
  observer.begin = [&](size_t, const PlannedRun&) { ++begun; };
  const auto first = run_all(small_study(), folder.path() / "study", observer);
  EXPECT_EQ(begun, 6);
  Study wider = small_study();
  wider.seeds = {3, 1, 2};
  const auto second = run_all(wider, folder.path() / "study", observer);
  EXPECT_EQ(begun, 9) << "the new seed alone";
  ASSERT_EQ(second.size(), 9U);
  for (const auto& [id, value] : values(first)) EXPECT_EQ(values(second).at(id), value);
  const RunRecord run = RunStore(store_path(folder.path() / "study")).find(first[5].id).value();
  EXPECT_EQ(run.version, "test");
  EXPECT_EQ(run.metric, "accuracy");
  EXPECT_FALSE(run.machine.empty());
  EXPECT_EQ(run.details.evaluations.size(), 2U);
  ASSERT_EQ(run.details.curve.size(), 1U);
  ASSERT_EQ(run.layer_density.size(), 2U);
  EXPECT_EQ(run.layer_density[0], 1);
  EXPECT_LT(run.layer_density[1], 0.6);
  EXPECT_NEAR(run.density, (1 + run.layer_density[1]) / 2, 1e-12);
  const fs::path kept = run_folder(folder.path() / "study", run.id);
  EXPECT_TRUE(fs::exists(kept / "best" / "model.safetensors"));
  EXPECT_FALSE(fs::exists(kept / "checkpoints")) << "Keep::best";
}

TEST(StudyRun, KeepsTheSolvedPattern) {
  const TemporaryFolder folder;
  Study study = small_study();
  study.seeds = {1};
  study.axes.pop_back();
  study.excludes.clear();
  study.axes[0].levels = {
      {"near", {{"attention.pattern", "neighbour:?|global:cls match:density=0.4"}}},
      {"random", {{"attention.pattern", "random:? match:density=0.4"}}}};
  study.settings[1].second = study.settings[0].second;  // the split that it is solved on
  for (const RunRecord& run : run_all(study, folder.path())) {
    EXPECT_THAT(run.pattern, Not(HasSubstr("match")));
    EXPECT_NEAR(run.density, 0.4, 0.002);
    const std::string config = RunStore(store_path(folder.path())).find(run.id)->details.config;
    EXPECT_THAT(config, HasSubstr("pattern = " + run.pattern));
  }
}

TEST(StudyRun, EqualSettingsAreOneRun) {
  const TemporaryFolder folder;
  Study study = small_study();
  study.excludes.clear();
  study.axes[0].levels[0].settings = {{"attention.pattern", "dense"}};
  study.axes[1].levels = {{"a", {}}, {"b", {}}};
  EXPECT_EQ(plan_runs(study).size(), 8U);
  EXPECT_EQ(run_all(study, folder.path() / "study").size(), 4U);
}

TEST(StudyRun, AnInterruptedStudyGoesOnToTheSameResults) {
  const TemporaryFolder folder;
  Study study = small_study();
  for (Setting& setting : study.settings) {
    if (setting.first == "train.steps") setting.second = "5";
  }
  const auto expected = values(run_all(study, folder.path() / "whole"));
  const std::vector<PlannedRun> plan = plan_runs(study);
  start_study(study, plan, folder.path() / "cut");
  StudyObserver observer;
  int starts = 0;
  for (StudyState state{0, 0, 1}; state.left > 0; ++starts) {
    auto left = std::make_shared<int>(4);
    observer.train.stop = [left] { return --*left <= 0; };
    state = run_study(study, plan, folder.path() / "cut", "test", observer);
    EXPECT_EQ(state.stopped, state.left > 0);
  }
  EXPECT_GT(starts, 5);
  EXPECT_EQ(values(RunStore(store_path(folder.path() / "cut")).all()), expected);
}

TEST(StudyRun, ARunThatFailsIsNotedAndTheOthersGoOn) {
  const TemporaryFolder folder;
  Study study = small_study();
  study.axes[0].levels[1].settings.emplace_back("model.init_std", "1e30");
  std::vector<std::string> errors;
  StudyObserver observer;
  observer.failed = [&](const PlannedRun&, const std::string& error) { errors.push_back(error); };
  EXPECT_EQ(run_all(study, folder.path(), observer).size(), 2U);
  ASSERT_EQ(errors.size(), 4U);
  EXPECT_THAT(errors[0], HasSubstr("NaN or Inf"));
  const StudyState state = study_state(plan_runs(study), RunStore(store_path(folder.path())));
  EXPECT_EQ(state.done, 2U);
  EXPECT_EQ(state.failed, 4U);
  EXPECT_EQ(state.left, 0U);
}

TEST(StudyRun, NullModelsGoOnFromWhatWasLearned) {
  const TemporaryFolder folder;
  const Study study = learned_study();
  const std::vector<PlannedRun> plan = plan_runs(study);
  ASSERT_EQ(plan.size(), 5U);
  EXPECT_EQ(plan[1].source, 0U);
  const auto runs = run_all(study, folder.path());
  ASSERT_EQ(runs.size(), 5U);
  const RunStore store(store_path(folder.path()));
  const RunRecord learned = store.find(plan[0].id).value();
  EXPECT_EQ(learned.command, "learn");
  EXPECT_THAT(learned.details.degrees, HasSubstr("\"heads\""));
  EXPECT_EQ(learned.steps, 14) << "soft and finetuning";
  for (size_t k : {1, 2, 3, 4}) {
    const RunRecord null = store.find(plan[k].id).value();
    EXPECT_EQ(null.command, plan[k].kind->name);
    EXPECT_EQ(null.steps, learned.steps);
    EXPECT_NEAR(null.density, learned.density, 0.01) << null.pattern;
    EXPECT_THAT(null.details.config, HasSubstr("steps = 4"));
  }
  EXPECT_THAT(store.find(plan[2].id)->pattern, AllOf(HasSubstr("neighbour:"), HasSubstr("global")));
  EXPECT_THAT(store.find(plan[3].id)->pattern, HasSubstr("shuffled(neighbour:"));
  EXPECT_THAT(store.find(plan[4].id)->pattern, HasSubstr("rewired(neighbour:"));
}

TEST(StudyRun, ANullModelMayStandBeforeWhatItIsOf) {
  const TemporaryFolder folder;
  Study study = learned_study();
  auto& levels = study.axes[1].levels;
  std::swap(levels[0], levels[1]);
  levels.resize(2);
  const std::vector<PlannedRun> plan = plan_runs(study);
  EXPECT_EQ(plan[0].source, 1U);
  start_study(study, plan, folder.path());
  // While the null model waits, another process has the learned run, and ends it.
  const fs::path busy = run_folder(folder.path(), plan[1].id);
  fs::create_directories(busy);
  auto claim = std::make_unique<FileLock>(busy / "claim");
  ASSERT_TRUE(claim->try_lock());
  StudyObserver observer;
  observer.waiting = [&](const PlannedRun&) {
    bool stopped = false;
    RunStore store(store_path(folder.path()));
    RunRecord record = plan[1].kind->run({plan[1].config, busy}, stopped);
    record.id = plan[1].id;
    store.put(record);
    claim.reset();
  };
  EXPECT_EQ(run_study(study, plan, folder.path(), "test", observer).done, 2U);
}

TEST(StudyRun, OfAFailedRunThereIsNoNullModel) {
  const TemporaryFolder folder;
  Study study = learned_study();
  study.settings.insert(study.settings.end(), {{"model.init_std", "1e30"}});
  EXPECT_TRUE(run_all(study, folder.path()).empty());
  const std::vector<PlannedRun> plan = plan_runs(study);
  const RunStore store(store_path(folder.path()));
  EXPECT_EQ(study_state(plan, store).failed, 5U);
  EXPECT_THAT(store.failure(plan[2].id).value(), HasSubstr("comes from failed"));
}

TEST(StudyRun, WhatAnotherProcessMakesIsWaitedFor) {
  const TemporaryFolder folder;
  Study study = small_study();
  study.seeds = {1};
  const std::vector<PlannedRun> plan = plan_runs(study);
  start_study(study, plan, folder.path());
  const fs::path busy = run_folder(folder.path(), plan[1].id);
  fs::create_directories(busy);
  auto claim = std::make_unique<FileLock>(busy / "claim");
  ASSERT_TRUE(claim->try_lock());
  std::vector<std::string> order;
  StudyObserver observer;
  observer.begin = [&](size_t, const PlannedRun& run) { order.push_back(run.id); };
  observer.waiting = [&](const PlannedRun& run) {
    order.push_back("waiting for " + run.id);
    claim.reset();  // the other process was killed
  };
  const StudyState state = run_study(study, plan, folder.path(), "test", observer);
  EXPECT_EQ(state.done, 3U);
  EXPECT_THAT(order, ElementsAre(plan[0].id, plan[2].id, "waiting for " + plan[1].id, plan[1].id));
}

TEST(StudyRun, ASpentBudgetBeginsNoRun) {
  const TemporaryFolder folder;
  Study study = small_study();
  study.budget = 1e-9;
  const std::vector<PlannedRun> plan = plan_runs(study);
  start_study(study, plan, folder.path());
  const StudyState state = run_study(study, plan, folder.path(), "test");
  EXPECT_TRUE(state.out_of_budget);
  EXPECT_EQ(state.left, 6U);
}

TEST(StudyEstimate, ComesFromTheRunsOnceThereAreSome) {
  const TemporaryFolder folder;
  const Study study = small_study();
  const std::vector<PlannedRun> plan = plan_runs(study);
  const StudyEstimate guess = estimate(plan, nullptr, 1);
  EXPECT_FALSE(guess.measured);
  EXPECT_GT(guess.seconds, 0);
  EXPECT_GT(guess.bytes, 0);
  start_study(study, plan, folder.path());
  RunStore store(store_path(folder.path()));
  RunRecord done;
  done.id = plan[0].id;
  done.seconds = 10;
  store.put(done);
  const StudyEstimate measured = estimate(plan, &store, 1);
  EXPECT_TRUE(measured.measured);
  EXPECT_NEAR(measured.seconds, 50, 1e-6) << "five more of the same size";
  EXPECT_NEAR(estimate(plan, &store, 2).seconds, 25, 1e-6);
}

}  // namespace filigree
