// Errors: one family, every message says where, what was expected, what came, and what to do next.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace filigree {

/// Base of everything Filigree throws.
///
/// The text reads "[where] what" and, if there is one, a second line "hint: what to do next".
/// The command line prints it and exits with `exit_status()`: 2 for wrong use, 1 for failure.
class Error : public std::runtime_error {
 public:
  Error(std::string_view where, std::string_view what, std::string_view hint = {});

  /// The op, file or option that complains, without brackets.
  const std::string& where() const noexcept { return where_; }
  /// Exit status of a program that ends because of this error: 1, or 2 for wrong use.
  virtual int exit_status() const noexcept { return 1; }

 private:
  std::string where_;
};

/// A tensor has the wrong shape.
class ShapeError : public Error {
  using Error::Error;
};
/// A tensor has the wrong data type, or an op lacks this data type.
class DTypeError : public Error {
  using Error::Error;
};
/// A device is absent, lacks a kernel, or failed; also: tensors of different devices in one op.
class DeviceError : public Error {
  using Error::Error;
};
/// Memory could not be had.
class MemoryError : public Error {
  using Error::Error;
};
/// Input data is wrong: carries file and line in `where`.
class DataError : public Error {
  using Error::Error;
};
/// A file could not be read or written (path, operation, system reason).
class FileError : public Error {
  using Error::Error;
};
/// A checkpoint or state dict is damaged, incomplete or does not fit the model.
class CheckpointError : public Error {
  using Error::Error;
};
/// A setting is unknown, misspelt or contradicts another. Exit status 2.
class ConfigError : public Error {
  using Error::Error;

 public:
  int exit_status() const noexcept override { return 2; }
};
/// NaN or Inf where a finite number must be.
class NumericError : public Error {
  using Error::Error;
};
/// A gradient was asked for where there is none.
class GradientError : public Error {
  using Error::Error;
};

/// The candidate nearest to `word` by edit distance, or "" if none is near enough to be a likely
/// misspelling (distance at most max(2, length / 3)). Cost O(candidates x length^2).
template <class Range>
std::string nearest_name(std::string_view word, const Range& candidates);

/// Edit distance (Levenshtein) of two words: insertions, deletions, substitutions.
int edit_distance(std::string_view a, std::string_view b);

template <class Range>
std::string nearest_name(std::string_view word, const Range& candidates) {
  std::string best;
  int best_distance = static_cast<int>(word.size() / 3 < 2 ? 2 : word.size() / 3) + 1;
  for (const auto& candidate : candidates) {
    const int distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace filigree
