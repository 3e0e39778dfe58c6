#include "tasks/study/run_store.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include "core/error.h"

namespace filigree {

namespace {

constexpr const char* kSchema =
    "CREATE TABLE IF NOT EXISTS runs (id TEXT PRIMARY KEY, pattern TEXT, layers TEXT, heads TEXT, "
    "seed INTEGER, metric TEXT, value REAL, density REAL, tokens_per_second REAL, seconds REAL, "
    "best_step INTEGER, steps INTEGER, config TEXT)";
constexpr const char* kColumns =
    "id, pattern, layers, heads, seed, metric, value, density, tokens_per_second, seconds, "
    "best_step, steps, config";

}  // namespace

struct RunStore::Impl {
  std::filesystem::path path;
  sqlite3* database = nullptr;

  ~Impl() { sqlite3_close(database); }

  [[noreturn]] void fail() const {
    throw FileError(path.string(), fmt::format("run store: {}", sqlite3_errmsg(database)),
                    "check that no other study writes there, and the disk's room");
  }

  /// A prepared statement, finalised at the end of its life.
  class Statement {
   public:
    Statement(const Impl& impl, const std::string& sql) : impl_(impl) {
      if (sqlite3_prepare_v2(impl.database, sql.c_str(), -1, &statement_, nullptr) != SQLITE_OK) {
        impl.fail();
      }
    }
    ~Statement() { sqlite3_finalize(statement_); }
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    void bind(const std::string& value) {
      check(sqlite3_bind_text(statement_, ++bound_, value.c_str(), -1, SQLITE_TRANSIENT));
    }
    void bind(int64_t value) { check(sqlite3_bind_int64(statement_, ++bound_, value)); }
    void bind(double value) { check(sqlite3_bind_double(statement_, ++bound_, value)); }
    /// True while there is a row.
    bool step() {
      const int code = sqlite3_step(statement_);
      if (code != SQLITE_ROW && code != SQLITE_DONE) impl_.fail();
      return code == SQLITE_ROW;
    }
    std::string text(int column) const {
      const auto* value = sqlite3_column_text(statement_, column);
      return value == nullptr ? "" : reinterpret_cast<const char*>(value);
    }
    double real(int column) const { return sqlite3_column_double(statement_, column); }
    int64_t integer(int column) const { return sqlite3_column_int64(statement_, column); }

   private:
    void check(int code) const {
      if (code != SQLITE_OK) impl_.fail();
    }
    const Impl& impl_;
    sqlite3_stmt* statement_ = nullptr;
    int bound_ = 0;
  };

  std::vector<RunRecord> select(const std::string& where, const std::string* id) const {
    Statement query(*this, fmt::format("SELECT {} FROM runs {} ORDER BY rowid", kColumns, where));
    if (id != nullptr) query.bind(*id);
    std::vector<RunRecord> runs;
    while (query.step()) {
      RunRecord run;
      run.id = query.text(0);
      run.pattern = query.text(1);
      run.layers = query.text(2);
      run.heads = query.text(3);
      run.seed = static_cast<uint64_t>(query.integer(4));
      run.metric = query.text(5);
      run.value = query.real(6);
      run.density = query.real(7);
      run.tokens_per_second = query.real(8);
      run.seconds = query.real(9);
      run.best_step = query.integer(10);
      run.steps = query.integer(11);
      run.config = query.text(12);
      runs.push_back(std::move(run));
    }
    return runs;
  }
};

RunStore::RunStore(const std::filesystem::path& path) : impl_(std::make_unique<Impl>()) {
  impl_->path = path;
  if (sqlite3_open(path.c_str(), &impl_->database) != SQLITE_OK) impl_->fail();
  sqlite3_busy_timeout(impl_->database, 5000);
  Impl::Statement(*impl_, kSchema).step();
}

RunStore::~RunStore() = default;

void RunStore::put(const RunRecord& run) {
  Impl::Statement insert(*impl_, fmt::format("INSERT OR REPLACE INTO runs ({}) VALUES "
                                             "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                                             kColumns));
  for (const std::string* text : {&run.id, &run.pattern, &run.layers, &run.heads}) {
    insert.bind(*text);
  }
  insert.bind(static_cast<int64_t>(run.seed));
  insert.bind(run.metric);
  for (const double number : {run.value, run.density, run.tokens_per_second, run.seconds}) {
    insert.bind(number);
  }
  insert.bind(run.best_step);
  insert.bind(run.steps);
  insert.bind(run.config);
  insert.step();
}

std::optional<RunRecord> RunStore::find(const std::string& id) const {
  std::vector<RunRecord> runs = impl_->select("WHERE id = ?", &id);
  if (runs.empty()) return std::nullopt;
  return runs.front();
}

std::vector<RunRecord> RunStore::all() const { return impl_->select("", nullptr); }

}  // namespace filigree
