#include "tasks/syntax/parse_texts.h"

#include <chrono>
#include <cmath>
#include <fmt/format.h>
#include <thread>

#include "core/error.h"
#include "tasks/syntax/parse_cache.h"
#include "tasks/text/sentences.h"

namespace filigree {

namespace {

using Clock = std::chrono::steady_clock;

constexpr double kSaveSeconds = 10;  // lost at most, if the run is cut off

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

int32_t limit_of(const ParseOptions& options) {
  if (!(options.seconds >= 0.001 && options.seconds <= 1e6)) {
    throw ConfigError("parse-seconds",
                      fmt::format("expected 0.001 to 1000000, got {}", options.seconds));
  }
  return static_cast<int32_t>(std::lround(options.seconds * 1000));
}

int threads_of(const ParseOptions& options) {
  if (options.threads < 0 || options.threads > 1024) {
    throw ConfigError("parse-threads", fmt::format("expected 0 to 1024, got {}", options.threads));
  }
  if (options.threads > 0) return options.threads;
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

int64_t memory_of(const ParseOptions& options) {
  constexpr int64_t kMost = int64_t{1} << 40;  // MiB
  if (options.memory < 1 || options.memory > kMost) {
    throw ConfigError("parse-memory",
                      fmt::format("expected 1 to {} MiB, got {}", kMost, options.memory));
  }
  return options.memory << 20;
}

std::string part_of(const std::string& text, const ByteSpan& span) {
  return text.substr(static_cast<size_t>(span.begin), static_cast<size_t>(span.end - span.begin));
}

}  // namespace

TextParser::TextParser(const ParseOptions& options, ParseObserver observer)
    : options_(options),
      observer_(std::move(observer)),
      limit_ms_(limit_of(options)),
      pool_(options.parser, threads_of(options), memory_of(options)),
      cache_(std::make_unique<ParseCache>(options.cache, pool_.identity())) {
  if (!observer_.note) return;
  for (const std::string& note : cache_->notes()) observer_.note(note);
}

TextParser::~TextParser() = default;

void TextParser::add(const std::string& text) {
  for (const ByteSpan& span : split_sentences(text)) wanted_.insert(part_of(text, span));
}

bool TextParser::parse() {
  ParseProgress progress;
  progress.total = static_cast<int64_t>(wanted_.size());
  std::vector<std::string> missing;
  Linkage known;
  for (const std::string& sentence : wanted_) {
    if (!cache_->find(sentence, limit_ms_, known)) missing.push_back(sentence);
  }
  if (!missing.empty()) cache_->make_folder();  // what cannot be written shows before the work
  progress.done = progress.total - static_cast<int64_t>(missing.size());
  const int64_t found = progress.done;
  const Clock::time_point begin = Clock::now();
  Clock::time_point saved = begin;
  const auto done = [&](size_t index, Linkage linkage) {
    cache_->add(missing[index], linkage);
    ++progress.done;
    progress.timed_out += linkage.outcome == ParseOutcome::timed_out;
    progress.refused += linkage.outcome == ParseOutcome::refused;
  };
  const auto idle = [&] {
    progress.seconds = seconds_since(begin);
    progress.rate = static_cast<double>(progress.done - found) / std::max(progress.seconds, 1e-9);
    progress.seconds_left = progress.done == progress.total
                                ? 0
                                : static_cast<double>(progress.total - progress.done) /
                                      progress.rate;  // infinite before the first
    if (observer_.progress) observer_.progress(progress);
    if (seconds_since(saved) >= kSaveSeconds) {
      cache_->save();
      saved = Clock::now();
    }
    return !(observer_.stop && observer_.stop());
  };
  bool whole = false;
  try {
    whole = pool_.parse(missing, limit_ms_, done, idle);
  } catch (const Error&) {
    cache_->save();
    throw;
  }
  cache_->save();
  if (!whole) return false;
  wanted_.clear();
  try {
    cache_->tidy();
  } catch (const FileError& error) {  // every parse is on disk all the same
    if (observer_.note)
      observer_.note(fmt::format("the parses stay in several files: {}", error.what()));
  }
  return true;
}

Syntax TextParser::parse(const std::string& text) {
  add(text);
  parse();
  return syntax(text);
}

Syntax TextParser::syntax(const std::string& text) {
  const std::vector<ByteSpan> sentences = split_sentences(text);
  std::vector<Linkage> linkages(sentences.size());
  for (size_t s = 0; s < sentences.size(); ++s) {
    const std::string sentence = part_of(text, sentences[s]);
    if (!cache_->find(sentence, limit_ms_, linkages[s])) {
      throw DataError("parse", fmt::format("a sentence was not parsed: {}", excerpt(sentence)),
                      "the input changed while it was read: run the command again");
    }
    ++counts_.sentences;
    switch (linkages[s].outcome) {
      case ParseOutcome::complete:
        ++counts_.complete;
        break;
      case ParseOutcome::partial:
        ++counts_.partial;
        break;
      case ParseOutcome::timed_out:
        ++counts_.timed_out;
        break;
      case ParseOutcome::refused:
        ++counts_.refused;
    }
  }
  return syntax_of_linkages(text, sentences, linkages);
}

}  // namespace filigree
