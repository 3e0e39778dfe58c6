// `filigree bench crossover`: the table is measured, kept, used and refused.
#include <cstdlib>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <set>

#include "core/file.h"
#include "tests/tools/command_runner.h"

namespace filigree::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

const std::vector<std::string> kExplained{"bench", "--patterns", "dense", "--length",
                                          "20",    "--heads",    "1",     "--dim",
                                          "4",     "--rounds",   "1",     "--explain"};

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
  EXPECT_THAT(run_command(kExplained).output, HasSubstr("costs: " + table_));
  // Other sizes are measured later, and these stay.
  EXPECT_EQ(
      run_command({"bench", "crossover", "--rounds", "1", "--dims", "6", "--out", table_}).status,
      0);
  const auto rows = nlohmann::json::parse(read_file(table_))["rows"];
  std::multiset<int> dims;
  for (const auto& row : rows) dims.insert(row["dim"].get<int>());
  EXPECT_EQ(dims, (std::multiset<int>{4, 4, 6, 6, 9, 9}));
}

TEST_F(CrossoverCommand, DecidesWhichKernelComputes) {
  for (const bool dear_pairs : {false, true}) {
    nlohmann::json rows = nlohmann::json::array();
    for (const char* dtype : {"f32", "f64"}) {
      rows.push_back({{"dtype", dtype},
                      {"dim", 4},
                      {"pair", dear_pairs ? 1e6 : 1},
                      {"edge", dear_pairs ? 1 : 1e6},
                      {"tile_row", 0},
                      {"column", 0},
                      {"edge_row", 0}});
    }
    write_file(table_, nlohmann::json{{"format", "filigree crossover 1"}, {"rows", rows}}.dump());
    const CommandResult result = run_command(kExplained);
    EXPECT_EQ(result.status, 0) << result.output;
    EXPECT_THAT(result.output, ContainsRegex(dear_pairs ? "\n0 +0 +edges " : "\n0 +0 +tiles "));
    EXPECT_THAT(result.output, HasSubstr("costs: " + table_));
  }
}

TEST_F(CrossoverCommand, RefusesWhatItCannotUse) {
  write_file(table_, "{}");
  const CommandResult result = run_command({"info"});
  EXPECT_NE(result.status, 0);
  EXPECT_THAT(result.output, HasSubstr("remove it"));
  setenv("FILIGREE_CROSSOVER", "shipped", 1);
  EXPECT_EQ(run_command({"info"}).status, 0);
  // Its advice can be followed.
  setenv("FILIGREE_CROSSOVER", table_.c_str(), 1);
  std::filesystem::remove(table_);
  EXPECT_EQ(run_command({"bench", "crossover", "--rounds", "1", "--dims", "4", "--save"}).status,
            0);
}

TEST_F(CrossoverCommand, RefusesBeforeItMeasures) {
  const std::vector<std::vector<std::string>> wrong{{"--dims", "none"},
                                                    {"--dims", "8x"},
                                                    {"--dims", ","},
                                                    {"--dims", "8,8"},
                                                    {"--dims", "0"},
                                                    {"--length", "0"},
                                                    {"--save", "--check"},
                                                    {"--out", table_, "--check"},
                                                    {"--save", "--out", table_}};
  for (std::vector<std::string> words : wrong) {
    words.insert(words.begin(), {"bench", "crossover"});
    const CommandResult result = run_command(words);
    EXPECT_EQ(result.status, 2) << words[2] << ": " << result.output;
    EXPECT_THAT(result.output, Not(HasSubstr("ns a ")));
  }
  const std::string damaged = folder_ / "damaged.json";
  write_file(damaged, "{}");
  for (const std::string& out : {damaged, damaged + "/below.json", std::string("/proc/no/such")}) {
    const CommandResult result = run_command({"bench", "crossover", "--out", out});
    EXPECT_EQ(result.status, 1) << result.output;
    EXPECT_THAT(result.output, Not(HasSubstr("ns a ")));
  }
  setenv("FILIGREE_CROSSOVER", "shipped", 1);
  const CommandResult result = run_command({"bench", "crossover", "--save"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.output, HasSubstr("unset it"));
}

}  // namespace filigree::testing
