// The command on a CUDA device, from its first word to its last file.
#include <cstdlib>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/tools/command_runner.h"

namespace filigree::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

using Words = std::vector<std::string>;

class DeviceCommand : public ::testing::Test {
 protected:
  void SetUp() override {
    if (run_command({"info"}).output.find("cuda:0: ") != std::string::npos) return;
    if (std::getenv("FILIGREE_REQUIRE_CUDA")) FAIL() << "no CUDA device";
    GTEST_SKIP() << "no CUDA device";
  }
  void TearDown() override { unsetenv("FILIGREE_CROSSOVER"); }
  /// Runs it, to its good end.
  static std::string output_of(const Words& words) {
    const CommandResult result = run_command(words);
    EXPECT_EQ(result.status, 0) << result.output;
    return result.output;
  }

  const TemporaryFolder folder_;
};

}  // namespace

TEST_F(DeviceCommand, TrainsAndAnswersAsTheCpuDoes) {
  const std::string run = folder_ / "run", data = local_data() / "dev";
  const std::string trained = output_of(short_run(run, {"--device", "cuda", "--explain"}));
  EXPECT_THAT(trained, HasSubstr("masked"));  // the device's table of kernels
  EXPECT_THAT(trained, HasSubstr("model: "));
  EXPECT_THAT(output_of({"evaluate", "--model", run, "--data", data, "--device", "cuda"}),
              HasSubstr("accuracy"));
  Words predict{"predict",     "--model",           run, "--text", "the old mill is near the inn",
                "--tokenizer", local_data() / "tok"};
  const std::string here = output_of(predict);
  predict.insert(predict.end(), {"--device", "cuda"});
  EXPECT_EQ(output_of(predict), here);
}

TEST_F(DeviceCommand, ExplainsReachesThatAreDrawn) {
  const std::string trained =
      output_of(short_run(folder_ / "run", {"--device", "cuda", "--explain", "--degrees.learner",
                                            "degrees", "--degrees.draws", "true"}));
  EXPECT_THAT(trained, HasSubstr("every token draws its reach, up to "));
  EXPECT_THAT(trained, Not(HasSubstr("no gate")));
}

TEST_F(DeviceCommand, ComputesInBf16AndSaysSoWhereItCannot) {
  const std::string run = folder_ / "run";
  output_of(short_run(run, {"--device", "cuda", "--model.precision", "bf16"}));
  const CommandResult refused =
      run_command(short_run(folder_ / "other", {"--model.precision", "bf16"}));
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.output, HasSubstr("CUDA"));
  EXPECT_EQ(run_command(short_run(folder_ / "third", {"--device", "cuda:77"})).status, 1);
}

TEST_F(DeviceCommand, MeasuresTheCostsOfKernelsAndGoesByThem) {
  const std::string table = folder_ / "crossover.json";
  setenv("FILIGREE_CROSSOVER", table.c_str(), 1);
  Words words{"bench",    "crossover", "--device", "cuda", "--rounds",    "1", "--dims", "8",
              "--length", "20",        "--heads",  "2",    "--sequences", "2", "--check"};
  const CommandResult refused = run_command(words);
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.output, AllOf(HasSubstr("no costs of"), Not(HasSubstr("ns a "))));
  words.back() = "--save";
  EXPECT_THAT(output_of(words), HasSubstr("ns a tile"));
  // The CPU was not measured, and its costs are the shipped ones.
  EXPECT_THAT(output_of({"info"}), HasSubstr("shipped (CPU), " + table + " ("));
  words.back() = "--check";
  EXPECT_THAT(output_of(words), HasSubstr("worst choice"));
  const Words bench{"bench",    "--device", "cuda",    "--patterns", "random:2",
                    "--length", "20",       "--heads", "2",          "--dim",
                    "8",        "--rounds", "1",       "--explain"};
  EXPECT_THAT(output_of(bench), HasSubstr("costs: " + table));
  // Measuring the CPU leaves the device's costs where they are.
  output_of({"bench", "crossover", "--rounds", "1", "--dims", "4", "--save"});
  EXPECT_THAT(output_of(bench), Not(HasSubstr("not measured here")));
  EXPECT_THAT(output_of({"info"}), HasSubstr(table + " (CPU; "));
}

}  // namespace filigree::testing
