// The report: its figures are those of the statistics, its text is escaped, its size is bounded.
#include "tasks/report/report.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tasks/report/gnuplot.h"
#include "tasks/study/claims.h"
#include "tests/tasks/report/example_study.h"
#include "tests/temporary_folder.h"

namespace filigree {

namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::TemporaryFolder;

/// The page of the example, made once.
const std::string& example_page() {
  static const std::string page = [] {
    const TemporaryFolder folder;
    RunStore store(folder.path() / "runs.sqlite");
    testing::fill_example(store);
    return study_report(store);
  }();
  return page;
}

size_t count(const std::string& text, const std::string& what) {
  size_t found = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
  return found;
}

}  // namespace

TEST(Report, TextOfTheStoreIsNoHtml) {
  EXPECT_THAT(example_page(), AllOf(HasSubstr("&lt;script&gt;alert(1)&lt;/script&gt;"),
                                    HasSubstr("&lt;b&gt;&amp;&quot;odd&#39;s&quot;"),
                                    Not(HasSubstr("<script>alert")), Not(HasSubstr("<b>"))));
  EXPECT_EQ(count(example_page(), "<script>"), 1U) << "the page's own";
}

TEST(Report, LoadsNothing) {
  const std::string& page = example_page();
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
  for (const char* word : {"src=\"", "<link", "@import", "url(", "<iframe"}) {
    EXPECT_THAT(page, Not(HasSubstr(word)));
  }
  for (size_t at = page.find("://"); at != std::string::npos; at = page.find("://", at + 1)) {
    const std::string around = page.substr(at - 5, 30);
    EXPECT_THAT(around, HasSubstr("www.w3.org/")) << "a name space, not an address";
  }
}

TEST(Report, ItsFiguresAreThoseOfTheStatistics) {
  const double dense[] = {0.91, 0.94, 0.99}, near[] = {0.61, 0.643, 0.69};
  const PairedTest test = paired_test(near, dense);
  const Interval mean = mean_interval(near);
  for (const double value : {mean.mean, mean.half_width, test.t_p}) {
    EXPECT_THAT(example_page(), HasSubstr(fmt::format(">{:.4f}</td>", value)));
  }
  EXPECT_THAT(example_page(), AllOf(HasSubstr(fmt::format(">{:+.4f}</td>", test.difference.mean)),
                                    HasSubstr(">0.2500</td>") /* 2 / 2^3 */, HasSubstr(">1/3</td>"),
                                    HasSubstr("16 of 18 done")));
}

TEST(Report, SaysWhatTheClaimsCameTo) {
  const TemporaryFolder folder;
  RunStore store(folder.path() / "runs.sqlite");
  testing::fill_example(store);
  const StudyRecord study = store.study().value();
  const StudyTable table = study_table(store);
  const std::vector<Finding> findings = judge(claims_of(study), table);
  ASSERT_EQ(findings.size(), 3U);
  EXPECT_EQ(findings[0].verdict, Verdict::confirmed);
  EXPECT_EQ(findings[0].claim.text, "dense is better");
  EXPECT_EQ(findings[0].test.difference.n, 6) << "two placements, three seeds";
  EXPECT_NEAR(findings[0].test.difference.mean, 0.299, 1e-12);
  EXPECT_EQ(findings[1].verdict, Verdict::confirmed);
  EXPECT_NEAR(findings[1].test.difference.mean, 0.201, 1e-12) << "with the margin";
  EXPECT_EQ(findings[2].verdict, Verdict::undecided) << "the same values in both placements";
  EXPECT_EQ(judge(std::vector<Claim>{parse_claim("C", "mask=near > mask=dense")}, table)[0].verdict,
            Verdict::contradicted);
  EXPECT_EQ(judge(std::vector<Claim>{parse_claim("C", "mask=near > mask=none")}, table)[0].verdict,
            Verdict::no_data);
  EXPECT_THAT(example_page(), AllOf(HasSubstr(">confirmed</span>"), HasSubstr("undecided")));
}

TEST(Report, WhereSmallerIsBetterClaimsTurnRound) {
  const TemporaryFolder folder;
  RunStore store(folder.path() / "runs.sqlite");
  StudyRecord study{"", {"mask"}, {{"a", "b"}}, "", {}, {}};
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    for (const std::string mask : {"a", "b"}) {
      RunRecord run =
          testing::made_up_run(mask + std::to_string(seed), seed,
                               (mask == "a" ? 100.0 : 120.0) + static_cast<double>(seed % 3), 0.5);
      run.metric = "perplexity";
      run.higher_is_better = false;
      store.put(run);
      study.runs.push_back({run.id, {mask}, seed});
    }
  }
  const StudyTable table = study_table(study, store.all());
  EXPECT_EQ(judge(std::vector<Claim>{parse_claim("C", "mask=a > mask=b")}, table)[0].verdict,
            Verdict::confirmed);
}

TEST(Report, ShowsEverySection) {
  for (const char* id : {"verdict", "table", "curves", "maps", "degrees", "training", "runs"}) {
    EXPECT_EQ(count(example_page(), fmt::format("<section id=\"{}\">", id)),
              gnuplot_is_there() || id != std::string("training") ? 1U : 0U)
        << id;
  }
  EXPECT_THAT(example_page(), HasSubstr("neighbour:1")) << "what the head was hardened to";
}

TEST(Report, PicturesFollowThePageAndShareNoNames) {
  if (!gnuplot_is_there()) GTEST_SKIP() << "gnuplot is not installed";
  const std::string& page = example_page();
  EXPECT_THAT(page, AllOf(HasSubstr("currentColor"), Not(HasSubstr("\"black\"")),
                          Not(HasSubstr("onmousemove"))));
  std::set<std::string> names;
  size_t found = 0;
  for (const char* form : {" id='", " id=\""}) {
    for (size_t at = page.find(form); at != std::string::npos; at = page.find(form, at + 1)) {
      names.insert(page.substr(at + 5, page.find(form[4], at + 5) - at - 5));
      ++found;
    }
  }
  EXPECT_EQ(names.size(), found);
}

TEST(Report, TheSameStoreGivesTheSameBytes) {
  const TemporaryFolder folder;
  RunStore store(folder.path() / "runs.sqlite");
  testing::fill_example(store);
  EXPECT_EQ(study_report(store), example_page());
}

TEST(Report, OfNothing) {
  const TemporaryFolder folder;
  RunStore store(folder.path() / "runs.sqlite");
  EXPECT_THAT(study_report(store), HasSubstr("No run is done yet."));
  store.put_study(
      {"?", {"mask"}, {{"a"}}, "mask=a", {{"id", {"a"}, 1}}, {{"C", "mask=a > mask=b"}}});
  EXPECT_THAT(study_report(store), AllOf(HasSubstr("0 of 1 done"), HasSubstr("no data")));
}

TEST(Report, OfAStoreWithoutAPlan) {
  const TemporaryFolder folder;
  RunStore store(folder.path() / "runs.sqlite");
  for (uint64_t seed = 1; seed <= 2; ++seed) {
    store.put(testing::made_up_run("r" + std::to_string(seed), seed, 0.5, 0.5));
  }
  EXPECT_THAT(study_report(store),
              AllOf(HasSubstr("placement"), HasSubstr("neighbour:2 &amp; random:1")));
}

TEST(Report, OfTwoThousandRunsIsSmall) {
  const TemporaryFolder folder;
  RunStore store(folder.path() / "runs.sqlite");
  StudyRecord study{"many", {"mask", "size"}, {{}, {}}, "mask=m0", {}, {}};
  for (int m = 0; m < 20; ++m) study.levels[0].push_back("m" + std::to_string(m));
  for (int s = 0; s < 20; ++s) study.levels[1].push_back("s" + std::to_string(s));
  for (int m = 0; m < 20; ++m) {
    for (int s = 0; s < 20; ++s) {
      for (uint64_t seed = 1; seed <= 5; ++seed) {
        const std::string id = fmt::format("{}-{}-{}", m, s, seed);
        study.runs.push_back({id, {study.levels[0][m], study.levels[1][s]}, seed});
        store.put(testing::made_up_run(id, seed, 0.5 + 0.01 * m + 0.001 * static_cast<double>(seed),
                                       0.01 + 0.04 * s));
      }
    }
  }
  store.put_study(study);
  const std::string page = study_report(store);
  EXPECT_LT(page.size(), 5'000'000U);
  EXPECT_EQ(count(page, ">0.1</td><td>"), 2000U) << "every run";
}

}  // namespace filigree
