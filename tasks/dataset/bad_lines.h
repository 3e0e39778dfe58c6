// BadLines: what `prepare` does with lines that it cannot use.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/error.h"

namespace filigree {

struct BadLineOptions {
  int64_t skip_bad_lines = 0;   ///< leave out so many bad lines at most; more are an error
  int64_t show_bad_lines = 20;  ///< so many bad lines are named at most
  bool strict = false;          ///< stop at the first bad line
};

/// Throws ConfigError for numbers below 0, and for --strict with --skip-bad-lines.
void check(const BadLineOptions& options);

/// Counts bad lines, and keeps what is said of the first ones.
class BadLines {
 public:
  explicit BadLines(const BadLineOptions& options) : options_(options) {}
  /// Call where the error of a line is caught: throws it again under `strict`.
  void add(const DataError& error);
  int64_t count() const { return count_; }
  /// "[file:line] reason (hint)" of the first ones.
  const std::vector<std::string>& shown() const { return shown_; }
  /// Throws DataError at `where`, with the first of them, if there are more than may be left out.
  void expect_few(const std::string& where, int64_t good) const;

 private:
  BadLineOptions options_;
  int64_t count_ = 0;
  std::vector<std::string> shown_;
};

}  // namespace filigree
