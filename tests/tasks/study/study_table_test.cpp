// Tables and claims of studies: which rows are compared, and what is left out.
#include "tasks/study/study_table.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tasks/study/claims.h"

namespace filigree {

namespace {

using ::testing::HasSubstr;

/// A study of masks and layers, filled run by run.
struct Example {
  StudyRecord study{"", {"mask", "layers"}, {{}, {}}, "mask=dense", {}, {}};
  std::vector<RunRecord> runs;

  void add(const std::string& mask, const std::string& layers, std::vector<double> values,
           const std::string& metric = "accuracy") {
    for (size_t k = 0; k < values.size(); ++k) {
      RunRecord run;
      run.id = mask + layers + std::to_string(k);
      run.seed = k + 1;
      run.metric = metric;
      run.value = values[k];
      run.density = 0.25;
      run.tokens_per_second = 100 * values[k];
      study.runs.push_back({run.id, {mask, layers}, run.seed});
      runs.push_back(run);
    }
  }
  StudyTable table() const { return study_table(study, runs); }
};

}  // namespace

TEST(StudyTable, ComparesWithTheBaselineOfTheSameLevels) {
  Example example;
  example.add("dense", "all", {0.5, 0.6, 0.9});
  example.add("dense", "last", {0.1, 0.2, 0.3});
  example.add("near", "last", {0.2, 0.2, 0.4});
  const StudyTable table = example.table();
  ASSERT_EQ(table.rows.size(), 3U);
  EXPECT_FALSE(table.rows[0].difference || table.rows[1].difference) << "the baseline itself";
  const std::vector<double> near{0.2, 0.2, 0.4}, dense{0.1, 0.2, 0.3};
  EXPECT_EQ(table.rows[2].difference->t_p, paired_test(near, dense).t_p);
  EXPECT_EQ(table.rows[2].adjusted_p, table.rows[2].difference->t_p) << "the only test";
  EXPECT_EQ(table.rows[0].tokens_per_second, 60) << "the median";
}

TEST(StudyTable, WhereTheBaselineHasNoSuchRowTheNearestCounts) {
  Example example;
  example.add("dense", "all", {0.5, 0.6, 0.9});
  example.add("near", "last", {0.2, 0.2, 0.4});
  const StudyTable table = example.table();
  EXPECT_NEAR(table.rows[1].difference->difference.mean, -0.4, 1e-12);
}

TEST(StudyTable, PairsBySeedAndLeavesOutWhatIsNotThere) {
  Example example;
  example.add("dense", "all", {0.5, std::nan(""), 0.9});
  example.add("near", "all", {0.2, 0.2, 0.4});
  example.runs.erase(example.runs.begin() + 3);  // near with seed 1 is not done
  const StudyTable table = example.table();
  EXPECT_EQ(table.planned, 6);
  EXPECT_EQ(table.done, 4) << "of those with a finite value";
  EXPECT_EQ(table.rows[1].difference->difference.n, 1) << "seed 3 alone has both";
  EXPECT_NEAR(table.rows[1].difference->difference.mean, -0.5, 1e-12);
  EXPECT_TRUE(std::isnan(table.rows[1].adjusted_p)) << "one pair is no test";
  EXPECT_THAT(to_text(table), HasSubstr("2/3"));
}

TEST(StudyTable, DoesNotCompareTwoMetrics) {
  Example example;
  example.add("dense", "all", {0.5, 0.6});
  example.add("near", "all", {50, 60}, "f1");
  EXPECT_FALSE(example.table().rows[1].difference);
}

TEST(StudyTable, CorrectsForAllRowsAtOnce) {
  Example example;
  example.add("dense", "all", {0.5, 0.6, 0.9});
  example.add("a", "all", {0.45, 0.56, 0.84});
  example.add("b", "all", {0.3, 0.7, 0.8});
  const StudyTable table = example.table();
  const double a = table.rows[1].difference->t_p, b = table.rows[2].difference->t_p;
  ASSERT_LT(a, b);
  EXPECT_NEAR(table.rows[1].adjusted_p, 2 * a, 1e-12);
  EXPECT_NEAR(table.rows[2].adjusted_p, std::max(2 * a, b), 1e-12);
}

TEST(StudyTable, QuotesWhatACsvFileNeedsQuoted) {
  EXPECT_EQ(csv_field("dilated:8,8"), "\"dilated:8,8\"");
  EXPECT_EQ(csv_field("a\"b"), "\"a\"\"b\"");
  EXPECT_EQ(csv_field("near"), "near");
  EXPECT_EQ(csv_number(std::nan("")), "");
}

TEST(Claims, OfSeveralRowsOnASideTheMeanCounts) {
  Example example;
  example.add("dense", "all", {0.5, 0.6});
  example.add("near", "all", {0.7, 1.0});
  example.add("far", "all", {0.1, 0.1});
  const std::vector<Claim> claims{parse_claim("C", "mask=near|far > mask=dense"),
                                  parse_claim("D", "mask!=dense > mask=dense - 0.2")};
  const std::vector<Finding> findings = judge(claims, example.table());
  EXPECT_EQ(findings[0].test.difference.n, 2);
  EXPECT_NEAR(findings[0].test.difference.mean, -0.075, 1e-12);
  EXPECT_NEAR(findings[1].test.difference.mean, 0.125, 1e-12);
  EXPECT_THAT(to_csv(findings), HasSubstr("C,undecided,-0.07"));
}

}  // namespace filigree
