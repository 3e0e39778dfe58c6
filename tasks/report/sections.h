// The sections of a report. Private to tasks/report.
#pragma once

#include <string>

#include "tasks/report/report.h"

namespace filigree {

extern const ReportSection kClaimsSection, kTableSection, kCurvesSection, kHeatSection,
    kDegreesSection, kGraphsSection, kTrainingSection, kRunsSection;

/// "mask = near, layers = all", without axis `without` (npos: none).
std::string name_of(const StudyTable& table, const StudyRow& row,
                    size_t without = std::string::npos);

}  // namespace filigree
