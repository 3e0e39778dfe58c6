// The report in a browser: no script error, no request, tables that sort, filter and save.
#include <cstdlib>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "tasks/report/report.h"
#include "tests/tasks/report/example_study.h"
#include "tests/temporary_folder.h"

namespace filigree {

namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::TemporaryFolder;

namespace fs = std::filesystem;

// Works the page as a reader does, and writes what came of it at its end.
constexpr const char* kReader = R"(<script>
"use strict";
const said = [];
addEventListener("error", (event) => said.push("error " + event.message));
addEventListener("securitypolicyviolation", (event) => said.push("blocked " + event.blockedURI));
const box = document.querySelector("#table .table"), table = box.querySelector("table");
const column = [...table.tHead.rows[0].cells].findIndex((head) => head.textContent === "mean");
const means = () => [...table.tBodies[0].rows].map((row) => row.cells[column].textContent).join(" ");
const head = table.tHead.rows[0].cells[column];
head.querySelector("button").click();
said.push("up " + means(), head.getAttribute("aria-sort"));
head.querySelector("button").click();
said.push("down " + means(), head.getAttribute("aria-sort"));
const input = box.querySelector("input");
input.value = "near last";
input.dispatchEvent(new Event("input"));
said.push("left " + [...table.tBodies[0].rows].filter((row) => !row.hidden).length);
const blobs = [];
URL.createObjectURL = (blob) => { blobs.push(blob); return "#"; };
box.querySelector(".csv").click();
document.querySelector("figure .svg")?.click();
Promise.all(blobs.map((blob) => blob.text())).then((texts) => {
  said.push("csv " + texts[0].split("\n")[0], "svg " + (texts[1] ?? "none").slice(0, 4));
  const result = document.createElement("pre");
  result.id = "said";
  result.textContent = said.join("\n");
  document.body.append(result);
});
</script>)";

struct Browser {
  std::string page, log, net;
};

/// Opens a file in headless Chromium; what it made of the page, and what it logged.
Browser open(const TemporaryFolder& folder, const fs::path& file) {
  const fs::path page = folder.path() / "dump", log = folder.path() / "log",
                 net = folder.path() / "net.json";
  const std::string command =
      "chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage "
      "--disable-background-networking --disable-component-update --no-first-run "
      "--enable-logging=stderr --virtual-time-budget=5000 --user-data-dir=" +
      (folder.path() / "profile").string() + " --log-net-log=" + net.string() +
      " --dump-dom file://" + file.string() + " > " + page.string() + " 2> " + log.string();
  EXPECT_EQ(std::system(command.c_str()), 0) << read_file(log);
  return {read_file(page), read_file(log), read_file(net)};
}

/// Requests that a page from a file made over the network; the browser's own are not counted.
int64_t requests_of_page(const Browser& browser) {
  int64_t count = 0;
  const auto log = nlohmann::json::parse(browser.net);
  for (const auto& event : log.at("events")) {
    const auto parameters = event.find("params");
    if (parameters == event.end()) continue;
    const std::string from = parameters->value("network_isolation_key", "");
    const std::string url = parameters->value("url", "");
    count += from.starts_with("file:") && url.starts_with("http") ? 1 : 0;
  }
  return count;
}

}  // namespace

TEST(ReportInABrowser, HasNoErrorAsksForNothingAndWorks) {
  if (std::system("command -v chromium > /dev/null 2>&1") != 0) {
    GTEST_SKIP() << "chromium is not installed";
  }
  const TemporaryFolder folder;
  RunStore store(folder.path() / "runs.sqlite");
  testing::fill_example(store);
  std::string page = study_report(store);
  page.insert(page.rfind("</body>"), kReader);
  const fs::path file = folder.path() / "report.html";
  write_file(file, page);
  const Browser seen = open(folder, file);
  const size_t at = seen.page.find("<pre id=\"said\">");
  ASSERT_NE(at, std::string::npos) << seen.log;
  const std::string said = seen.page.substr(at);
  EXPECT_THAT(said, AllOf(Not(HasSubstr("error")), Not(HasSubstr("blocked"))));
  EXPECT_THAT(said, HasSubstr("up 0.6100 0.6467 0.6477 0.6477 0.9467 0.9467\nascending"));
  EXPECT_THAT(said, HasSubstr("down 0.9467 0.9467 0.6477 0.6477 0.6467 0.6100\ndescending"));
  EXPECT_THAT(said, HasSubstr("left 1"));
  EXPECT_THAT(said, HasSubstr("csv mask,layers,metric,"));
  EXPECT_THAT(
      said, HasSubstr(seen.page.find("<figure") == std::string::npos ? "svg none" : "svg &lt;svg"));
  EXPECT_THAT(seen.log, Not(HasSubstr("CONSOLE"))) << "errors and warnings of the page";
  EXPECT_EQ(requests_of_page(seen), 0);
  // The same page without its policy and with a picture from elsewhere: that would be seen.
  const std::string policy = "Content-Security-Policy";
  page.replace(page.find(policy), policy.size(), "x-policy");
  page.insert(page.rfind("</body>"), "<img src=\"http://example.invalid/x.png\">");
  write_file(file, page);
  EXPECT_GT(requests_of_page(open(folder, file)), 0);
}

}  // namespace filigree
