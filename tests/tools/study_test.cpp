// Studies through the command: a file, several processes, and kills at any moment.
#include <chrono>
#include <csignal>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <random>

#include "core/file.h"
#include "tasks/study/run_store.h"
#include "tests/tools/command_runner.h"

namespace filigree {

namespace {

using namespace testing;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

namespace fs = std::filesystem;

constexpr const char* kStudy = R"(
[study]
question = Which mask?
seeds = 1, 2
baseline = mask=dense
exclude = mask=dense layers!=all
[axes]
mask = dense, near, {more}
attention.layers = all, last:1
[mask.near]
attention.pattern = neighbour:1|global:cls
[mask.block]
attention.pattern = block:4
[data]
train = {data}/train
dev = {data}/dev
[model]
width = 16
heads = 2
[train]
steps = 12
save_every = 1
batch_tokens = 256
threads = 1
)";

/// Writes the study file; {more} in its axis is replaced.
std::string study_file(const TemporaryFolder& folder, const std::string& more = "block") {
  std::string text = kStudy;
  text.replace(text.find("{more}"), 6, more);
  write_file(folder.path() / "study.ini", text);
  return folder / "study.ini";
}

std::vector<std::string> ablate(const std::string& file, const std::string& out,
                                const std::vector<std::string>& more = {}) {
  std::vector<std::string> words{"ablate", file,       "--out",
                                 out,      "--define", "data=" + local_data().path().string()};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

/// Everything about every run that must not depend on how it came about.
std::map<std::string, std::string> results(const fs::path& folder) {
  const RunStore store(folder / "runs.sqlite", true);
  std::map<std::string, std::string> all;
  for (const RunRecord& summary : store.all()) {
    const RunRecord run = store.find(summary.id).value();
    std::string text = run.pattern + " " + run.layers + " " + std::to_string(run.seed);
    for (const double value : {run.value, run.density}) text += " " + std::to_string(value);
    for (const EvaluationRecord& each : run.details.evaluations) {
      text += " " + std::to_string(each.step) + ":" + std::to_string(each.loss);
    }
    all[run.id] = text + read_file(folder / "runs" / run.id / "best" / "model.safetensors");
  }
  return all;
}

/// Kills a process and the processes that it started, all at once.
void kill_all(pid_t process) {
  const std::string task = "/proc/" + std::to_string(process);
  std::ifstream list(task + "/task/" + std::to_string(process) + "/children");
  std::vector<pid_t> all{process};
  for (pid_t child = 0; list >> child;) all.push_back(child);
  for (const pid_t each : all) kill(each, SIGKILL);
}

}  // namespace

TEST(StudyCommand, KilledTwentyTimesItEndsAsIfUndisturbed) {
  const TemporaryFolder folder;
  const std::string file = study_file(folder);
  const auto begun = std::chrono::steady_clock::now();
  const CommandResult whole = run_command(ablate(file, folder / "whole", {"--workers", "2"}));
  ASSERT_EQ(whole.status, 0) << whole.output;
  const std::chrono::duration<double, std::milli> spent = std::chrono::steady_clock::now() - begun;
  const auto expected = results(folder.path() / "whole");
  ASSERT_EQ(expected.size(), 10U);

  std::random_device seed;  // other moments every time: none may matter
  std::mt19937 random(seed());
  std::uniform_real_distribution<> moment(0, spent.count() / 8);
  const auto words = ablate(file, folder / "cut", {"--workers", "2"});
  int killed = 0;
  for (int k = 0; k < 20; ++k) {
    const pid_t process = start_command(words, folder.path() / "output");
    poll(nullptr, 0, static_cast<int>(moment(random)));  // the moment: nothing is waited for
    kill_all(process);
    killed += wait_for(process) == 128 + SIGKILL ? 1 : 0;
  }
  EXPECT_GT(killed, 0);
  const CommandResult last = run_command(words);
  EXPECT_EQ(last.status, 0) << last.output;
  EXPECT_EQ(results(folder.path() / "cut"), expected);
}

TEST(StudyCommand, TheSameCommandTwiceSharesTheRuns) {
  const TemporaryFolder folder;
  const std::string file = study_file(folder);
  const auto words = ablate(file, folder / "study");
  const pid_t first = start_command(words, folder.path() / "first");
  const CommandResult second = run_command(words);
  EXPECT_EQ(wait_for(first), 0) << read_file(folder.path() / "first");
  EXPECT_EQ(second.status, 0) << second.output;
  const std::string both = read_file(folder.path() / "first") + second.output;
  size_t begun = 0;
  for (size_t at = both.find("run "); at != std::string::npos; at = both.find("run ", at + 1)) {
    begun += both.compare(at > 0 ? at - 1 : 0, 1, "\n") == 0 || at == 0 ? 1 : 0;
  }
  EXPECT_EQ(begun, 10U) << both;
  EXPECT_EQ(results(folder.path() / "study").size(), 10U);
  EXPECT_THAT(second.output, HasSubstr("difference from mask=dense"));
}

TEST(StudyCommand, ThePlanAloneMakesNothing) {
  const TemporaryFolder folder;
  const CommandResult plan =
      run_command(ablate(study_file(folder), folder / "study", {"--plan", "--seeds", "5"}));
  EXPECT_EQ(plan.status, 0);
  EXPECT_THAT(plan.output, AllOf(HasSubstr("5 runs, 0 done before, 5 to do: about"),
                                 HasSubstr("block, last:1, seed 5")));
  EXPECT_FALSE(fs::exists(folder.path() / "study"));
}

TEST(StudyCommand, AGridWithoutAFileRunsDenseOnce) {
  const TemporaryFolder folder;
  std::vector<std::string> words =
      short_run(folder / "study", {"--pattern", "neighbour:1", "--pattern", "dense", "--placement",
                                   "last:1", "--placement", "all"});
  words[0] = "ablate";
  const CommandResult result = run_command(words);
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("3 runs, 0 done before"));
  EXPECT_EQ(RunStore(folder.path() / "study/runs.sqlite", true).all().size(), 3U);
}

TEST(StudyCommand, MistakesAreRefusedBeforeTheFirstRun) {
  const TemporaryFolder folder;
  const std::string out = folder / "study";
  const auto refused = [&](const std::vector<std::string>& words, const std::string& reason) {
    const CommandResult result = run_command(words);
    EXPECT_EQ(result.status, 2) << result.output;
    EXPECT_THAT(result.output, HasSubstr(reason));
    EXPECT_FALSE(fs::exists(out));
  };
  const std::string file = study_file(folder);
  refused(ablate(study_file(folder, "blok"), out), "did you mean [mask.blok]?");
  refused(ablate(study_file(folder, "block, none"), out, {"--train.lr", "-1"}), "train.lr");
  study_file(folder);
  refused(ablate(file, out, {"--workers", "0"}), "at least 1");
  refused(ablate(file, out, {"--workers", "-1"}), "workers");
  refused(ablate(file, out, {"--budget", "soon"}), "for example 90s");
  refused(ablate(file, out, {"--pattern", "dense"}), "are for studies without a file");
  refused(ablate(file, out, {"--define", "data"}), "name=value");
  refused(ablate(file, out, {"more"}), "a word stands behind no option");
  refused({"ablate", file, "--out", out}, "nothing is named {data}");
  const CommandResult absent = run_command({"ablate", folder / "none.ini", "--out", out});
  EXPECT_EQ(absent.status, 1);
  EXPECT_THAT(absent.output, HasSubstr("none.ini"));
}

TEST(StudyCommand, ItsRunsAreListedAndReported) {
  const TemporaryFolder folder;
  const std::string out = folder / "study";
  const CommandResult made = run_command(ablate(study_file(folder), out, {"--seeds", "1"}));
  ASSERT_EQ(made.status, 0) << made.output;
  const auto runs = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"runs", out});
    return run_command(more);
  };
  EXPECT_THAT(runs({}).output, AllOf(HasSubstr("5 runs"), HasSubstr("near, last:1")));
  EXPECT_THAT(runs({"--where", "mask=near", "--where", "layers!=all"}).output,
              AllOf(HasSubstr("1 runs"), HasSubstr("near, last:1")));
  EXPECT_THAT(runs({"--csv"}).output, HasSubstr("id,command,mask,layers,seed,metric,value"));
  const auto json = nlohmann::json::parse(runs({"--json", "--where", "mask=block"}).output);
  ASSERT_EQ(json.size(), 2U);
  EXPECT_EQ(json[0]["levels"]["mask"], "block");
  EXPECT_THAT(runs({"--run", json[0]["id"]}).output, HasSubstr("pattern = block:4"));
  const CommandResult other = runs({"--where", "size=1"});
  EXPECT_EQ(other.status, 2);
  EXPECT_THAT(other.output, HasSubstr("they have: mask, layers"));
  EXPECT_EQ(runs({"--csv", "--json"}).status, 2);
  EXPECT_EQ(runs({"--run", "none"}).status, 2);

  const CommandResult report = run_command({"report", out, "--out", folder / "page.html"});
  EXPECT_EQ(report.status, 0) << report.output;
  const std::string page = read_file(folder.path() / "page.html");
  EXPECT_THAT(page, AllOf(HasSubstr("5, all done"), HasSubstr("<section id=\"graphs\">"),
                          HasSubstr("attention weights")));
  fs::remove_all(folder.path() / "study/runs");  // the store alone has all but the models
  EXPECT_EQ(run_command({"report", out}).status, 0);
  EXPECT_THAT(read_file(fs::path(out) / "report.html"),
              AllOf(HasSubstr("5, all done"), Not(HasSubstr("<section id=\"graphs\">"))));
  for (const char* command : {"report", "runs"}) {
    EXPECT_EQ(run_command({command}).status, 2);
    const CommandResult none = run_command({command, folder / "none"});
    EXPECT_EQ(none.status, 1);
    EXPECT_THAT(none.output, HasSubstr("check that the folder is there"));
  }
}

TEST(StudyCommand, AFullDiskLosesNothing) {
  const TemporaryFolder folder;
  const auto words = ablate(study_file(folder), folder / "study");
  const CommandResult full = run_command(words, 60'000);  // the models are larger
  EXPECT_EQ(full.status, 1) << full.output;
  EXPECT_THAT(full.output, HasSubstr("error: "));
  const CommandResult again = run_command(words);
  EXPECT_EQ(again.status, 0) << again.output;
  EXPECT_EQ(results(folder.path() / "study").size(), 10U);
}

TEST(StudyCommand, AFailedRunIsToldAndTriedAgain) {
  const TemporaryFolder folder;
  const auto words =
      ablate(study_file(folder), folder / "study", {"--model.init_std", "1e30", "--workers", "2"});
  for (int again = 0; again < 2; ++again) {
    const CommandResult result = run_command(words);
    EXPECT_EQ(result.status, 1) << result.output;
    EXPECT_THAT(result.output, AllOf(HasSubstr("10 to do"), HasSubstr("10 runs failed")));
  }
}

}  // namespace filigree
