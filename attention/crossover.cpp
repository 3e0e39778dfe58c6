#include "attention/crossover.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"

namespace filigree {

namespace {

using Json = nlohmann::json;

constexpr const char* kFormat = "filigree crossover 1";

struct CostName {
  const char* name;
  double KernelCosts::*cost;
};
constexpr CostName kCostNames[] = {{"pair", &KernelCosts::pair},
                                   {"tile_row", &KernelCosts::tile_row},
                                   {"edge", &KernelCosts::edge},
                                   {"column", &KernelCosts::column},
                                   {"edge_row", &KernelCosts::edge_row}};

KernelCosts mixed(const KernelCosts& a, double share_a, const KernelCosts& b, double share_b) {
  KernelCosts result;
  for (const auto& [name, cost] : kCostNames) result.*cost = share_a * a.*cost + share_b * b.*cost;
  return result;
}

CrossoverTable& current() {
  static CrossoverTable table = CrossoverTable::shipped();
  return table;
}

}  // namespace

const CrossoverTable& CrossoverTable::shipped() {
  static const CrossoverTable table("shipped", {{DType::f32, 32, {6.5, 209, 11.7, 42, 89}},
                                                {DType::f32, 64, {10.6, 270, 17.6, 53, 82}},
                                                {DType::f32, 96, {15.2, 414, 25.1, 85, 128}},
                                                {DType::f32, 128, {20.1, 597, 33.0, 161, 210}},
                                                {DType::f64, 32, {12.5, 154, 17.5, 58, 91}},
                                                {DType::f64, 64, {21.0, 317, 33.4, 142, 159}},
                                                {DType::f64, 96, {30.2, 569, 67.3, 256, 320}},
                                                {DType::f64, 128, {40.1, 920, 93.3, 394, 593}}});
  return table;
}

CrossoverTable::CrossoverTable(std::string source, std::vector<Row> rows)
    : source_(std::move(source)), rows_(std::move(rows)) {
  std::sort(rows_.begin(), rows_.end(), [](const Row& a, const Row& b) {
    return a.dtype != b.dtype ? a.dtype < b.dtype : a.dim < b.dim;
  });
  for (const DType dtype : {DType::f32, DType::f64}) {
    if (std::none_of(rows_.begin(), rows_.end(), [&](const Row& r) { return r.dtype == dtype; })) {
      throw ConfigError("crossover table", fmt::format("no costs for {}", name_of(dtype)));
    }
  }
  constexpr double kMostNanoseconds = 1e6;  // for one edge, pair, column or row
  for (const Row& row : rows_) {
    const bool twice = std::count_if(rows_.begin(), rows_.end(), [&](const Row& other) {
                         return other.dtype == row.dtype && other.dim == row.dim;
                       }) > 1;
    bool sound = row.dim > 0 && !twice;
    for (const auto& [name, cost] : kCostNames) {
      sound &= row.costs.*cost >= 0 && row.costs.*cost <= kMostNanoseconds;
    }
    if (!sound || row.costs.pair == 0 || row.costs.edge == 0) {
      throw ConfigError("crossover table",
                        fmt::format("the costs of {} heads of {} {}", name_of(row.dtype), row.dim,
                                    twice ? "stand there twice" : "make no sense"),
                        "measure again: filigree bench crossover --save");
    }
  }
}

KernelCosts CrossoverTable::at(DType dtype, int64_t dim) const {
  const Row *below = nullptr, *above = nullptr;
  for (const Row& row : rows_) {
    if (row.dtype != dtype) continue;
    if (row.dim <= dim) below = &row;
    if (row.dim >= dim && !above) above = &row;
  }
  const auto wanted = static_cast<double>(dim);
  if (!below || !above) {
    const Row& nearest = below ? *below : *above;
    return mixed(nearest.costs, wanted / static_cast<double>(nearest.dim), {}, 0);
  }
  if (below == above) return below->costs;
  const auto low = static_cast<double>(below->dim), high = static_cast<double>(above->dim);
  return mixed(below->costs, (high - wanted) / (high - low), above->costs,
               (wanted - low) / (high - low));
}

CrossoverTable CrossoverTable::load(const std::filesystem::path& path) {
  const Json json = Json::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
  const auto refuse = [&](std::string_view fault) {
    throw DataError(path.string(), fmt::format("is no crossover table: {}", fault),
                    "remove it, or set FILIGREE_CROSSOVER=shipped; measure again: filigree bench "
                    "crossover --save");
  };
  if (!json.is_object() || json.value("format", Json()) != kFormat) {
    refuse(fmt::format("expected a JSON object of format \"{}\"", kFormat));
  }
  if (!json.contains("rows") || !json["rows"].is_array()) refuse("it has no rows");
  std::vector<Row> rows;
  for (const Json& item : json["rows"]) {
    if (!item.is_object()) refuse("a row is no object");
    Row row{};
    const Json dtype = item.value("dtype", Json()), dim = item.value("dim", Json());
    if (dtype != "f32" && dtype != "f64") refuse("a dtype is neither f32 nor f64");
    if (!dim.is_number_unsigned() || dim.get<uint64_t>() > 1u << 20) refuse("a dim is no size");
    row.dtype = dtype == "f32" ? DType::f32 : DType::f64;
    row.dim = dim.get<int64_t>();
    for (const auto& [name, cost] : kCostNames) {
      if (!item.contains(name) || !item[name].is_number()) {
        refuse(fmt::format("a row has no cost \"{}\"", name));
      }
      row.costs.*cost = item[name].get<double>();
    }
    rows.push_back(row);
  }
  try {
    return {path.string(), std::move(rows)};
  } catch (const ConfigError& error) {
    refuse(error.what());
  }
  throw DataError(path.string(), "is no crossover table");
}

void CrossoverTable::save(const std::filesystem::path& path) const {
  Json rows = Json::array();
  for (const Row& row : rows_) {
    Json item{{"dtype", std::string(name_of(row.dtype))}, {"dim", row.dim}};
    for (const auto& [name, cost] : kCostNames) item[name] = row.costs.*cost;
    rows.push_back(std::move(item));
  }
  std::error_code failed;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), failed);
  if (failed) throw FileError(path.parent_path().string(), failed.message());
  write_file(path, Json{{"format", kFormat}, {"rows", rows}}.dump(1) + "\n");
}

const CrossoverTable& crossover_table() { return current(); }
void set_crossover_table(CrossoverTable table) { current() = std::move(table); }

std::filesystem::path crossover_path() {
  if (const char* chosen = std::getenv("FILIGREE_CROSSOVER")) {
    return std::string_view(chosen) == "shipped" ? std::filesystem::path() : chosen;
  }
  const std::filesystem::path file = std::filesystem::path("filigree") / "crossover.json";
  if (const char* config = std::getenv("XDG_CONFIG_HOME"); config && *config) return config / file;
  if (const char* home = std::getenv("HOME"); home && *home) {
    return std::filesystem::path(home) / ".config" / file;
  }
  return {};
}

}  // namespace filigree
