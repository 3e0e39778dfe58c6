// `filigree bench crossover`: the table is measured, kept, used and refused.
#include <cstdlib>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/file.h"
#include "tests/tools/command_runner.h"

namespace filigree::testing {
namespace {

using ::testing::HasSubstr;

/// Where commands look for the table.
class CrossoverCommand : public ::testing::Test {
 protected:
  void SetUp() override { setenv("FILIGREE_CROSSOVER", table_.c_str(), 1); }
  void TearDown() override { unsetenv("FILIGREE_CROSSOVER"); }

  const TemporaryFolder folder_;
  const std::string table_ = folder_ / "crossover.json";
};

}  // namespace

TEST_F(CrossoverCommand, MeasuresAndSavesAndIsThenUsed) {
  EXPECT_THAT(run_command({"info"}).output, HasSubstr("shipped (CPU)"));
  const CommandResult result =
      run_command({"bench", "crossover", "--rounds", "1", "--dims", "4,9", "--save"});
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("wrote " + table_));
  EXPECT_THAT(run_command({"info"}).output, HasSubstr(table_ + " (CPU)"));
}

TEST_F(CrossoverCommand, RefusesWhatItCannotUse) {
  write_file(table_, "{}");
  const CommandResult result = run_command({"info"});
  EXPECT_NE(result.status, 0);
  EXPECT_THAT(result.output, HasSubstr("remove it"));
  setenv("FILIGREE_CROSSOVER", "shipped", 1);
  EXPECT_EQ(run_command({"info"}).status, 0);
  EXPECT_EQ(run_command({"bench", "crossover", "--dims", "none"}).status, 2);
  EXPECT_EQ(run_command({"bench", "crossover", "--length", "0"}).status, 2);
}

}  // namespace filigree::testing
