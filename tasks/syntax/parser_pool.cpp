#include "tasks/syntax/parser_pool.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <fstream>
#include <new>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "tasks/syntax/link_parser.h"

namespace filigree {

namespace {

/// Sends all bytes; false if the other end is gone.
bool send_all(int channel, const void* data, size_t size) {
  const char* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t sent = send(channel, at, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    at += sent;
    size -= static_cast<size_t>(sent);
  }
  return true;
}

/// Receives so many bytes; false if the other end is gone before.
bool receive_all(int channel, void* data, size_t size) {
  char* at = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t got = recv(channel, at, size, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += got;
    size -= static_cast<size_t>(got);
  }
  return true;
}

bool send_text(int channel, std::string_view text) {
  const auto size = static_cast<uint64_t>(text.size());
  return send_all(channel, &size, sizeof size) && send_all(channel, text.data(), text.size());
}

bool receive_text(int channel, std::string& text) {
  uint64_t size = 0;
  if (!receive_all(channel, &size, sizeof size)) return false;
  text.resize(size);
  return receive_all(channel, text.data(), text.size());
}

/// Lets the process be ended by SIGPROF after so much CPU time; 0 takes that back.
void limit_cpu_time(int32_t milliseconds) {
  const itimerval timer{{0, 0}, {milliseconds / 1000, milliseconds % 1000 * 1000}};
  setitimer(ITIMER_PROF, &timer, nullptr);
}

/// Bytes of address space that the process has now, 0 if that is unknown.
int64_t address_space() {
  std::ifstream file("/proc/self/statm");
  int64_t pages = 0;
  file >> pages;
  return pages * sysconf(_SC_PAGESIZE);
}

/// Lets requests for more memory fail beyond so many bytes more than the process has now.
void limit_memory(int64_t bytes) {
  rlimit limit{};
  const int64_t now = address_space();
  if (now == 0 || getrlimit(RLIMIT_AS, &limit) != 0) return;
  limit.rlim_cur = std::min(limit.rlim_max, static_cast<rlim_t>(now + bytes));
  setrlimit(RLIMIT_AS, &limit);
}

/// A worker is silent, leaves no core file, and leaves Ctrl-C and SIGTERM, which may go to the
/// whole group, to its parent.
void settle_worker() {
  const int nowhere = open("/dev/null", O_WRONLY);
  if (nowhere >= 0) {
    dup2(nowhere, STDOUT_FILENO);
    dup2(nowhere, STDERR_FILENO);
    close(nowhere);
  }
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  for (const int number : {SIGINT, SIGTERM}) std::signal(number, SIG_IGN);
  for (const int number : {SIGPROF, SIGSEGV, SIGABRT, SIGILL, SIGFPE, SIGBUS, SIGTRAP}) {
    std::signal(number, SIG_DFL);
  }
  sigset_t signals;
  sigemptyset(&signals);
  sigprocmask(SIG_SETMASK, &signals, nullptr);
}

/// True for the signals by which a program ends itself through a fault of its own.
bool is_crash(int signal) {
  return signal == SIGSEGV || signal == SIGABRT || signal == SIGILL || signal == SIGFPE ||
         signal == SIGBUS || signal == SIGTRAP;
}

}  // namespace

SentenceParser start_link_parser(std::string& identity) {
  const auto parser = std::make_shared<LinkParser>();
  identity = parser->identity();
  return [parser](std::string_view sentence) { return parser->parse(sentence); };
}

ParserPool::ParserPool(ParserStart start, int processes, int64_t memory)
    : start_(std::move(start)), memory_(memory) {
  if (processes < 1) {
    throw ConfigError("parse-threads", fmt::format("expected 1 or more, got {}", processes));
  }
  workers_.resize(static_cast<size_t>(processes));
  launch(workers_.front());
  wait_for_start(workers_.front());
}

ParserPool::~ParserPool() {
  for (Worker& worker : workers_) stop(worker);
}

void ParserPool::launch(Worker& worker) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    throw FileError("parse", fmt::format("no channel to a parser: {}", std::strerror(errno)));
  }
  worker = {fork(), ends[0], -1};
  if (worker.process < 0) {
    close(ends[0]);
    close(ends[1]);
    worker.channel = -1;
    throw FileError("parse", fmt::format("no process for a parser: {}", std::strerror(errno)));
  }
  if (worker.process > 0) {
    close(ends[1]);
    return;
  }
  // The parent's ends must not live on here: a worker ends when its parent's end is closed.
  for (const Worker& other : workers_) {
    if (other.channel >= 0) close(other.channel);
  }
  serve(ends[1]);
}

void ParserPool::serve(int channel) {
  settle_worker();
  limit_memory(memory_);
  SentenceParser parser;
  try {
    std::string identity;
    parser = start_(identity);
    if (!send_text(channel, "ok") || !send_text(channel, identity)) _exit(0);
  } catch (const std::exception& error) {
    send_text(channel, dynamic_cast<const ConfigError*>(&error) != nullptr ? "config" : "file");
    send_text(channel, error.what());
    _exit(0);
  }
  std::string sentence;
  for (int32_t limit = 0; receive_all(channel, &limit, sizeof limit);) {
    if (!receive_text(channel, sentence)) break;
    limit_cpu_time(limit);
    Linkage linkage;
    try {
      linkage = parser(sentence);
    } catch (const std::bad_alloc&) {
      std::abort();  // so that the next sentence begins with all the memory there is
    } catch (const std::exception&) {
      linkage = {};  // refused
    }
    limit_cpu_time(0);
    linkage.limit_ms = limit;
    const std::vector<int32_t> numbers = pack(linkage);
    const std::string_view bytes(reinterpret_cast<const char*>(numbers.data()),
                                 numbers.size() * sizeof(int32_t));
    if (!send_text(channel, bytes)) break;
  }
  _exit(0);
}

void ParserPool::start_missing(size_t sentences) {
  std::vector<Worker*> fresh;
  for (Worker& worker : workers_) {
    if (sentences == 0) break;
    if (worker.sentence >= 0) continue;
    --sentences;
    if (worker.channel < 0) fresh.push_back(&worker);
  }
  try {
    for (Worker* worker : fresh) launch(*worker);
    for (Worker* worker : fresh) wait_for_start(*worker);
  } catch (const Error&) {
    for (Worker* worker : fresh) stop(*worker);
    throw;
  }
}

void ParserPool::wait_for_start(Worker& worker) {
  std::string kind, text;
  if (!receive_text(worker.channel, kind) || !receive_text(worker.channel, text)) {
    stop(worker);
    throw FileError("parse", "the parser ended while it started", "check its dictionary");
  }
  if (kind == "ok") {
    identity_ = text;
    return;
  }
  stop(worker);
  // The text is that of a whole Error: "[where] what", hint.
  const size_t place = text.find("] ");
  if (place != std::string::npos) text.erase(0, place + 2);
  if (kind == "config") throw ConfigError("parse", text);
  throw FileError("parse", text);
}

void ParserPool::stop(Worker& worker) {
  if (worker.channel >= 0) close(worker.channel);
  if (worker.process > 0) {
    kill(worker.process, SIGKILL);
    while (waitpid(worker.process, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  worker = {};
}

Linkage ParserPool::bury(Worker& worker, int32_t limit_ms) {
  int status = 0;
  while (waitpid(worker.process, &status, 0) < 0 && errno == EINTR) {
  }
  worker.process = -1;
  stop(worker);
  Linkage linkage;
  linkage.limit_ms = limit_ms;
  const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  if (signal == SIGPROF) {
    linkage.outcome = ParseOutcome::timed_out;
  } else if (!is_crash(signal)) {
    throw FileError("parse",
                    signal != 0 ? fmt::format("a parser was ended by signal {}", signal)
                                : std::string("a parser ended by itself"),
                    "if memory ran out: fewer --parse-threads, a smaller --parse-seconds. What is "
                    "parsed is kept: the same command goes on");
  }
  return linkage;
}

Linkage ParserPool::receive(Worker& worker, const std::string& sentence, int32_t limit_ms) {
  std::string bytes;
  if (!receive_text(worker.channel, bytes)) return bury(worker, limit_ms);
  std::vector<int32_t> numbers(bytes.size() / sizeof(int32_t));
  std::memcpy(numbers.data(), bytes.data(), numbers.size() * sizeof(int32_t));
  Linkage linkage;
  if (!unpack(numbers, static_cast<int64_t>(sentence.size()), linkage)) {
    linkage = {};
    linkage.limit_ms = limit_ms;
  }
  worker.sentence = -1;
  return linkage;
}

bool ParserPool::parse(std::span<const std::string> sentences, int32_t limit_ms,
                       const std::function<void(size_t, Linkage)>& done,
                       const std::function<bool()>& idle) {
  size_t next = 0, finished = 0;
  std::vector<pollfd> watched(workers_.size());
  while (finished < sentences.size()) {
    start_missing(sentences.size() - next);
    for (Worker& worker : workers_) {
      if (worker.sentence >= 0 || next == sentences.size()) continue;
      worker.sentence = static_cast<int64_t>(next);
      // A failure to send shows when its answer is read.
      if (send_all(worker.channel, &limit_ms, sizeof limit_ms)) {
        send_text(worker.channel, sentences[next]);
      }
      ++next;
    }
    for (size_t w = 0; w < workers_.size(); ++w) {
      watched[w] = {workers_[w].sentence >= 0 ? workers_[w].channel : -1, POLLIN, 0};
    }
    constexpr int kPatience = 250;  // milliseconds
    const int ready = poll(watched.data(), static_cast<nfds_t>(watched.size()), kPatience);
    for (size_t w = 0; ready > 0 && w < workers_.size(); ++w) {
      if (watched[w].fd < 0 || watched[w].revents == 0) continue;
      const auto sentence = static_cast<size_t>(workers_[w].sentence);
      done(sentence, receive(workers_[w], sentences[sentence], limit_ms));
      ++finished;
    }
    if (idle() || finished == sentences.size()) continue;
    for (Worker& worker : workers_) {
      if (worker.sentence >= 0) stop(worker);
    }
    return false;
  }
  return true;
}

}  // namespace filigree
