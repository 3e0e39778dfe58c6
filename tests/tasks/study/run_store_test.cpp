// The run store: what is put in comes out, older files are brought up to date, others are refused.
#include "tasks/study/run_store.h"

#include <atomic>
#include <barrier>
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <thread>

#include "core/file.h"
#include "tasks/study/database.h"
#include "tests/error_text.h"
#include "tests/temporary_folder.h"

namespace filigree {

namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using ::testing::Pair;
using testing::TemporaryFolder;

RunRecord example(const std::string& id) {
  RunRecord run;
  run.id = id;
  run.command = "learn";
  run.pattern = "neighbour:2|global:cls";
  run.layers = "all";
  run.heads = "0-1";
  run.seed = 7;
  run.metric = "perplexity";
  run.higher_is_better = false;
  run.value = 12.25;
  run.density = 0.125;
  run.layer_density = {0.25, 1.0 / 3};
  run.tokens_per_second = 1e5;
  run.seconds = 3.5;
  run.best_step = 40;
  run.steps = 60;
  run.memory_peak = int64_t{1} << 40;
  run.version = "0.1";
  run.machine = "it's a machine";
  run.finished = "2026-01-31T12:00:00Z";
  run.details.config = "[train]\nsteps = 60\n";
  run.details.evaluations = {{20, 1.5, 0.5, 1}, {40, 1.25, 0.75, 0.5}};
  run.details.curve = {{1, 2.5}, {60, 0.1}};
  run.details.degrees = "{}";
  return run;
}

}  // namespace

TEST(RunStore, WhatIsPutInComesOut) {
  const TemporaryFolder folder;
  const std::string path = folder.path() / "runs.sqlite";
  {
    RunStore store(path);
    store.put(example("b"));
    store.put(example("a"));
    store.put(example("b"));  // again: still one
  }
  const RunStore store(path, true);
  const std::vector<RunRecord> all = store.all();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_TRUE(all[0].details.config.empty()) << "a summary";
  EXPECT_TRUE(store.contains("a"));
  EXPECT_FALSE(store.contains("c"));
  EXPECT_FALSE(store.find("c"));
  const RunRecord run = store.find("b").value(), expected = example("b");
  EXPECT_EQ(run.command, expected.command);
  EXPECT_EQ(run.pattern, expected.pattern);
  EXPECT_EQ(run.heads, expected.heads);
  EXPECT_EQ(run.seed, expected.seed);
  EXPECT_EQ(run.metric, expected.metric);
  EXPECT_FALSE(run.higher_is_better);
  EXPECT_EQ(run.value, expected.value);
  EXPECT_EQ(run.layer_density, expected.layer_density);
  EXPECT_EQ(run.seconds, expected.seconds);
  EXPECT_EQ(run.best_step, expected.best_step);
  EXPECT_EQ(run.memory_peak, expected.memory_peak);
  EXPECT_EQ(run.machine, expected.machine);
  EXPECT_EQ(run.finished, expected.finished);
  EXPECT_EQ(run.details.config, expected.details.config);
  ASSERT_EQ(run.details.evaluations.size(), 2U);
  EXPECT_EQ(run.details.evaluations[1].loss, 1.25);
  EXPECT_EQ(run.details.evaluations[1].density, 0.5);
  ASSERT_EQ(run.details.curve.size(), 2U);
  EXPECT_EQ(run.details.curve[0].loss, 2.5);
  EXPECT_EQ(run.details.degrees, "{}");
}

TEST(RunStore, ALossThatIsNotFiniteIsKept) {
  const TemporaryFolder folder;
  RunStore store(folder.path() / "runs.sqlite");
  RunRecord run = example("a");
  run.value = std::nan("");
  run.details.evaluations[0].loss = std::nan("");
  run.details.curve[0].loss = INFINITY;
  store.put(run);
  const RunRecord found = store.find("a").value();
  EXPECT_TRUE(std::isnan(found.value));
  EXPECT_TRUE(std::isnan(found.details.evaluations[0].loss));
  EXPECT_TRUE(std::isnan(found.details.curve[0].loss));
}

TEST(RunStore, AStudyAndItsFailures) {
  const TemporaryFolder folder;
  RunStore store(folder.path() / "runs.sqlite");
  EXPECT_FALSE(store.study());
  for (const char* question : {"first?", "second?"}) {
    store.put_study({question,
                     {"mask", "seedless"},
                     {{"a", "b"}, {"x,\"y\""}},
                     "mask=a",
                     {{"id1", {"a", "x,\"y\""}, 1}, {"id2", {"b", "x,\"y\""}, 1}},
                     {{"P1", "mask=b > mask=a"}}});
  }
  const StudyRecord study = store.study().value();
  EXPECT_EQ(study.question, "second?");
  EXPECT_EQ(study.baseline, "mask=a");
  EXPECT_THAT(study.claims, ElementsAre(Pair("P1", "mask=b > mask=a")));
  EXPECT_THAT(study.axes, ElementsAre("mask", "seedless"));
  EXPECT_THAT(study.levels[1], ElementsAre("x,\"y\""));
  ASSERT_EQ(study.runs.size(), 2U);
  EXPECT_EQ(study.runs[1].id, "id2");
  EXPECT_THAT(study.runs[1].levels, ElementsAre("b", "x,\"y\""));

  store.put_failure("id1", "NaN");
  EXPECT_EQ(store.failure("id1").value(), "NaN");
  store.put(example("id1"));
  EXPECT_FALSE(store.failure("id1")) << "it was made after all";
  store.put_failure("id2", "NaN");
  store.forget_failures();
  EXPECT_FALSE(store.failure("id2"));
}

TEST(RunStore, AnOlderStoreIsBroughtUpToDate) {
  const TemporaryFolder folder;
  const std::string path = folder.path() / "runs.sqlite";
  Database(path, false)
      .execute(
          "CREATE TABLE runs (id TEXT PRIMARY KEY, pattern TEXT, layers TEXT, heads TEXT, seed "
          "INTEGER,"
          " metric TEXT, value REAL, density REAL, tokens_per_second REAL, seconds REAL, best_step "
          "INTEGER, steps INTEGER, config TEXT);"
          "INSERT INTO runs VALUES ('old', 'dense', 'all', 'all', 3, 'accuracy', 0.5, 1, 100, 2, "
          "10, "
          "20, 'its settings')");
  for (int again = 0; again < 2; ++again) {
    RunStore store(path);
    const RunRecord run = store.find("old").value();
    EXPECT_EQ(run.pattern, "dense");
    EXPECT_EQ(run.value, 0.5);
    EXPECT_EQ(run.command, "train");
    EXPECT_TRUE(run.higher_is_better);
    EXPECT_EQ(run.details.config, "its settings");
    EXPECT_TRUE(run.details.curve.empty());
  }
}

TEST(RunStore, WhatIsNoRunStoreIsRefusedAndStays) {
  const TemporaryFolder folder;
  const std::string newer = folder.path() / "newer", other = folder.path() / "other";
  { RunStore store(newer); }
  Database(newer, false).execute("PRAGMA user_version = 99");
  EXPECT_THAT(error_of([&] { RunStore store(newer); }),
              AllOf(HasSubstr("version 99"), HasSubstr("newer Filigree")));
  const std::string text(2000, 'x');
  write_file(other, text);
  EXPECT_THAT(error_of([&] { RunStore store(other); }), HasSubstr("damaged or something else"));
  EXPECT_EQ(read_file(other), text);
  EXPECT_THAT(error_of([&] { RunStore store(folder.path() / "none", true); }),
              HasSubstr("check that the folder is there"));
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "none"));
}

TEST(RunStore, OneThatStaysLockedIsNamed) {
  const TemporaryFolder folder;
  const std::string path = folder.path() / "runs.sqlite";
  Database first(path, false);
  first.execute("CREATE TABLE t (x)");
  Database second(path, true, 10);
  first.execute("BEGIN EXCLUSIVE");
  EXPECT_THAT(error_of([&] { second.transaction([] {}); }),
              AllOf(HasSubstr("database is locked"), HasSubstr("another process holds it")));
  first.execute("ROLLBACK");
  second.transaction([&] { second.execute("INSERT INTO t VALUES (1)"); });
}

// Changing a new file's journal needs it whole: SQLite lets the others fail instead of wait.
TEST(RunStore, ManyMakeItAtOnce) {
  const TemporaryFolder folder;
  for (int round = 0; round < 40; ++round) {
    const std::string path = folder.path() / ("runs" + std::to_string(round) + ".sqlite");
    std::atomic<int> failed = 0;
    std::barrier together(4);
    std::vector<std::thread> openers;
    for (int k = 0; k < 4; ++k) {
      openers.emplace_back([&] {
        together.arrive_and_wait();
        try {
          const RunStore store(path);
        } catch (const FileError&) {
          ++failed;
        }
      });
    }
    for (std::thread& opener : openers) opener.join();
    ASSERT_EQ(failed, 0) << "round " << round;
  }
}

TEST(RunStore, ManyWriteAtOnce) {
  const TemporaryFolder folder;
  const std::string path = folder.path() / "runs.sqlite";
  constexpr int kWriters = 4, kRuns = 25;
  std::vector<std::thread> writers;
  for (int w = 0; w < kWriters; ++w) {
    writers.emplace_back([&, w] {
      RunStore store(path);  // they make it together, too
      for (int r = 0; r < kRuns; ++r) {
        store.put(example(std::to_string(w) + "-" + std::to_string(r)));
        store.put(example("shared"));
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(RunStore(path).all().size(), kWriters * kRuns + 1U);
}

}  // namespace filigree
