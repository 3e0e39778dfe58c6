// The file of a study: what it says, and what is said about mistakes in it.
#include "tasks/study/study_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/file.h"
#include "tests/error_text.h"
#include "tests/temporary_folder.h"

namespace filigree {

namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using ::testing::Pair;
using testing::TemporaryFolder;

constexpr const char* kWhole = R"(
# masks
[study]
question = Which mask = damages least?
seeds = 3, 1,2
baseline = mask = dense
exclude = mask=dense layers!=all
exclude = mask=syntax|random layers=last:1
budget = 2h
keep = all
[define]
data = here
[axes]
mask = dense, syntax, random
attention.layers = all, last:1
density = 0.07, 0.22
[mask.syntax]
attention.pattern = syntax:1|global:cls
[density.0.07]
degrees.density = {density}
train.lr = 0.1
[data]
train = {data}/train
[train]
steps = 5
)";

Study read(const std::string& text, const std::vector<Setting>& defines = {}) {
  const TemporaryFolder folder;
  write_file(folder.path() / "study.ini", text);
  return read_study(folder.path() / "study.ini", defines);
}

/// The error of a file with these lines and two axes.
std::string error_with(const std::string& lines) {
  return error_of(
      [&] { read("[axes]\nmask = dense, syntax\nattention.layers = all, last:1\n" + lines); });
}

}  // namespace

TEST(StudyFile, SaysEverything) {
  const Study study = read(kWhole);
  EXPECT_EQ(study.question, "Which mask = damages least?");
  EXPECT_THAT(study.seeds, ElementsAre(3, 1, 2));
  EXPECT_EQ(study.baseline, "mask=dense");
  EXPECT_EQ(study.budget, 7200);
  EXPECT_EQ(study.keep, Keep::all);
  ASSERT_EQ(study.axes.size(), 3U);
  EXPECT_EQ(study.axes[0].name, "mask");
  EXPECT_THAT(study.axes[0].levels[1].settings,
              ElementsAre(Pair("attention.pattern", "syntax:1|global:cls")));
  EXPECT_TRUE(study.axes[0].levels[0].settings.empty());
  EXPECT_EQ(study.axes[1].name, "layers") << "of the setting";
  EXPECT_THAT(study.axes[1].levels[1].settings, ElementsAre(Pair("attention.layers", "last:1")));
  EXPECT_EQ(study.axes[2].levels[0].name, "0.07");
  EXPECT_THAT(study.axes[2].levels[0].settings,
              ElementsAre(Pair("degrees.density", "{density}"), Pair("train.lr", "0.1")));
  EXPECT_THAT(study.settings,
              ElementsAre(Pair("data.train", "{data}/train"), Pair("train.steps", "5")));
  EXPECT_THAT(study.defines, ElementsAre(Pair("data", "here")));
  ASSERT_EQ(study.excludes.size(), 2U);
  EXPECT_EQ(study.excludes[0][1].axis, "layers");
  EXPECT_TRUE(study.excludes[0][1].other);
  EXPECT_THAT(study.excludes[1][0].levels, ElementsAre("syntax", "random"));
}

TEST(StudyFile, DefinitionsFromOutsideWin) {
  EXPECT_THAT(read(kWhole, {{"data", "there"}}).defines, ElementsAre(Pair("data", "there")));
}

TEST(StudyFile, ThoseOfTheProjectCanBeRead) {
  size_t found = 0;
  for (const auto& file :
       std::filesystem::directory_iterator(FILIGREE_SOURCE_DIR "/tasks/studies")) {
    const Study study = read_study(file.path());
    EXPECT_GE(study.seeds.size(), 3U) << file.path();
    EXPECT_FALSE(study.question.empty() || study.claims.empty()) << file.path();
    ++found;
  }
  EXPECT_EQ(found, 9U);
}

TEST(StudyFile, MistakesAreNamed) {
  EXPECT_THAT(error_of([] { read("[train]\nsteps = 1\n"); }), HasSubstr("no axes"));
  EXPECT_THAT(error_with("[mask.syntx]\ntrain.lr = 1\n"),
              AllOf(HasSubstr("no level \"syntx\""), HasSubstr("did you mean [mask.syntax]?")));
  EXPECT_THAT(error_with("[mark.syntax]\ntrain.lr = 1\n"), HasSubstr("did you mean \"mask\"?"));
  EXPECT_THAT(error_with("[study]\nseed = 1\n"), HasSubstr("did you mean \"seeds\"?"));
  EXPECT_THAT(error_with("[study]\nseeds = 1, 2, 1\n"), HasSubstr("seed \"1\" is named twice"));
  EXPECT_THAT(error_with("[study]\nseeds =\n"), HasSubstr("no seeds"));
  EXPECT_THAT(error_with("[study]\nseeds = one\n"), HasSubstr("study.seeds"));
  EXPECT_THAT(error_with("[study]\nkeep = some\n"), HasSubstr("expected best or all"));
  EXPECT_THAT(error_with("[claims]\nP1 = mask=dense\n"), HasSubstr("study.claims.P1"));
  EXPECT_THAT(error_with("[claims]\nP1 = mask=dense > mask=none\n"),
              HasSubstr("has no level \"none\""));
  EXPECT_THAT(error_with("[claims]\nP1 = mask=dense > mask=syntax - much\n"),
              HasSubstr("expected a margin"));
  EXPECT_THAT(error_with("[study]\nbudget = 2 hours\n"), HasSubstr("for example 90s, 30m"));
  EXPECT_THAT(error_with("[study]\nbaseline = dense\n"), HasSubstr("expected name=value"));
  EXPECT_THAT(error_with("[study]\nbaseline = mask=none\n"), HasSubstr("it has: dense, syntax"));
  EXPECT_THAT(error_with("[study]\nexclude = size=1\n"),
              AllOf(HasSubstr("no axis \"size\""), HasSubstr("mask, layers")));
  EXPECT_THAT(error_with("[train]\nseed = 3\n"), HasSubstr("train.seed is no setting of a study"));
  EXPECT_THAT(error_with("[mask.syntax]\ntrain.seed = 3\n"), HasSubstr("train.seed"));
  EXPECT_THAT(error_of([] { read("[axes]\nmask = a, b, a\n"); }),
              HasSubstr("level of mask \"a\" is named twice"));
  EXPECT_THAT(error_of([] { read("[axes]\nmask = a\ntrain.mask = 1, 2\n"); }),
              HasSubstr("axis \"mask\" is named twice"));
  EXPECT_THAT(error_of([] { read("[axes]\nmask =\n"); }), HasSubstr("has no levels"));
  EXPECT_THAT(error_of([] { read("mask a\n"); }), HasSubstr("name = value"));
  EXPECT_THAT(error_of([] { read_study("/not/there.ini"); }), HasSubstr("/not/there.ini"));
}

}  // namespace filigree
