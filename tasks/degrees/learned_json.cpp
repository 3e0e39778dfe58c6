#include "tasks/degrees/learned_json.h"

#include <nlohmann/json.hpp>

namespace filigree {

namespace {

using nlohmann::json;

json or_null(const std::vector<double>& values) {
  return values.empty() ? json(nullptr) : json(values);
}

}  // namespace

std::string to_json(const LearnedHeads& heads, const std::vector<HardHead>& hard,
                    const std::string& pattern) {
  json all = json::array();
  for (size_t k = 0; k < heads.all.size(); ++k) {
    const LearnedHead& head = heads.all[k];
    json one = {{"layer", head.layer},        {"head", head.head},
                {"gate", head.gate},          {"node", or_null(head.node)},
                {"edge", or_null(head.edge)}, {"mean_reach", head.mean_reach},
                {"density", head.density}};
    if (!hard.empty()) one["hard"] = {{"pattern", hard[k].pattern}, {"reach", hard[k].reach}};
    all.push_back(std::move(one));
  }
  return json{{"learner", heads.learner},
              {"reach", heads.reach},
              {"density", heads.density},
              {"pattern", pattern},
              {"heads", all}}
      .dump();
}

}  // namespace filigree
