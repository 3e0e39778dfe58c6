// Documents: their formats, how they are packed, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/file.h"
#include "core/scratch_file.h"
#include "tasks/dataset/column.h"
#include "tasks/dataset/dataset.h"
#include "tasks/dataset/prepare_documents.h"
#include "tests/error_text.h"
#include "tests/temporary_folder.h"

namespace filigree {

namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using testing::TemporaryFolder;

/// "text@line", with a star where a document begins.
std::vector<std::string> paragraphs(const std::string& content, DocumentFormat format) {
  const TemporaryFolder folder;
  write_file(folder / "in", content);
  DocumentReader reader(folder / "in", format, 1000);
  std::vector<std::string> result;
  while (const auto paragraph = reader.next()) {
    result.push_back((paragraph->begins_document ? "*" : "") + paragraph->text + "@" +
                     std::to_string(paragraph->line));
  }
  return result;
}

/// Words a .. h and marks, a token each.
Tokenizer tokenizer() {
  TokenizerOptions options;
  options.kind = TokenizerKind::word;
  return Tokenizer::train(options, std::vector<std::string>{"a b c d e f g h A B C D E F G H . !"});
}

struct Prepared {
  DocumentsReport report;
  std::vector<std::string> samples;  // as text, specials as | and /
  std::vector<std::vector<int32_t>> words, classes;
};
Prepared prepare_text(const std::string& content, const std::string& format, Packing packing,
                      int64_t max_length, int64_t skip = 0) {
  const TemporaryFolder folder;
  write_file(folder / "in", content);
  PrepareDocuments options;
  options.inputs = {format + ":" + (folder / "in")};
  options.packing = packing;
  options.task = "masked_lm";
  options.max_length = max_length;
  options.skip_bad_lines = skip;
  const Tokenizer words = tokenizer();
  Prepared result{prepare_documents(options, words, folder / "out"), {}, {}, {}};
  const TokenDataset data = TokenDataset::open(folder / "out");
  EXPECT_EQ(data.info().task, "masked_lm");
  EXPECT_EQ(data.size(), result.report.counts.samples);
  EXPECT_EQ(data.longest(), result.report.counts.longest);
  EXPECT_LE(data.longest(), max_length);
  for (int64_t s = 0; s < data.size(); ++s) {
    std::vector<int32_t> ids(static_cast<size_t>(data.length(s)));
    data.copy_ids(s, ids.data());
    std::string text;
    for (const int32_t id : ids) {
      text += id == words.specials().cls ? "|" : id == words.specials().sep ? "/" : words.token(id);
    }
    result.samples.push_back(text);
    const auto w = data.words(s), c = data.classes(s);
    result.words.emplace_back(w.begin(), w.end());
    result.classes.emplace_back(c.begin(), c.end());
  }
  return result;
}

}  // namespace

TEST(Documents, Formats) {
  EXPECT_THAT(paragraphs("a b\n\nc\n", DocumentFormat::lines), ElementsAre("*a b@1", "*c@3"));
  EXPECT_THAT(paragraphs("\xef\xbb\xbf"
                         "a b\r\n\nc",
                         DocumentFormat::paragraphs),
              ElementsAre("*a b@1", "c@3"));
  const std::string line(121, 'x');
  EXPECT_THAT(
      paragraphs("\n  a b\nc  \n \nd\n" + line + "\n" + line + "\ne\nf", DocumentFormat::book),
      ElementsAre("*a b c@2", "d@5", line + "@6", line + "@7", "e f@8"));
  EXPECT_THAT(
      paragraphs("<doc id=\"1\" title=\"T\">\nT\nd e\n</doc>\n<doc id=\"2\">\n\nf\n</doc>\n",
                 DocumentFormat::automatic),
      ElementsAre("*T@2", "d e@3", "*f@7"));
  EXPECT_THAT(
      paragraphs(" \n = A b = \n \n c \n = = D = = \n e \n = F = \n g", DocumentFormat::automatic),
      ElementsAre("* = A b = @2", " c @4", " = = D = = @5", " e @6", "* = F = @7", " g@8"));
  EXPECT_THAT(error_of([] { parse_document_format("wikki"); }),
              HasSubstr("did you mean \"wiki\"?"));
}

TEST(Documents, ALongBookIsNeverHeldWhole) {
  std::string book;
  for (int i = 0; i < 20000; ++i) book += "a b c d e f g h a b c d e f g h\n";
  const auto parts = paragraphs(book, DocumentFormat::book);
  EXPECT_GT(parts.size(), 9u);
  for (const std::string& part : parts) EXPECT_LT(part.size(), (size_t{64} << 10) + 1000);
}

TEST(Documents, AreFoundInFoldersByName) {
  const TemporaryFolder folder;
  for (const char* name : {"b/2.txt", "b/1.txt", "a.txt", ".hidden", ".git/x"}) {
    std::filesystem::create_directories((folder.path() / name).parent_path());
    write_file(folder / name, "a");
  }
  std::vector<std::string> found;
  for (const DocumentFile& file : find_documents({"lines:" + folder.path().string()})) {
    EXPECT_EQ(file.format, DocumentFormat::lines);
    found.push_back(file.path.lexically_relative(folder.path()).string());
  }
  EXPECT_THAT(found, ElementsAre("a.txt", "b/1.txt", "b/2.txt"));
  EXPECT_THAT(error_of([&] { find_documents({folder / "none"}); }), HasSubstr("no such file"));
  EXPECT_THAT(error_of([&] { find_documents({"line:" + (folder / "a.txt")}); }),
              HasSubstr("did you mean \"lines\"?"));
}

TEST(Documents, AnEmptyFileIsABadOneAndRecordsAreNone) {
  const TemporaryFolder folder;
  write_file(folder / "a.txt", "a b.\n");
  write_file(folder / "b.txt", "");
  const Tokenizer words = Tokenizer::train(
      [] {
        TokenizerOptions options;
        options.kind = TokenizerKind::word;
        return options;
      }(),
      std::vector<std::string>{"a b ."});
  PrepareDocuments options;
  options.inputs = {"lines:" + folder.path().string()};
  options.task = "masked_lm";
  options.max_length = 20;
  EXPECT_THAT(error_of([&] { prepare_documents(options, words, folder / "out"); }),
              AllOf(HasSubstr("[2 files]"), HasSubstr("b.txt"), HasSubstr("1 bad line")));
  options.skip_bad_lines = 1;
  EXPECT_EQ(prepare_documents(options, words, folder / "out").counts.samples, 1);
  write_file(folder / "c.tsv", "sentence\tlabel\na\t1\n");
  options.inputs = {folder / "c.tsv"};
  EXPECT_THAT(error_of([&] { prepare_documents(options, words, folder / "out2"); }),
              HasSubstr("holds records, not documents"));
}

TEST(Documents, SamplesAreSentencesOfOneDocument) {
  // Six tokens beside [CLS] and [SEP]: the third sentence of the first document does not fit.
  const Prepared made =
      prepare_text("A b. C d. E f. G.\nH a. B b b b.\n", "lines", Packing::documents, 8);
  EXPECT_THAT(made.samples, ElementsAre("|Ab.Cd./", "|Ef.G./", "|Ha./", "|Bbbb./"));
  EXPECT_EQ(made.report.counts.documents, 2);
  EXPECT_EQ(made.report.counts.sentences, 6);
  EXPECT_EQ(made.report.counts.cut, 0);
}

TEST(Documents, FullSamplesGoOnInTheNextDocumentBehindASeparator) {
  const Prepared made = prepare_text("A b. C d. E f. G.\nH a. B b.\n", "lines", Packing::full, 9);
  EXPECT_THAT(made.samples, ElementsAre("|Ab.Cd./", "|Ef.G./", "|Ha.Bb./"));
  const Prepared wide = prepare_text("A b. C d. E f. G.\nH a. B b.\n", "lines", Packing::full, 13);
  EXPECT_THAT(wide.samples, ElementsAre("|Ab.Cd.Ef.G./", "|Ha.Bb./"));
  const Prepared shared = prepare_text("A b.\nC.\nD e f.\n", "lines", Packing::full, 13);
  EXPECT_THAT(shared.samples, ElementsAre("|Ab./C./Def./"));
  EXPECT_THAT(shared.words[0], ElementsAre(-1, 0, 1, 2, -1, 3, 4, -1, 5, 6, 7, 8, -1));
}

TEST(Documents, ALongSentenceIsDividedAndNothingIsLost) {
  const Prepared made =
      prepare_text("A b. C a b c d e f g h a b c d e.\n", "lines", Packing::documents, 8);
  EXPECT_THAT(made.samples, ElementsAre("|Ab./", "|Cabcde/", "|fghabc/", "|de./"));
  EXPECT_EQ(made.report.counts.cut, 1);
  EXPECT_THAT(made.words[2], ElementsAre(-1, 0, 1, 2, 3, 4, 5, -1));
}

TEST(Documents, ClassesAreOfEqualWordsInASample) {
  const Prepared made = prepare_text("A b a. B a.\n", "lines", Packing::documents, 20);
  EXPECT_THAT(made.samples, ElementsAre("|Aba.Ba./"));
  EXPECT_THAT(made.classes[0], ElementsAre(-1, 0, 1, 0, 3, 1, 0, 3, -1));
}

TEST(Documents, BadLinesAreNamedAndCounted) {
  const std::string content = "lost\n<doc id=\"1\">\na b.\nc \xff.\n</doc>\n<doc id=\"2\">\nd.\n";
  EXPECT_THAT(error_of([&] { prepare_text(content, "wiki", Packing::documents, 20); }),
              AllOf(HasSubstr("3 bad lines, 2 good"), HasSubstr("in:1] text that belongs to no"),
                    HasSubstr("in:4]"), HasSubstr("in:7] the last document does not end"),
                    HasSubstr("--skip-bad-lines 3")));
  const Prepared made = prepare_text(content, "wiki", Packing::documents, 20, 3);
  EXPECT_THAT(made.samples, ElementsAre("|ab./", "|d./"));
  EXPECT_EQ(made.report.bad_lines.count(), 3);
}

TEST(Documents, MoreThanFitsIntoMemoryComesOutTheSame) {
  // More than two million tokens: the writer's arrays go to scratch files.
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 40000; ++i)
    text += "A b c d e f g h a b c d e f g h a b c d e f g h a b c d.\n";
  write_file(folder / "in", text);
  PrepareDocuments options;
  options.inputs = {"lines:" + (folder / "in")};
  options.task = "masked_lm";
  options.max_length = 32;
  const auto report = prepare_documents(options, tokenizer(), folder / "out");
  EXPECT_EQ(report.counts.documents, 40000);
  EXPECT_GT(report.counts.tokens, static_cast<int64_t>(Column<int32_t>::kMostInMemory));
  const TokenDataset data = TokenDataset::open(folder / "out");
  ASSERT_EQ(data.size(), 40000);
  std::vector<int32_t> first(static_cast<size_t>(data.length(0)));
  data.copy_ids(0, first.data());
  for (int64_t s = 0; s < data.size(); s += 7) {
    std::vector<int32_t> ids(static_cast<size_t>(data.length(s)));
    data.copy_ids(s, ids.data());
    ASSERT_EQ(ids, first) << s;
    ASSERT_EQ(data.words(s)[5], 4) << s;
  }
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    files += entry.is_regular_file();
  }
  EXPECT_EQ(files, 2) << "a temporary file is left";
}

TEST(ScratchFile, GivesBackWhatWasAppended) {
  const TemporaryFolder folder;
  ScratchFile file(folder.path());
  std::vector<uint8_t> all;
  for (int part = 0; part < 300; ++part) {
    const std::vector<uint8_t> bytes(9973, static_cast<uint8_t>(part));
    file.append(bytes);
    all.insert(all.end(), bytes.begin(), bytes.end());
  }
  for (int time = 0; time < 2; ++time) {
    std::vector<uint8_t> read;
    file.read(
        [&](std::span<const uint8_t> part) { read.insert(read.end(), part.begin(), part.end()); });
    EXPECT_EQ(read, all);
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  EXPECT_THAT(error_of([&] { ScratchFile(folder.path() / "none"); }),
              HasSubstr("cannot make a temporary file"));
}

}  // namespace filigree
