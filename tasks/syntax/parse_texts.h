// Parsing raw text: the sentences of many texts, through the cache and the parser processes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tasks/syntax/parser_pool.h"
#include "tasks/syntax/syntax.h"

namespace filigree {

class ParseCache;

struct ParseOptions {
  double seconds = 2;  ///< CPU time for one sentence, at least 0.001
  int threads = 0;     ///< parser processes; 0: as many as there are processors
  int64_t memory = ParserPool::kMemory >> 20;  ///< MiB for one process, beyond those of its start
  std::filesystem::path cache;                 ///< folder of the cache; empty: in memory alone
  ParserStart parser = start_link_parser;
};

/// How far parsing is.
struct ParseProgress {
  int64_t done = 0, total = 0;         ///< different sentences; done: found in the cache, too
  int64_t timed_out = 0, refused = 0;  ///< of those parsed now
  double seconds = 0;                  ///< since the beginning
  double rate = 0;                     ///< sentences parsed a second
  double seconds_left = 0;             ///< infinite while nothing is parsed
};

/// What is told while parsing; any may be empty.
struct ParseObserver {
  std::function<void(const ParseProgress&)> progress;  ///< some times a second
  std::function<void(const std::string&)> note;        ///< a line for the user
  std::function<bool()> stop;                          ///< true: stop soon
};

/// Sentences of a split, each occurrence counted.
struct ParseCounts {
  int64_t sentences = 0;
  int64_t complete = 0;   ///< parsed, every word linked
  int64_t partial = 0;    ///< parsed, some words left out
  int64_t timed_out = 0;  ///< not parsed within the limit
  int64_t refused = 0;    ///< not parsed otherwise: too long, or the parser failed
};

/// Texts are added, then parsed together, then asked for.
class TextParser {
 public:
  /// Starts a parser and reads the cache. Throws ConfigError for senseless options and in a build
  /// without link-grammar, FileError for a cache or dictionary that cannot be read.
  TextParser(const ParseOptions& options, ParseObserver observer);
  ~TextParser();
  TextParser(const TextParser&) = delete;
  TextParser& operator=(const TextParser&) = delete;

  /// Notes the sentences of a text (well-formed UTF-8). Cost O(bytes).
  void add(const std::string& text);
  /// Parses what the cache does not have. What is parsed is saved every few seconds, so that a run
  /// that was cut off goes on from there. False if the observer stopped it.
  bool parse();
  /// Words and links of a text that was added before parse(); counts its sentences.
  Syntax syntax(const std::string& text);
  /// All three for one text. Throws DataError if the observer stopped it.
  Syntax parse(const std::string& text);

  const ParseCounts& counts() const { return counts_; }
  const std::string& identity() const { return pool_.identity(); }

 private:
  ParseOptions options_;
  ParseObserver observer_;
  int32_t limit_ms_;
  ParserPool pool_;
  std::unique_ptr<ParseCache> cache_;
  std::set<std::string> wanted_;
  ParseCounts counts_;
};

}  // namespace filigree
