// A thin layer over SQLite: statements that clean up, transactions, errors in our words. Private to
// tasks/study.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <sqlite3.h>
#include <string>

namespace filigree {

class Database {
 public:
  static constexpr int kPatience = 30'000;

  /// Opens or makes the file, shared with other processes (write-ahead log). `patience`:
  /// milliseconds that another process is waited for. Throws FileError.
  Database(std::filesystem::path path, bool must_exist, int patience = kPatience);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// Runs SQL without results: one statement or several.
  void execute(const char* sql);
  /// All that `body` does, or nothing: other processes wait meanwhile. Throws what `body` throws.
  void transaction(const std::function<void()>& body);
  /// Throws FileError with what SQLite says, and what to do about it.
  [[noreturn]] void fail() const;
  const std::filesystem::path& path() const { return path_; }

 private:
  friend class Statement;
  /// A write-ahead log, so that readers and a writer do not wait for one another.
  void share(int patience);
  std::filesystem::path path_;
  sqlite3* handle_ = nullptr;
};

/// A prepared statement: bind its values from left to right, step through its rows.
class Statement {
 public:
  Statement(const Database& database, const std::string& sql);
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& bind(const std::string& value);
  Statement& bind(int64_t value);
  Statement& bind(double value);
  /// Ready to bind and step again.
  void reset();
  /// True while there is a row.
  bool step();
  /// Values of this row, from left to right. NULL is "", NaN (which SQLite keeps as NULL) and 0.
  std::string text();
  double real();
  int64_t integer() { return sqlite3_column_int64(statement_, column_++); }

 private:
  void check(int code) const;
  const Database& database_;
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0, column_ = 0;
};

}  // namespace filigree
