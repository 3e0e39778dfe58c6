// How training shows itself: one line that renews itself on a terminal, plain lines elsewhere.
#pragma once

#include "tasks/training/trainer.h"

namespace filigree {

/// Prints notes, evaluations and progress to the standard error output; `stop` asks the
/// StopRequest.
TrainObserver print_progress(int64_t log_every);

/// "1h02m", "3m20s", "12s"; "?" for what is not finite.
std::string human_seconds(double seconds);

}  // namespace filigree
