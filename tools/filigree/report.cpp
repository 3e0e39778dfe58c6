// filigree report: a study as one HTML page.
#include "tasks/report/report.h"

#include <fmt/format.h>

#include "core/allocator.h"
#include "core/error.h"
#include "core/file.h"
#include "tasks/study/study.h"
#include "tools/filigree/command.h"
#include "tools/filigree/options.h"

namespace filigree {

namespace {

int run(std::span<const std::string> words) {
  std::string folder, out;
  Options cli(
      "report FOLDER [--out FILE.html]",
      "The study in a folder of `filigree ablate` as one HTML page that needs nothing else: "
      "tables,\npictures, and what its runs say about its claims. May be made at any time.");
  cli.word("folder", folder, "folder of the study");
  cli.add("out", out, "file of the page [FOLDER/report.html]");
  if (!cli.parse(words)) return 0;
  if (folder.empty()) {
    throw ConfigError("report", "which study?", "name its folder: filigree report FOLDER");
  }
  if (out.empty()) out = folder + "/report.html";
  const RunStore store(store_path(folder), true);
  expect_writable(out);
  const std::string page = study_report(store, folder);
  write_file(out, page);
  fmt::print("wrote {}, {}\n", out, human_bytes(static_cast<int64_t>(page.size())));
  return 0;
}

const RegisterCommand registered{{"report", "a study as one HTML page", run}};

}  // namespace

}  // namespace filigree
