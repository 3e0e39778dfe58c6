// The crossover table: what each kernel costs, and hence which one computes a graph.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/dtype.h"

namespace filigree {

/// On the CPU: time of forward and backward of one head on one thread, in ns for each
struct KernelCosts {
  double pair = 0;      ///< query-key pair that tiles compute, edge or not
  double tile_row = 0;  ///< row of tiles
  double edge = 0;      ///< edge of the edges kernel
  double column = 0;    ///< column of a block of its queries
  double edge_row = 0;  ///< row of edges
};

/// On a device: time of forward and backward of one head while all its processors are at work, in
/// ns for each
struct DeviceCosts {
  double tile = 0;      ///< tile of 64 queries by 64 keys
  double part = 0;      ///< tile that is not full: so much more
  double tile_row = 0;  ///< 64 queries whose tiles are walked along, and 64 keys
  double edge = 0;      ///< edge of the edges kernel
  double edge_row = 0;  ///< token of the edges kernel
};

/// What is measured. Heads of f64, which check gradients, are computed by tiles on a device.
inline constexpr std::array kCpuDTypes{DType::f32, DType::f64};
inline constexpr std::array kDeviceDTypes{DType::bf16, DType::f32};

/// Costs for some sizes of heads, measured by `filigree bench crossover`.
class CrossoverTable {
 public:
  struct Row {
    DType dtype;
    int64_t dim;
    KernelCosts costs;
  };
  struct DeviceRow {
    std::string device;  ///< its description (DeviceBackend)
    DType dtype;
    int64_t dim;
    DeviceCosts costs;
  };
  /// Measured on one machine and shipped: ratios of these costs move little between machines.
  static const CrossoverTable& shipped();
  /// At least one row, of the CPU or a device. Throws FileError, DataError naming the fault.
  static CrossoverTable load(const std::filesystem::path& path);

  /// Rows of each of kCpuDTypes, or none: then those of the shipped table hold. None twice; costs
  /// not negative. Throws ConfigError.
  CrossoverTable(std::string source, std::vector<Row> rows, std::vector<DeviceRow> devices = {});
  /// This one, with these rows in place of those of the same dtype, size (and device). Throws
  /// ConfigError.
  CrossoverTable with(const std::vector<Row>& rows, const std::vector<DeviceRow>& devices) const;

  /// Costs for heads of size dim: between two rows by their distance, outside in proportion to dim.
  KernelCosts at(DType dtype, int64_t dim) const;
  /// The same on a device; nothing where that was not measured.
  std::optional<DeviceCosts> at(const std::string& device, DType dtype, int64_t dim) const;
  /// Where they come from, and those of the CPU.
  const std::string& source() const { return source_; }
  const std::string& cpu_source() const { return rows_.empty() ? shipped().source() : source_; }
  /// What it has of its own.
  const std::vector<Row>& rows() const { return rows_; }
  const std::vector<DeviceRow>& devices() const { return devices_; }
  /// Writes it whole or not at all. Throws FileError.
  void save(const std::filesystem::path& path) const;

 private:
  std::string source_;
  std::vector<Row> rows_;           // dims ascending
  std::vector<DeviceRow> devices_;  // the same of every device
};

/// The table that the process uses: the shipped one until another is set. Set it before the first
/// attention: graphs keep what was chosen for them. The choice of kernel decides the order of
/// summation, and so the last bits of results.
const CrossoverTable& crossover_table();
void set_crossover_table(CrossoverTable table);

/// Where `filigree bench crossover --save` puts this machine's table, and every command looks for
/// it: $FILIGREE_CROSSOVER, else $XDG_CONFIG_HOME/filigree/crossover.json, else
/// ~/.config/filigree/crossover.json; empty if none of the variables is set, or if
/// FILIGREE_CROSSOVER is "shipped".
std::filesystem::path crossover_path();

}  // namespace filigree
