// Every op that autograd/ops declares has an OpCase.
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <regex>
#include <set>
#include <sstream>

#include "op_case.h"

namespace filigree::testing {

TEST(OpRegistry, EveryOpHasACase) {
  std::set<std::string> cases;
  std::set<std::string> names;
  for (const OpCase& c : op_cases()) {
    EXPECT_TRUE(names.insert(c.op).second) << "two cases called " << c.op;
    cases.insert(c.op.substr(0, c.op.find('/')));
  }
  const std::regex declaration("(^|\n)(inline )?Variables? (\\w+)\\(");
  std::set<std::string> ops;
  for (const auto& entry :
       std::filesystem::directory_iterator(FILIGREE_SOURCE_DIR "/autograd/ops")) {
    if (entry.path().extension() != ".h") continue;
    std::ostringstream text;
    text << std::ifstream(entry.path()).rdbuf();
    const std::string source = text.str();
    for (std::sregex_iterator it(source.begin(), source.end(), declaration), end; it != end; ++it) {
      ops.insert((*it)[3]);
    }
  }
  EXPECT_GT(ops.size(), 25u);
  for (const std::string& op : ops) EXPECT_TRUE(cases.contains(op)) << op << " has no OpCase";
  for (const std::string& op : cases) EXPECT_TRUE(ops.contains(op)) << op << " is no op any more";
}

}  // namespace filigree::testing
