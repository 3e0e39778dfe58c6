// What a model's degrees are learned by, as it stands in a checkpoint.
#pragma once

#include <cstdint>
#include <string>

namespace filigree {

struct DegreeConfig {
  std::string learner;          ///< name in the table of learners; "": degrees are not learned
  int64_t reach = 0;            ///< R: no token looks further, but for what is always on
  std::string share = "head";   ///< head: each its own; layer: a layer's heads one; model: all one
  std::string start = "dense";  ///< dense, local or uniform
  /// Pattern of the tokens whose rows and columns are left alone, as "global:cls"; "none" for none.
  std::string globals = "none";
  /// Every token draws its own reach (of a learner that has a distribution), instead of a gate.
  bool draws = false;

  bool learned() const { return !learner.empty(); }
  bool operator==(const DegreeConfig&) const = default;
};

}  // namespace filigree
