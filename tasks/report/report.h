// The report of a study: one HTML page that needs nothing else.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tasks/study/study_table.h"

namespace filigree {

/// What the sections of a report are made of.
struct ReportData {
  const RunStore& store;
  std::filesystem::path folder;  ///< of the study; empty: its models are not looked at
  StudyRecord study;
  std::vector<RunRecord> runs;  ///< without details
  StudyTable table;
  bool plots = true;  ///< false: gnuplot is not there
};

/// A part of the page. `body` is empty where there is nothing to show.
struct ReportSection {
  const char* id;
  const char* title;
  std::string (*body)(const ReportData&);
};

/// The page: title, what was run, and all sections (report.cpp has their table; a section is a file
/// section_NAME.cpp). The same store gives the same bytes. No text of the store is taken as HTML,
/// and the page may load nothing (Content-Security-Policy). Pictures are drawn by gnuplot; where it
/// is not installed the page says so and has its tables. Throws FileError.
std::string study_report(const RunStore& store, const std::filesystem::path& folder = {});

}  // namespace filigree
