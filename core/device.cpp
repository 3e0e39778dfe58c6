#include "core/device.h"

#include <charconv>
#include <fmt/format.h>

#include "core/error.h"

namespace filigree {

std::string name_of(Device device) {
  return device.is_cpu() ? "cpu" : fmt::format("cuda:{}", device.index);
}

Device parse_device(std::string_view text) {
  if (text == "cpu") return kCpu;
  if (text == "cuda") return {DeviceType::cuda, 0};
  constexpr std::string_view kPrefix = "cuda:";
  if (text.starts_with(kPrefix)) {
    const std::string_view digits = text.substr(kPrefix.size());
    int index = 0;
    const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
    if (code == std::errc() && end == digits.data() + digits.size() && index >= 0) {
      return {DeviceType::cuda, index};
    }
  }
  throw ConfigError("device", fmt::format("expected cpu, cuda or cuda:N, got \"{}\"", text));
}

}  // namespace filigree
