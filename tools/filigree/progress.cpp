#include "tools/filigree/progress.h"

#include <chrono>
#include <cmath>
#include <cstdio>
#include <fmt/format.h>
#include <unistd.h>

#include "core/allocator.h"
#include "tasks/training/stop_request.h"

namespace filigree {

namespace {

std::string line_of(const Progress& p) {
  return fmt::format("step {}/{}  loss {:.4f}  lr {:.2e}  |g| {:.3f}  {:.0f} tokens/s  {} left  {}",
                     p.step, p.steps, p.loss, p.learning_rate, p.gradient_norm, p.tokens_per_second,
                     human_seconds(p.seconds_left), human_bytes(p.memory));
}

}  // namespace

std::string human_seconds(double seconds) {
  if (!std::isfinite(seconds)) return "?";
  const auto s = static_cast<int64_t>(std::llround(seconds));
  if (s >= 3600) return fmt::format("{}h{:02}m", s / 3600, s % 3600 / 60);
  if (s >= 60) return fmt::format("{}m{:02}s", s / 60, s % 60);
  return fmt::format("{}s", s);
}

TrainObserver print_progress(int64_t log_every) {
  const bool terminal = isatty(fileno(stderr)) == 1;
  const char* clear = terminal ? "\r\x1b[K" : "";
  TrainObserver observer;
  observer.step = [terminal, log_every,
                   last = std::chrono::steady_clock::time_point()](const Progress& p) mutable {
    if (!terminal) {
      if (p.step % log_every == 0) fmt::print(stderr, "{}\n", line_of(p));
      return;
    }
    const auto now = std::chrono::steady_clock::now();
    if (now - last < std::chrono::milliseconds(200) && p.step != p.steps) return;
    last = now;
    fmt::print(stderr, "\r\x1b[K{}", line_of(p));
    std::fflush(stderr);
  };
  observer.evaluated = [clear](int64_t step, const Metrics& m, bool best) {
    std::string values;
    for (const NamedValue& each : m.values) {
      values += fmt::format("  {} {:.4f}", each.name, each.value);
    }
    fmt::print(stderr, "{}step {}: loss {:.4f}{}  density {:.2f}%{}\n", clear, step, m.loss, values,
               100 * m.density, best ? "  (best)" : "");
  };
  observer.note = [clear](const std::string& text) { fmt::print(stderr, "{}{}\n", clear, text); };
  observer.stop = [] { return StopRequest::requested(); };
  return observer;
}

}  // namespace filigree
