// The machine a run was made on.
#pragma once

#include <string>

namespace filigree {

/// "AMD EPYC 7B13, 1 of 2 cores, host": processor, threads of this process, cores, name.
std::string machine_name();

/// Now, UTC: "2026-01-31T12:00:00Z".
std::string utc_now();

}  // namespace filigree
