#include "tasks/study/machine.h"

#include <ctime>
#include <fmt/format.h>
#include <fstream>
#include <thread>
#include <unistd.h>

#include "core/parallel.h"

namespace filigree {

namespace {

/// "model name" of /proc/cpuinfo, where there is one.
std::string processor() {
  std::ifstream lines("/proc/cpuinfo");
  for (std::string line; std::getline(lines, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "processor not known";
}

}  // namespace

std::string machine_name() {
  char host[256] = {};
  if (gethostname(host, sizeof host - 1) != 0) host[0] = '?';
  return fmt::format("{}, {} of {} cores, {}", processor(), thread_count(),
                     std::thread::hardware_concurrency(), host);
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm utc = {};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

}  // namespace filigree
