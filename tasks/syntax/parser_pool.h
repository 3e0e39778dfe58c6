// ParserPool: sentences parsed in processes of their own, so that a limit holds and a crash costs
// one sentence.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "tasks/syntax/linkage.h"

namespace filigree {

/// Parses one sentence in a worker process.
using SentenceParser = std::function<Linkage(std::string_view sentence)>;

/// What a worker process runs: `start` makes the parser, once a process, and sets what its parses
/// depend on. An Error that it throws is thrown by the pool.
using ParserStart = std::function<SentenceParser(std::string& identity)>;

/// The English parser of link-grammar.
SentenceParser start_link_parser(std::string& identity);

/// Worker processes, forked from this one. Not for use from several threads; fork before threads
/// that hold locks are started.
class ParserPool {
 public:
  /// Memory that a process may ask for beyond what it starts with, in bytes.
  static constexpr int64_t kMemory = int64_t{2} << 30;

  /// Starts the first process and waits for its parser; the others start, together, when they are
  /// needed. Throws the parser's Error, and FileError if the system gives no process.
  ParserPool(ParserStart start, int processes, int64_t memory = kMemory);
  /// Ends all processes.
  ~ParserPool();
  ParserPool(const ParserPool&) = delete;
  ParserPool& operator=(const ParserPool&) = delete;

  const std::string& identity() const { return identity_; }

  /// Parses all sentences; `done(index, linkage)` is called for each, in any order, from this
  /// thread, and `idle` at least four times a second: if it returns false, what is not done is left
  /// and parse() returns false. A sentence that takes more than `limit_ms` milliseconds of CPU time
  /// is timed out; one that crashes the parser, or takes more memory, is refused. Throws FileError
  /// if a process was ended from outside (out of memory, say).
  bool parse(std::span<const std::string> sentences, int32_t limit_ms,
             const std::function<void(size_t, Linkage)>& done, const std::function<bool()>& idle);

 private:
  struct Worker {
    int process = -1;
    int channel = -1;       // a socket
    int64_t sentence = -1;  // that it works on, -1 for none
  };
  void launch(Worker& worker);
  /// Starts the processes that so many sentences can use, then waits for all of them.
  void start_missing(size_t sentences);
  void stop(Worker& worker);
  void wait_for_start(Worker& worker);
  Linkage receive(Worker& worker, const std::string& sentence, int32_t limit_ms);
  Linkage bury(Worker& worker, int32_t limit_ms);
  [[noreturn]] void serve(int channel);

  ParserStart start_;
  int64_t memory_;
  std::string identity_;
  std::vector<Worker> workers_;
};

}  // namespace filigree
