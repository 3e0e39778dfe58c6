// Checkpoints: which are kept, which is loaded.
#include "tasks/training/checkpoint.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "tests/temporary_folder.h"

namespace filigree {

namespace {

using ::testing::ElementsAre;
using testing::TemporaryFolder;

/// Saves and loads states; weights are beside the point.
struct Store {
  explicit Store(int64_t keep) : store(folder.path(), keep, "settings") {}

  void save(int64_t step) const {
    TrainState state;
    state.step = step;
    store.save(state, {}, {}, {});
  }
  int64_t latest(int expected_warnings = 0) const {
    int warnings = 0;
    const auto loaded = store.load_latest([&](const std::string&) { ++warnings; });
    EXPECT_EQ(warnings, expected_warnings);
    return loaded ? loaded->state.step : -1;
  }
  void damage(const std::string& name) const {
    write_file(folder.path() / name / "manifest.json", "{");
  }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
      names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  TemporaryFolder folder;
  CheckpointStore store;
};

}  // namespace

TEST(Checkpoints, TheNewestAreKept) {
  const Store store(2);
  EXPECT_EQ(store.latest(), -1);
  for (const int64_t step : {10, 20, 30}) store.save(step);
  EXPECT_THAT(store.names(), ElementsAre("step-00000020", "step-00000030"));
  EXPECT_EQ(store.latest(), 30);
}

TEST(Checkpoints, ADamagedOneDoesNotPushOutWhatTheRunGoesOnFrom) {
  const Store store(1);
  store.save(30);
  store.save(20);  // as if the run had gone back behind step 30
  EXPECT_EQ(store.latest(), 20);
  const Store two(2);
  two.save(20);
  two.save(30);
  two.damage("step-00000030");
  EXPECT_EQ(two.latest(1), 20);
  two.save(25);
  EXPECT_THAT(two.names(), ElementsAre("step-00000020", "step-00000025"));
  EXPECT_EQ(two.latest(), 25);
}

TEST(Checkpoints, WhenAllAreDamagedItIsAnError) {
  const Store store(2);
  store.save(10);
  store.damage("step-00000010");
  EXPECT_THROW(store.store.load_latest([](const std::string&) {}), CheckpointError);
}

TEST(Checkpoints, OtherSettingsAreRefused) {
  const Store store(2);
  store.save(10);
  const CheckpointStore other(store.folder.path(), 2, "other settings");
  EXPECT_THROW(other.load_latest([](const std::string&) {}), ConfigError);
}

TEST(Checkpoints, OneThatWasNeverFinishedIsNone) {
  const Store store(2);
  std::filesystem::create_directories(store.folder.path() / "step-00000005");
  EXPECT_EQ(store.latest(1), -1);  // the run begins anew
  store.save(10);
  std::filesystem::create_directories(store.folder.path() / "step-00000020");
  EXPECT_EQ(store.latest(1), 10);
}

TEST(Checkpoints, ABestMetricThatIsNoNumberSurvives) {
  const Store store(2);
  TrainState state;
  state.step = 3;
  state.best_metric = std::nan("");
  store.store.save(state, {}, {}, {});
  const auto loaded = store.store.load_latest([](const std::string&) {});
  ASSERT_TRUE(loaded);
  EXPECT_TRUE(std::isnan(loaded->state.best_metric));
}

TEST(Checkpoints, AnInfiniteBestMetricSurvives) {
  for (const double best :
       {std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()}) {
    const Store store(2);
    TrainState state;
    state.step = 3;
    state.best_metric = best;
    store.store.save(state, {}, {}, {});
    const auto loaded = store.store.load_latest([](const std::string&) {});
    ASSERT_TRUE(loaded);
    EXPECT_EQ(loaded->state.best_metric, best);
  }
}

TEST(Checkpoints, StepsSkippedInARowAreKeptAndEarlyManifestsHaveNone) {
  const Store store(2);
  TrainState state;
  state.step = 3;
  state.skipped_in_a_row = 99;
  store.store.save(state, {}, {}, {});
  const auto latest = [&] {
    return store.store.load_latest([](const std::string&) {}).value().state.skipped_in_a_row;
  };
  EXPECT_EQ(latest(), 99);
  const auto path = store.folder.path() / "step-00000003" / "manifest.json";
  auto manifest = nlohmann::json::parse(read_file(path));
  ASSERT_EQ(manifest["state"].erase("skipped_in_a_row"), 1U);
  write_file(path, manifest.dump());
  EXPECT_EQ(latest(), 0);
}

}  // namespace filigree
