#include "attention/crossover.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fmt/format.h>
#include <iterator>
#include <nlohmann/json.hpp>
#include <span>
#include <tuple>
#include <utility>

#include "core/error.h"
#include "core/file.h"

namespace filigree {

namespace {

using Json = nlohmann::json;

constexpr const char* kFormat = "filigree crossover 1";

template <class Costs>
struct CostName {
  const char* name;
  double Costs::*cost;
};
template <class Costs>
constexpr std::array<CostName<Costs>, 5> kCostNames;
template <>
constexpr std::array<CostName<KernelCosts>, 5> kCostNames<KernelCosts>{
    {{"pair", &KernelCosts::pair},
     {"tile_row", &KernelCosts::tile_row},
     {"edge", &KernelCosts::edge},
     {"column", &KernelCosts::column},
     {"edge_row", &KernelCosts::edge_row}}};
template <>
constexpr std::array<CostName<DeviceCosts>, 5> kCostNames<DeviceCosts>{
    {{"tile", &DeviceCosts::tile},
     {"part", &DeviceCosts::part},
     {"tile_row", &DeviceCosts::tile_row},
     {"edge", &DeviceCosts::edge},
     {"edge_row", &DeviceCosts::edge_row}}};

template <class Costs>
Costs mixed(const Costs& a, double share_a, const Costs& b, double share_b) {
  Costs result;
  for (const auto& [name, cost] : kCostNames<Costs>) {
    result.*cost = share_a * a.*cost + share_b * b.*cost;
  }
  return result;
}

/// Costs for heads of size dim by the rows of which wanted(row) is true: between two of them by
/// their distance, outside in proportion to dim; nothing if there are none. Rows ascend in dim.
template <class Costs, class Row, class Wanted>
std::optional<Costs> costs_at(const std::vector<Row>& rows, int64_t dim, Wanted wanted) {
  const Row *below = nullptr, *above = nullptr;
  for (const Row& row : rows) {
    if (!wanted(row)) continue;
    if (row.dim <= dim) below = &row;
    if (row.dim >= dim && !above) above = &row;
  }
  if (!below && !above) return std::nullopt;
  const auto size = static_cast<double>(dim);
  if (!below || !above) {
    const Row& nearest = below ? *below : *above;
    return mixed<Costs>(nearest.costs, size / static_cast<double>(nearest.dim), {}, 0);
  }
  if (below == above) return below->costs;
  const auto low = static_cast<double>(below->dim), high = static_cast<double>(above->dim);
  return mixed<Costs>(below->costs, (high - size) / (high - low), above->costs,
                      (size - low) / (high - low));
}

/// Whether they exclude each other.
bool same(const CrossoverTable::Row& a, const CrossoverTable::Row& b) {
  return a.dtype == b.dtype && a.dim == b.dim;
}
bool same(const CrossoverTable::DeviceRow& a, const CrossoverTable::DeviceRow& b) {
  return a.device == b.device && a.dtype == b.dtype && a.dim == b.dim;
}

/// `rows`, and those of `old` that none of them excludes.
template <class Row>
std::vector<Row> replaced(const std::vector<Row>& old, std::vector<Row> rows) {
  const auto is_new = [fresh = rows](const Row& row) {
    return std::ranges::any_of(fresh, [&](const Row& each) { return same(each, row); });
  };
  std::ranges::remove_copy_if(old, std::back_inserter(rows), is_new);
  return rows;
}

/// Throws ConfigError if a row makes no sense: the costs that must be above 0 are `needed`.
template <class Costs, class Row>
void expect_sound(const std::vector<Row>& rows, std::array<double Costs::*, 2> needed) {
  constexpr double kMostNanoseconds = 1e9;  // for one edge, pair, tile, column or row
  for (const Row& row : rows) {
    const bool twice = std::ranges::count_if(rows, [&](const Row& r) { return same(r, row); }) > 1;
    bool sound = row.dim > 0 && !twice;
    for (const auto& [name, cost] : kCostNames<Costs>) {
      sound &= row.costs.*cost >= 0 && row.costs.*cost <= kMostNanoseconds;
    }
    for (double Costs::*cost : needed) sound &= row.costs.*cost > 0;
    if (sound) continue;
    throw ConfigError("crossover table",
                      fmt::format("the costs of {} heads of {} {}", name_of(row.dtype), row.dim,
                                  twice ? "stand there twice" : "make no sense"));
  }
}

/// A row of the file; refuse(fault) throws.
template <class Row, class Refuse>
Row parse_row(const Json& item, std::span<const DType> dtypes, Refuse refuse) {
  if (!item.is_object()) refuse("a row is no object");
  Row row{};
  const Json dtype = item.value("dtype", Json()), dim = item.value("dim", Json());
  const auto found =
      std::ranges::find_if(dtypes, [&](DType each) { return dtype == Json(name_of(each)); });
  if (found == dtypes.end()) refuse("a row has no dtype that its kernels compute");
  if (!dim.is_number_unsigned() || dim.get<uint64_t>() > 1u << 20) refuse("a dim is no size");
  row.dtype = *found;
  row.dim = dim.get<int64_t>();
  for (const auto& [name, cost] : kCostNames<decltype(row.costs)>) {
    if (!item.contains(name) || !item[name].is_number()) {
      refuse(fmt::format("a row has no cost \"{}\"", name));
    }
    row.costs.*cost = item[name].template get<double>();
  }
  return row;
}
template <class Row>
Json to_json(const Row& row) {
  Json item{{"dtype", std::string(name_of(row.dtype))}, {"dim", row.dim}};
  for (const auto& [name, cost] : kCostNames<decltype(row.costs)>) item[name] = row.costs.*cost;
  return item;
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

CrossoverTable::CrossoverTable(std::string source, std::vector<Row> rows,
                               std::vector<DeviceRow> devices)
    : source_(std::move(source)), rows_(std::move(rows)), devices_(std::move(devices)) {
  std::ranges::sort(rows_, {}, [](const Row& row) { return std::tuple(row.dtype, row.dim); });
  std::ranges::sort(devices_, {}, [](const DeviceRow& row) {
    return std::tuple(row.device, row.dtype, row.dim);
  });
  for (const DType dtype : kCpuDTypes) {
    if (!rows_.empty() &&
        std::ranges::none_of(rows_, [&](const Row& row) { return row.dtype == dtype; })) {
      throw ConfigError("crossover table", fmt::format("no costs for {}", name_of(dtype)));
    }
  }
  expect_sound<KernelCosts>(rows_, {&KernelCosts::pair, &KernelCosts::edge});
  expect_sound<DeviceCosts>(devices_, {&DeviceCosts::tile, &DeviceCosts::edge});
}

CrossoverTable CrossoverTable::with(const std::vector<Row>& rows,
                                    const std::vector<DeviceRow>& devices) const {
  return {source_, replaced(rows_, rows), replaced(devices_, devices)};
}

KernelCosts CrossoverTable::at(DType dtype, int64_t dim) const {
  // The constructor has seen to it that there is a row.
  const std::vector<Row>& rows = rows_.empty() ? shipped().rows_ : rows_;
  return costs_at<KernelCosts>(rows, dim, [&](const Row& row) { return row.dtype == dtype; })
      .value();
}

std::optional<DeviceCosts> CrossoverTable::at(const std::string& device, DType dtype,
                                              int64_t dim) const {
  return costs_at<DeviceCosts>(devices_, dim, [&](const DeviceRow& row) {
    return row.device == device && row.dtype == dtype;
  });
}

CrossoverTable CrossoverTable::load(const std::filesystem::path& path) {
  const Json json = Json::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
  const auto refuse = [&](std::string_view fault) {
    throw DataError(path.string(), fmt::format("is no crossover table: {}", fault),
                    "remove it, or name another file; FILIGREE_CROSSOVER=shipped does without any");
  };
  if (!json.is_object() || json.value("format", Json()) != kFormat) {
    refuse(fmt::format("expected a JSON object of format \"{}\"", kFormat));
  }
  const Json of_cpu = json.value("rows", Json::array());
  if (!of_cpu.is_array()) refuse("its rows are no list");
  std::vector<Row> rows;
  for (const Json& item : of_cpu) rows.push_back(parse_row<Row>(item, kCpuDTypes, refuse));
  constexpr std::array kAnyDType{DType::f32, DType::f64, DType::bf16};
  std::vector<DeviceRow> devices;
  const Json measured = json.value("devices", Json::array());
  if (!measured.is_array()) refuse("its devices are no list");
  for (const Json& item : measured) {
    DeviceRow row = parse_row<DeviceRow>(item, kAnyDType, refuse);
    const Json device = item.value("device", Json());
    if (!device.is_string()) refuse("a row of a device does not say of which");
    row.device = device.get<std::string>();
    devices.push_back(std::move(row));
  }
  if (rows.empty() && devices.empty()) refuse("it has no costs");
  try {
    return {path.string(), std::move(rows), std::move(devices)};
  } catch (const ConfigError& error) {
    refuse(error.what());
  }
  throw DataError(path.string(), "is no crossover table");
}

void CrossoverTable::save(const std::filesystem::path& path) const {
  Json rows = Json::array(), devices = Json::array();
  for (const Row& row : rows_) rows.push_back(to_json(row));
  for (const DeviceRow& row : devices_) {
    devices.push_back(to_json(row));
    devices.back()["device"] = row.device;
  }
  if (path.has_parent_path()) make_folders(path.parent_path());
  write_file(path, Json{{"format", kFormat}, {"rows", rows}, {"devices", devices}}.dump(1) + "\n");
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
