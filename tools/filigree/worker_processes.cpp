#include "tools/filigree/worker_processes.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "core/error.h"
#include "core/parallel.h"
#include "tasks/training/stop_request.h"

namespace filigree {

namespace {

/// In the new process: becomes a worker, or ends.
[[noreturn]] void become_worker(std::vector<std::string>& words, int threads, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);   // a parent that is killed takes its workers along,
  if (getppid() != parent) _exit(1);  // also one that was killed just now
  setenv("OMP_NUM_THREADS", std::to_string(threads).c_str(), 1);
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  execv("/proc/self/exe", arguments.data());
  _exit(127);
}

/// Says how a worker ended unless it ended well.
bool ended_well(pid_t process, int status) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
  if (WIFSIGNALED(status)) {
    fmt::print(stderr, "a worker ({}) was ended by the signal {}; its run can be gone on with\n",
               process, strsignal(WTERMSIG(status)));
  }
  return false;
}

}  // namespace

bool run_worker_processes(int count, std::span<const std::string> words) {
  std::vector<std::string> arguments{"filigree", "ablate"};
  arguments.insert(arguments.end(), words.begin(), words.end());
  arguments.emplace_back("--worker");
  const int threads = std::max(1, thread_count() / count);
  const pid_t parent = getpid();
  std::vector<pid_t> workers;
  for (int k = 0; k < count; ++k) {
    const pid_t process = fork();
    if (process == 0) become_worker(arguments, threads, parent);
    if (process > 0) workers.push_back(process);
  }
  if (workers.empty()) {
    throw DeviceError("ablate", fmt::format("cannot start a process: {}", std::strerror(errno)),
                      "use fewer --workers");
  }
  bool whole = workers.size() == static_cast<size_t>(count), told = false;
  while (!workers.empty()) {
    int status = 0;
    const pid_t process = waitpid(-1, &status, WNOHANG);
    if (process > 0) {
      whole = ended_well(process, status) && whole;
      std::erase(workers, process);
      continue;
    }
    if (StopRequest::requested() && !told) {
      for (const pid_t worker : workers) kill(worker, SIGTERM);
      told = true;
    }
    usleep(50'000);
  }
  return whole;
}

}  // namespace filigree
