#include "tasks/study/run_store.h"

#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tasks/study/database.h"

namespace filigree {

namespace {

using Json = nlohmann::json;

// Every step brings a store from the version that is its place here to the next one. Version 0 is
// an empty file, or one of before versions were counted.
constexpr const char* kMigrations[] = {
    // 0 -> 1
    "CREATE TABLE IF NOT EXISTS runs (id TEXT PRIMARY KEY, pattern TEXT, layers TEXT, heads TEXT, "
    "seed INTEGER, metric TEXT, value REAL, density REAL, tokens_per_second REAL, seconds REAL, "
    "best_step INTEGER, steps INTEGER, config TEXT)",
    // 1 -> 2: what is big has a table of its own; evaluations, failures, the study
    "CREATE TABLE details (id TEXT PRIMARY KEY, config TEXT, curve TEXT, degrees TEXT);"
    "INSERT INTO details SELECT id, config, '[]', '' FROM runs;"
    "ALTER TABLE runs DROP COLUMN config;"
    "ALTER TABLE runs ADD COLUMN command TEXT DEFAULT 'train';"
    "ALTER TABLE runs ADD COLUMN higher_is_better INTEGER DEFAULT 1;"
    "ALTER TABLE runs ADD COLUMN layer_density TEXT DEFAULT '[]';"
    "ALTER TABLE runs ADD COLUMN memory_peak INTEGER DEFAULT 0;"
    "ALTER TABLE runs ADD COLUMN version TEXT DEFAULT '';"
    "ALTER TABLE runs ADD COLUMN machine TEXT DEFAULT '';"
    "ALTER TABLE runs ADD COLUMN finished TEXT DEFAULT '';"
    "CREATE TABLE evaluations (id TEXT, step INTEGER, loss REAL, metric REAL, density REAL, "
    "PRIMARY KEY (id, step)) WITHOUT ROWID;"
    "CREATE TABLE failures (id TEXT PRIMARY KEY, error TEXT);"
    "CREATE TABLE study (axes TEXT, levels TEXT, question TEXT, baseline TEXT, "
    "claims TEXT);"
    "CREATE TABLE planned (place INTEGER PRIMARY KEY, id TEXT, levels TEXT, seed INTEGER)",
};
constexpr int64_t kVersion = std::size(kMigrations);

constexpr const char* kColumns =
    "id, command, pattern, layers, heads, seed, metric, higher_is_better, value, density, "
    "layer_density, tokens_per_second, seconds, best_step, steps, memory_peak, version, machine, "
    "finished";

int64_t version_of(const Database& database) {
  Statement query(database, "PRAGMA user_version");
  query.step();
  return query.integer();
}

RunRecord read_run(Statement& row) {
  RunRecord run;
  run.id = row.text();
  run.command = row.text();
  run.pattern = row.text();
  run.layers = row.text();
  run.heads = row.text();
  run.seed = static_cast<uint64_t>(row.integer());
  run.metric = row.text();
  run.higher_is_better = row.integer() != 0;
  run.value = row.real();
  run.density = row.real();
  run.layer_density = Json::parse(row.text()).get<std::vector<double>>();
  run.tokens_per_second = row.real();
  run.seconds = row.real();
  run.best_step = row.integer();
  run.steps = row.integer();
  run.memory_peak = row.integer();
  run.version = row.text();
  run.machine = row.text();
  run.finished = row.text();
  return run;
}

void write_run(const Database& database, const RunRecord& run) {
  Statement insert(database, fmt::format("INSERT OR REPLACE INTO runs ({}) VALUES (?, ?, ?, ?, ?, "
                                         "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                                         kColumns));
  insert.bind(run.id).bind(run.command).bind(run.pattern).bind(run.layers).bind(run.heads);
  insert.bind(static_cast<int64_t>(run.seed)).bind(run.metric);
  insert.bind(static_cast<int64_t>(run.higher_is_better)).bind(run.value).bind(run.density);
  insert.bind(Json(run.layer_density).dump()).bind(run.tokens_per_second).bind(run.seconds);
  insert.bind(run.best_step).bind(run.steps).bind(run.memory_peak);
  insert.bind(run.version).bind(run.machine).bind(run.finished);
  insert.step();
}

void write_details(const Database& database, const RunRecord& run) {
  Json curve = Json::array();
  for (const LossPoint& point : run.details.curve) curve.push_back({point.step, point.loss});
  Statement details(database, "INSERT OR REPLACE INTO details VALUES (?, ?, ?, ?)");
  details.bind(run.id).bind(run.details.config).bind(curve.dump()).bind(run.details.degrees);
  details.step();
  Statement forget(database, "DELETE FROM evaluations WHERE id = ?");
  forget.bind(run.id).step();
  Statement insert(database, "INSERT INTO evaluations VALUES (?, ?, ?, ?, ?)");
  for (const EvaluationRecord& each : run.details.evaluations) {
    insert.bind(run.id).bind(each.step).bind(each.loss).bind(each.metric).bind(each.density);
    insert.step();
    insert.reset();
  }
}

RunDetails read_details(const Database& database, const std::string& id) {
  RunDetails details;
  Statement row(database, "SELECT config, curve, degrees FROM details WHERE id = ?");
  if (row.bind(id).step()) {
    details.config = row.text();
    for (const Json& point : Json::parse(row.text())) {
      const bool finite = !point.at(1).is_null();  // JSON has no NaN
      details.curve.push_back({point.at(0), finite ? point.at(1).get<double>() : std::nan("")});
    }
    details.degrees = row.text();
  }
  Statement each(database,
                 "SELECT step, loss, metric, density FROM evaluations WHERE id = ? ORDER BY step");
  each.bind(id);
  while (each.step()) {
    EvaluationRecord evaluation;
    evaluation.step = each.integer();
    evaluation.loss = each.real();
    evaluation.metric = each.real();
    evaluation.density = each.real();
    details.evaluations.push_back(evaluation);
  }
  return details;
}

}  // namespace

struct RunStore::Impl {
  Database database;

  Impl(const std::filesystem::path& path, bool must_exist) : database(path, must_exist) {
    if (version_of(database) == kVersion) return;
    database.transaction([&] {  // another process may have been faster
      const int64_t version = version_of(database);
      if (version > kVersion) {
        throw FileError(
            path.string(),
            fmt::format("the run store has version {}, this program knows {}", version, kVersion),
            "it was written by a newer Filigree: use that one, or another folder");
      }
      for (int64_t v = version; v < kVersion; ++v) database.execute(kMigrations[v]);
      database.execute(fmt::format("PRAGMA user_version = {}", kVersion).c_str());
    });
  }
};

RunStore::RunStore(const std::filesystem::path& path, bool must_exist)
    : impl_(std::make_unique<Impl>(path, must_exist)) {}

RunStore::~RunStore() = default;

void RunStore::put(const RunRecord& run) {
  impl_->database.transaction([&] {
    write_run(impl_->database, run);
    write_details(impl_->database, run);
    Statement forget(impl_->database, "DELETE FROM failures WHERE id = ?");
    forget.bind(run.id).step();
  });
}

bool RunStore::contains(const std::string& id) const {
  Statement query(impl_->database, "SELECT 1 FROM runs WHERE id = ?");
  return query.bind(id).step();
}

std::optional<RunRecord> RunStore::find(const std::string& id) const {
  Statement query(impl_->database, fmt::format("SELECT {} FROM runs WHERE id = ?", kColumns));
  if (!query.bind(id).step()) return std::nullopt;
  RunRecord run = read_run(query);
  run.details = read_details(impl_->database, id);
  return run;
}

std::vector<RunRecord> RunStore::all() const {
  Statement query(impl_->database, fmt::format("SELECT {} FROM runs ORDER BY rowid", kColumns));
  std::vector<RunRecord> runs;
  while (query.step()) runs.push_back(read_run(query));
  return runs;
}

void RunStore::put_failure(const std::string& id, const std::string& error) {
  Statement insert(impl_->database, "INSERT OR REPLACE INTO failures VALUES (?, ?)");
  insert.bind(id).bind(error).step();
}

std::optional<std::string> RunStore::failure(const std::string& id) const {
  Statement query(impl_->database, "SELECT error FROM failures WHERE id = ?");
  if (!query.bind(id).step()) return std::nullopt;
  return query.text();
}

void RunStore::forget_failures() { impl_->database.execute("DELETE FROM failures"); }

void RunStore::put_study(const StudyRecord& study) {
  Database& database = impl_->database;
  database.transaction([&] {
    database.execute("DELETE FROM study; DELETE FROM planned");
    Statement head(database, "INSERT INTO study VALUES (?, ?, ?, ?, ?)");
    head.bind(Json(study.axes).dump()).bind(Json(study.levels).dump());
    head.bind(study.question).bind(study.baseline).bind(Json(study.claims).dump()).step();
    Statement insert(database, "INSERT INTO planned (id, levels, seed) VALUES (?, ?, ?)");
    for (const PlannedRecord& run : study.runs) {
      insert.bind(run.id).bind(Json(run.levels).dump()).bind(static_cast<int64_t>(run.seed));
      insert.step();
      insert.reset();
    }
  });
}

std::optional<StudyRecord> RunStore::study() const {
  Statement head(impl_->database, "SELECT axes, levels, question, baseline, claims FROM study");
  if (!head.step()) return std::nullopt;
  StudyRecord study;
  study.axes = Json::parse(head.text()).get<std::vector<std::string>>();
  study.levels = Json::parse(head.text()).get<std::vector<std::vector<std::string>>>();
  study.question = head.text();
  study.baseline = head.text();
  study.claims = Json::parse(head.text()).get<std::vector<std::pair<std::string, std::string>>>();
  Statement query(impl_->database, "SELECT id, levels, seed FROM planned ORDER BY place");
  while (query.step()) {
    PlannedRecord run;
    run.id = query.text();
    run.levels = Json::parse(query.text()).get<std::vector<std::string>>();
    run.seed = static_cast<uint64_t>(query.integer());
    study.runs.push_back(std::move(run));
  }
  return study;
}

}  // namespace filigree
