// Devices: where a tensor lives and a kernel runs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace filigree {

enum class DeviceType : uint8_t { cpu, cuda };

struct Device {
  DeviceType type = DeviceType::cpu;
  int index = 0;

  bool is_cpu() const { return type == DeviceType::cpu; }
  bool operator==(const Device&) const = default;
};

inline constexpr Device kCpu{};

/// "cpu", "cuda:0".
std::string name_of(Device device);
/// Reads "cpu", "cuda", "cuda:1"; throws ConfigError otherwise.
Device parse_device(std::string_view text);

}  // namespace filigree
