// The kinds of runs there are. Private to tasks/study.
#pragma once

#include "tasks/study/run_kind.h"

namespace filigree {

extern const RunKind kTrainKind, kLearnKind;
extern const RunKind kPermutedKind, kEvenKind, kShuffledKind, kRewiredKind;

}  // namespace filigree
