#include "command_runner.h"

#include <csignal>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/file.h"

namespace filigree::testing {

namespace {

pid_t start(const std::vector<std::string>& words, const std::string& output,
            const std::string& input, int64_t size_limit) {
  std::vector<char*> arguments{const_cast<char*>(FILIGREE_COMMAND)};
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const pid_t process = fork();
  if (process == 0) {
    const int file = open(output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(open(input.c_str(), O_RDONLY), STDIN_FILENO);
    dup2(file, STDOUT_FILENO);
    dup2(file, STDERR_FILENO);
    if (size_limit > 0) {
      const rlimit limit{static_cast<rlim_t>(size_limit), static_cast<rlim_t>(size_limit)};
      setrlimit(RLIMIT_FSIZE, &limit);
      std::signal(SIGXFSZ, SIG_IGN);  // so that writes fail with an error, as on a full disk
    }
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  return process;
}

CommandResult finish(pid_t process, const std::string& output) {
  CommandResult result;
  result.status = wait_for(process);
  result.output = read_file(output);
  return result;
}

}  // namespace

pid_t start_command(const std::vector<std::string>& words, const std::filesystem::path& output) {
  return start(words, output.string(), "/dev/null", 0);
}

int wait_for(pid_t process) {
  int status = 0;
  waitpid(process, &status, 0);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

CommandResult run_command(const std::vector<std::string>& words, int64_t size_limit) {
  const TemporaryFolder folder;
  return finish(start(words, folder / "output", "/dev/null", size_limit), folder / "output");
}

CommandResult run_command_on(const std::string& input, const std::vector<std::string>& words) {
  const TemporaryFolder folder;
  write_file(folder / "input", input);
  return finish(start(words, folder / "output", folder / "input", 0), folder / "output");
}

std::vector<std::string> short_run(const std::string& out, const std::string& data,
                                   const std::string& dev, const std::vector<std::string>& more) {
  std::vector<std::string> words{"train", "--out",           out, "--data.train",
                                 data,    "--data.dev",      dev, "--model.width",
                                 "32",    "--train.steps",   "4", "--train.batch_tokens",
                                 "256",   "--train.threads", "1"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

std::vector<std::string> short_run(const std::string& out, const std::vector<std::string>& more) {
  return short_run(out, local_data() / "train", local_data() / "dev", more);
}

const TemporaryFolder& local_data() {
  static const TemporaryFolder folder;
  static const bool made = [] {
    const auto expect_success = [](const std::vector<std::string>& words) {
      const CommandResult result = run_command(words);
      EXPECT_EQ(result.status, 0) << result.output;
    };
    expect_success({"generate", "--labelling", "local", "--out", folder.path().string(), "--train",
                    "400", "--dev", "100"});
    expect_success({"tokenizer", "train", "--kind", "word", "--input", folder / "local.train.tsv",
                    "--out", folder / "tok"});
    for (const std::string split : {"train", "dev"}) {
      expect_success({"prepare", "--input", folder / ("local." + split + ".conllu"), "--text",
                      "text", "--tokenizer", folder / "tok", "--out", folder / split,
                      "--max-length", "32"});
    }
    return true;
  }();
  (void)made;
  return folder;
}

}  // namespace filigree::testing
