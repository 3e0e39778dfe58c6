// Correlations against SciPy (make_correlation_fixture.py).
#include "tasks/task/correlation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/file.h"

namespace filigree {

using ::testing::ElementsAre;

TEST(Correlation, EqualsSciPy) {
  const auto fixture = nlohmann::json::parse(
      read_file(std::string(FILIGREE_SOURCE_DIR) + "/tests/tasks/data/correlation.json"));
  ASSERT_GE(fixture.at("cases").size(), 9u);
  for (const auto& test : fixture.at("cases")) {
    const auto x = test.at("x").get<std::vector<double>>();
    const auto y = test.at("y").get<std::vector<double>>();
    EXPECT_EQ(mean_ranks(x), test.at("ranks_of_x").get<std::vector<double>>()) << test.at("name");
    EXPECT_NEAR(pearson(x, y), test.at("pearson").get<double>(), 1e-12) << test.at("name");
    EXPECT_NEAR(spearman(x, y), test.at("spearman").get<double>(), 1e-12) << test.at("name");
  }
}

TEST(Correlation, IsZeroWhereItIsNotDefined) {
  const std::vector<double> none, one{1}, same{2, 2, 2}, some{1, 2, 3};
  EXPECT_EQ(pearson(none, none), 0);
  EXPECT_EQ(pearson(one, one), 0);
  EXPECT_EQ(pearson(same, some), 0);
  EXPECT_EQ(spearman(some, same), 0);
  EXPECT_THAT(mean_ranks(same), ElementsAre(2, 2, 2));
}

}  // namespace filigree
