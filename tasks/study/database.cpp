#include "tasks/study/database.h"

#include <chrono>
#include <cmath>
#include <fmt/format.h>

#include "core/error.h"

namespace filigree {

namespace {

const char* advice(int code) {
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return "another process holds it: end what has it open, then give the same command again";
    case SQLITE_FULL:
    case SQLITE_IOERR:
      return "make room on the disk, then give the same command again: nothing is lost";
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      return "it is damaged or something else: move it away, or name another folder";
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
      return "check that the folder is there and can be written";
    default:
      return "check the file, and the disk's room";
  }
}

}  // namespace

Database::Database(std::filesystem::path path, bool must_exist, int patience)
    : path_(std::move(path)) {
  const int flags = SQLITE_OPEN_READWRITE | (must_exist ? 0 : SQLITE_OPEN_CREATE);
  try {
    if (sqlite3_open_v2(path_.c_str(), &handle_, flags, nullptr) != SQLITE_OK) fail();
    sqlite3_busy_timeout(handle_, patience);
    share(patience);
    execute("PRAGMA synchronous = FULL");
  } catch (...) {
    sqlite3_close(handle_);
    throw;
  }
}

/// Two that open a new file at once each hold what the other waits for, to change the journal: then
/// SQLite does not wait, but says at once that the file is busy.
void Database::share(int patience) {
  using Clock = std::chrono::steady_clock;
  const auto until = Clock::now() + std::chrono::milliseconds(patience);
  constexpr int kAgainAfter = 5;  // milliseconds
  while (true) {
    const int code = sqlite3_exec(handle_, "PRAGMA journal_mode = WAL", nullptr, nullptr, nullptr);
    if (code == SQLITE_OK) return;
    if ((code & 0xff) != SQLITE_BUSY || Clock::now() >= until) fail();
    sqlite3_sleep(kAgainAfter);
  }
}

Database::~Database() { sqlite3_close(handle_); }

void Database::fail() const {
  throw FileError(path_.string(), fmt::format("run store: {}", sqlite3_errmsg(handle_)),
                  advice(sqlite3_extended_errcode(handle_)));
}

void Database::execute(const char* sql) {
  if (sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail();
}

void Database::transaction(const std::function<void()>& body) {
  execute("BEGIN IMMEDIATE");
  try {
    body();
    execute("COMMIT");
  } catch (...) {  // SQLite may have rolled back itself: then this does nothing
    sqlite3_exec(handle_, "ROLLBACK", nullptr, nullptr, nullptr);
    throw;
  }
}

Statement::Statement(const Database& database, const std::string& sql) : database_(database) {
  if (sqlite3_prepare_v2(database.handle_, sql.c_str(), -1, &statement_, nullptr) != SQLITE_OK) {
    database.fail();
  }
}

void Statement::check(int code) const {
  if (code != SQLITE_OK) database_.fail();
}

Statement& Statement::bind(const std::string& value) {
  check(sqlite3_bind_text(statement_, ++bound_, value.data(), static_cast<int>(value.size()),
                          SQLITE_TRANSIENT));
  return *this;
}

Statement& Statement::bind(int64_t value) {
  check(sqlite3_bind_int64(statement_, ++bound_, value));
  return *this;
}

Statement& Statement::bind(double value) {
  check(sqlite3_bind_double(statement_, ++bound_, value));
  return *this;
}

void Statement::reset() {
  check(sqlite3_reset(statement_));
  bound_ = 0;
}

bool Statement::step() {
  const int code = sqlite3_step(statement_);
  if (code != SQLITE_ROW && code != SQLITE_DONE) database_.fail();
  column_ = 0;
  return code == SQLITE_ROW;
}

double Statement::real() {
  const int column = column_++;
  if (sqlite3_column_type(statement_, column) == SQLITE_NULL) return std::nan("");
  return sqlite3_column_double(statement_, column);
}

std::string Statement::text() {
  const auto* value = sqlite3_column_text(statement_, column_++);
  return value == nullptr ? "" : reinterpret_cast<const char*>(value);
}

}  // namespace filigree
