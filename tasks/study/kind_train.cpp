// A run by `filigree train`.
#include "tasks/study/kinds.h"

namespace filigree {

namespace {

void check(const TrainConfig& config) { config.validate(); }

std::string identity(const TrainConfig&) { return ""; }

double work(const TrainConfig&) { return 1; }

RunRecord run(const RunRequest& request, bool& stopped) {
  const TrainResult result = train(request.config, request.folder, true, request.observer);
  stopped = result.stopped;
  return stopped ? RunRecord{} : record_of(request.config, result, request.folder);
}

}  // namespace

const RunKind kTrainKind{"train", "as `filigree train`", false, check, identity, work, run};

}  // namespace filigree
