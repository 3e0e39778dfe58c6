// A store with made-up runs, for tests of the report.
#pragma once

#include <cmath>
#include <string>

#include "tasks/study/run_store.h"

namespace filigree::testing {

inline RunRecord made_up_run(const std::string& id, uint64_t seed, double value, double density) {
  RunRecord run;
  run.id = id;
  run.command = "train";
  run.pattern = "neighbour:2 & random:1";
  run.layers = run.heads = "all";
  run.seed = seed;
  run.metric = "accuracy";
  run.value = value;
  run.density = density;
  run.tokens_per_second = 1000 + 10.0 * static_cast<double>(seed);
  run.seconds = 60;
  run.steps = run.best_step = 40;
  run.memory_peak = 5 << 20;
  run.machine = "a machine";
  run.version = "0.1";
  run.finished = "2026-01-31T12:00:00Z";
  run.details.config = "[train]\nsteps = 40\n";
  for (int64_t step = 0; step <= 40; step += 10) {
    const auto x = static_cast<double>(step);
    run.details.evaluations.push_back({step, 1 - x / 100, value * x / 40, density});
    run.details.curve.push_back({step, 2 - x / 40});
  }
  return run;
}

/// Masks dense, near and "<b>&\"odd's\"" in two placements with three seeds; of the odd one in the
/// last layers one run is missing and one has no finite value.
inline void fill_example(RunStore& store) {
  StudyRecord study;
  study.question = "Which <script>alert(1)</script> mask?";
  study.axes = {"mask", "layers"};
  study.levels = {{"dense", "near", "<b>&\"odd's\""}, {"all", "last:1"}};
  study.baseline = "mask=dense";
  study.claims = {{"C1", "mask=dense > mask=near; dense is better"},
                  {"C2", "mask=near > mask=dense - 0.5"},
                  {"C3", "layers=all > layers=last:1 @ mask=near"}};
  int number = 0;
  for (const std::string& mask : study.levels[0]) {
    for (const std::string& layers : study.levels[1]) {
      for (uint64_t seed = 1; seed <= 3; ++seed) {
        const std::string id = "run" + std::to_string(number++);
        study.runs.push_back({id, {mask, layers}, seed});
        const bool odd = mask[0] == '<' && layers == "last:1";
        if (odd && seed == 3) continue;
        double value = (mask == "dense" ? 0.9 : 0.6) + 0.01 * static_cast<double>(seed * seed);
        if (mask == "near" && seed == 2) value += 0.003;
        if (odd && seed == 2) value = std::nan("");
        store.put(made_up_run(id, seed, value, mask == "dense" ? 1 : layers == "all" ? 0.2 : 0.6));
      }
    }
  }
  RunRecord learned = made_up_run("run6", 1, 0.61, 0.2);  // one of near, learned
  learned.command = "learn";
  learned.details.degrees =
      R"({"heads": [{"layer": 0, "head": 1, "gate": [1, 0.5, 0.25], "node": [0.5, 0.25, 0.25],
          "edge": null, "mean_reach": 0.75, "density": 0.1,
          "hard": {"pattern": "neighbour:1", "reach": 1}}]})";
  store.put(learned);
  store.put_study(study);
}

}  // namespace filigree::testing
