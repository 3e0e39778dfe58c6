// Several processes of this program at work on one study.
#pragma once

#include <span>
#include <string>

namespace filigree {

/// Starts `count` processes "filigree ablate WORDS --worker" and waits for all. They share the
/// cores, end when this process does, and get its SIGINT and SIGTERM. False if one of them ended
/// with an error or by a signal; the others went on. Throws DeviceError if none can be started.
bool run_worker_processes(int count, std::span<const std::string> words);

}  // namespace filigree
