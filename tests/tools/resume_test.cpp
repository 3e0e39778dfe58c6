// A run that is stopped anywhere and resumed ends with the same weights, bit for bit.
#include <csignal>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <thread>

#include "command_runner.h"
#include "core/file.h"

namespace filigree::testing {

namespace {

namespace fs = std::filesystem;

constexpr int kSteps = 30;

/// A run with everything random in it, three batches a step, a checkpoint every other step.
std::vector<std::string> train_words(const std::string& out,
                                     const std::string& task = "classification") {
  const TemporaryFolder& data = local_data();
  return {"train",
          "--out",
          out,
          "--data.train",
          data / "train",
          "--data.dev",
          data / "dev",
          "--train.task",
          task,
          "--model.width",
          "32",
          "--attention.pattern",
          "neighbour:2|global:cls|random:2",
          "--train.steps",
          std::to_string(kSteps),
          "--train.accumulate",
          "3",
          "--train.batch_tokens",
          "256",
          "--train.evaluate_every",
          "6",
          "--train.save_every",
          "2",
          "--train.keep",
          "2",
          "--train.log_every",
          "1",
          "--train.threads",
          "1"};
}

std::string final_weights(const fs::path& run) {
  return read_file(run / "checkpoints" / "step-00000030" / "model.safetensors");
}

std::string run_to_the_end(const std::string& task) {
  const TemporaryFolder folder;
  const CommandResult result = run_command(train_words(folder / "run", task));
  EXPECT_EQ(result.status, 0) << result.output;
  return final_weights(folder / "run");
}

const std::string& uninterrupted() {
  static const std::string weights = run_to_the_end("classification");
  return weights;
}

/// Steps in metrics.jsonl so far; each step writes one line.
int64_t steps_done(const fs::path& run) {
  std::ifstream file(run / "metrics.jsonl");
  int64_t last = 0;
  for (std::string line; std::getline(file, line);) {
    const auto json = nlohmann::json::parse(line, nullptr, false);
    if (json.is_object()) last = std::max<int64_t>(last, json.value("step", 0));
  }
  return last;
}

/// Starts the run and sends the signal once `step` steps are done, wherever it is then. True if it
/// came before the run's end.
bool interrupt(const std::string& out, int64_t step, int signal, bool resume,
               const std::string& task = "classification") {
  const TemporaryFolder log;
  std::vector<std::string> words = train_words(out, task);
  if (resume) words.emplace_back("--resume");
  const pid_t process = start_command(words, log / "log");
  while (steps_done(out) < step && kill(process, 0) == 0) {
    siginfo_t info{};
    if (waitid(P_PID, static_cast<id_t>(process), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        info.si_pid == process) {
      break;  // it was faster
    }
    std::this_thread::yield();
  }
  kill(process, signal);
  const int status = wait_for(process);
  if (signal == SIGTERM) {
    EXPECT_EQ(status, 0) << read_file(log / "log");
  }
  return steps_done(out) < kSteps;
}

void expect_same_after_resume(const std::string& out) {
  std::vector<std::string> words = train_words(out);
  words.emplace_back("--resume");
  const CommandResult result = run_command(words);
  ASSERT_EQ(result.status, 0) << result.output;
  EXPECT_EQ(final_weights(out), uninterrupted());
  EXPECT_EQ(steps_done(out), kSteps);
}

std::vector<int64_t> random_steps(int count) {
  std::random_device device;
  std::vector<int64_t> steps;
  for (int i = 0; i < count; ++i)
    steps.push_back(1 + static_cast<int64_t>(device() % (kSteps - 2)));
  return steps;
}

}  // namespace

TEST(Resume, SigtermAtRandomPlaces) {
  int early = 0;
  for (const int64_t step : random_steps(5)) {
    SCOPED_TRACE("SIGTERM after step " + std::to_string(step));
    const TemporaryFolder folder;
    early += interrupt(folder / "run", step, SIGTERM, false);
    expect_same_after_resume(folder / "run");
  }
  EXPECT_GT(early, 0) << "every run was faster than its signal: nothing was tested";
}

TEST(Resume, KillAtRandomPlaces) {
  int early = 0;
  for (const int64_t step : random_steps(5)) {
    SCOPED_TRACE("SIGKILL after step " + std::to_string(step));
    const TemporaryFolder folder;
    early += interrupt(folder / "run", step, SIGKILL, false);
    expect_same_after_resume(folder / "run");
  }
  EXPECT_GT(early, 0) << "every run was faster than its signal: nothing was tested";
}

TEST(Resume, TwiceInterrupted) {
  const TemporaryFolder folder;
  interrupt(folder / "run", 5, SIGTERM, false);
  interrupt(folder / "run", 17, SIGKILL, true);
  expect_same_after_resume(folder / "run");
}

TEST(Resume, HiddenTokensAreTheSame) {
  // 500 samples of 20 tokens: the steps go over several epochs.
  const std::string whole = run_to_the_end("masked_lm");
  for (const int64_t step : random_steps(2)) {
    SCOPED_TRACE("SIGKILL after step " + std::to_string(step));
    const TemporaryFolder folder;
    interrupt(folder / "run", step, SIGKILL, false, "masked_lm");
    std::vector<std::string> words = train_words(folder / "run", "masked_lm");
    words.emplace_back("--resume");
    const CommandResult result = run_command(words);
    ASSERT_EQ(result.status, 0) << result.output;
    EXPECT_EQ(final_weights(folder / "run"), whole);
  }
}

TEST(Resume, ACutCheckpointIsPassedOver) {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  interrupt(run, 15, SIGTERM, false);
  std::vector<fs::path> checkpoints;
  for (const auto& entry : fs::directory_iterator(run + "/checkpoints")) {
    checkpoints.push_back(entry.path());
  }
  std::sort(checkpoints.begin(), checkpoints.end());
  ASSERT_EQ(checkpoints.size(), 2u);
  std::random_device device;
  for (const char* name : {"model.safetensors", "optimizer.safetensors", "manifest.json"}) {
    const TemporaryFolder copy;
    fs::copy(run, copy / "run", fs::copy_options::recursive);
    const fs::path file =
        fs::path(copy / "run") / "checkpoints" / checkpoints.back().filename() / name;
    const auto size = fs::file_size(file);
    const auto cut = device() % size;
    SCOPED_TRACE(std::string(name) + " cut to " + std::to_string(cut) + " bytes");
    fs::resize_file(file, cut);
    std::vector<std::string> words = train_words(copy / "run");
    words.emplace_back("--resume");
    const CommandResult result = run_command(words);
    ASSERT_EQ(result.status, 0) << result.output;
    EXPECT_NE(result.output.find("passed over a checkpoint"), std::string::npos) << result.output;
    EXPECT_EQ(final_weights(copy / "run"), uninterrupted());
  }
}

TEST(Resume, OtherSettingsAreRefused) {
  const TemporaryFolder folder;
  interrupt(folder / "run", 4, SIGTERM, false);
  std::vector<std::string> words = train_words(folder / "run");
  words.insert(words.end(), {"--resume", "--train.lr", "0.1"});
  const CommandResult result = run_command(words);
  EXPECT_EQ(result.status, 2);
  EXPECT_NE(result.output.find("other settings: "), std::string::npos) << result.output;
}

}  // namespace filigree::testing
