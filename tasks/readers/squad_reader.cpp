// SQuAD v1.1: articles of paragraphs, a paragraph being a context with questions and their answers.
// https://rajpurkar.github.io/SQuAD-explorer (Rajpurkar et al. 2016, arXiv 1606.05250)
#include <algorithm>
#include <deque>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "tasks/readers/lines.h"

namespace filigree {

namespace {

using nlohmann::json;

const std::vector<std::string> kColumns{"id", "title", "question", "context"};

/// A question, or what is wrong with a place of the file.
struct Item {
  std::string where, fault, hint;
  std::string id, question;
  std::shared_ptr<const std::string> title, context;
  std::vector<GivenAnswer> answers;
};

/// A fault in an article, a paragraph or a question, which costs that part alone.
struct Fault {
  std::string text, hint;
};

/// The value of a key. Throws Fault.
const json& member(const json& object, const char* key, json::value_t type, const char* type_name) {
  if (!object.is_object()) {
    throw Fault{fmt::format("expected an object, got {}", object.type_name()), ""};
  }
  const auto found = object.find(key);
  if (found == object.end()) {
    std::vector<std::string> keys;
    for (const auto& entry : object.items()) keys.push_back(entry.key());
    const std::string near = nearest_name(key, keys);
    throw Fault{fmt::format("\"{}\" is missing", key),
                near.empty() ? "" : fmt::format("did you mean {}?", excerpt(near))};
  }
  if (found->type() != type) {
    throw Fault{fmt::format("expected {} as \"{}\", got {}", type_name, key, found->type_name()),
                ""};
  }
  return *found;
}

const json& list(const json& object, const char* key) {
  return member(object, key, json::value_t::array, "a list");
}

const std::string& text(const json& object, const char* key) {
  return member(object, key, json::value_t::string, "a string").get_ref<const std::string&>();
}

/// Byte at which the character of this number begins; nothing beyond the text's end.
std::optional<int64_t> byte_of_character(std::string_view text, int64_t character) {
  int64_t at = 0;
  for (; character > 0; --character) {
    if (at >= static_cast<int64_t>(text.size())) return std::nullopt;
    next_character(text, at);
  }
  return at;
}

GivenAnswer answer_of(const json& entry, const std::string& context) {
  GivenAnswer answer;
  answer.text = text(entry, "text");
  if (is_blank(answer.text)) throw Fault{"an answer is empty", ""};
  const auto start = entry.find("answer_start");
  if (start == entry.end() || !start->is_number_integer() || *start < 0) {
    throw Fault{"expected a number from 0 as \"answer_start\" of an answer",
                "it counts characters from the beginning of the context"};
  }
  const std::optional<int64_t> begin = byte_of_character(context, start->get<int64_t>());
  const std::string_view rest =
      begin ? std::string_view(context).substr(static_cast<size_t>(*begin)) : std::string_view();
  if (!rest.starts_with(answer.text)) {
    throw Fault{
        fmt::format("expected the answer {} at character {} of the context, got {}",
                    excerpt(answer.text), start->get<int64_t>(),
                    begin ? excerpt(rest, static_cast<int64_t>(answer.text.size())) : "its end"),
        "answer_start counts Unicode characters, not bytes"};
  }
  answer.place = {*begin, *begin + static_cast<int64_t>(answer.text.size())};
  return answer;
}

/// Turns articles into items.
class Collector {
 public:
  explicit Collector(std::string path) : path_(std::move(path)) {}

  void article(const json& article) {
    const std::string where = fmt::format("{}: article {}", path_, ++articles_);
    guarded(where, [&] {
      const json& paragraphs = list(article, "paragraphs");
      const auto title = std::make_shared<const std::string>(text(article, "title"));
      int64_t number = 0;
      for (const json& each : paragraphs) {
        paragraph(fmt::format("{} {}, paragraph {}", where, excerpt(*title), ++number), title,
                  each);
      }
    });
  }

  std::deque<Item> take() { return std::move(items_); }
  int64_t articles() const { return articles_; }

 private:
  template <class Body>
  void guarded(const std::string& where, Body body) {
    try {
      body();
    } catch (const Fault& fault) {
      items_.push_back({where, fault.text, fault.hint, {}, {}, {}, {}, {}});
    }
  }

  void paragraph(const std::string& where, const std::shared_ptr<const std::string>& title,
                 const json& paragraph) {
    guarded(where, [&] {
      const json& questions = list(paragraph, "qas");
      const auto context = std::make_shared<const std::string>(text(paragraph, "context"));
      if (is_blank(*context)) throw Fault{"the context is empty", ""};
      int64_t number = 0;
      for (const json& each : questions) {
        std::string place = fmt::format("{}, question {}", where, ++number);
        if (each.is_object() && each.contains("id") && each["id"].is_string()) {
          place += fmt::format(" (id {})", excerpt(each["id"].get<std::string>()));
        }
        guarded(place, [&] { items_.push_back(question(place, title, context, each)); });
      }
    });
  }

  Item question(const std::string& where, const std::shared_ptr<const std::string>& title,
                const std::shared_ptr<const std::string>& context, const json& entry) {
    Item item;
    item.where = where;
    item.title = title;
    item.context = context;
    item.id = text(entry, "id");
    item.question = text(entry, "question");
    if (is_blank(item.question)) throw Fault{"the question is empty", ""};
    for (const json& each : list(entry, "answers")) {
      item.answers.push_back(answer_of(each, *context));
    }
    if (item.answers.empty()) {
      throw Fault{"the question has no answer", "in SQuAD v1.1 every question has one at least"};
    }
    if (!ids_.insert(item.id).second) {
      throw Fault{fmt::format("a question of the id {} stands before", excerpt(item.id)),
                  "ids of questions must differ"};
    }
    return item;
  }

  std::string path_;
  int64_t articles_ = 0;
  std::deque<Item> items_;
  std::unordered_set<std::string> ids_;
};

/// Gives the questions of a file, which is read article by article: of the JSON values there is
/// never more than an article in memory.
class SquadReader final : public RecordReader {
 public:
  SquadReader(const std::filesystem::path& path, const std::vector<std::string>& wanted)
      : path_(path) {
    for (const std::string& name : wanted) {
      const auto found = std::find(kColumns.begin(), kColumns.end(), name);
      if (found == kColumns.end()) throw_absent_column(path.string(), name, kColumns);
      wanted_.push_back(found - kColumns.begin());
    }
    read();
  }

  std::optional<Record> next() override {
    if (items_.empty()) return std::nullopt;
    Item item = std::move(items_.front());
    items_.pop_front();
    ++number_;
    if (!item.fault.empty()) throw DataError(item.where, item.fault, item.hint);
    Record record;
    record.line = number_;
    record.where = std::move(item.where);
    const std::string* values[] = {&item.id, item.title.get(), &item.question, item.context.get()};
    for (const auto column : wanted_) record.values.push_back(*values[column]);
    record.answers = std::move(item.answers);
    return record;
  }

 private:
  void read() {
    const MappedFile file(path_);
    const std::string_view bytes(reinterpret_cast<const char*>(file.bytes().data()),
                                 file.bytes().size());
    if (is_blank(bytes)) throw DataError(path_.string(), "the file is empty");
    Collector collector(path_.string());
    bool in_data = false, is_list = false;
    const auto visit = [&](int depth, json::parse_event_t event, json& value) {
      if (depth == 1 && event == json::parse_event_t::key) in_data = value == "data";
      if (depth == 1 && event == json::parse_event_t::array_start) is_list = is_list || in_data;
      const bool done = event == json::parse_event_t::object_end ||
                        event == json::parse_event_t::array_end ||
                        event == json::parse_event_t::value;
      if (depth != 2 || !done) return true;
      if (in_data) collector.article(value);
      return false;  // the value is not kept
    };
    json root;
    try {
      root = json::parse(bytes.begin(), bytes.end(), visit);
    } catch (const json::parse_error& error) {
      const auto before = bytes.substr(0, std::min(error.byte, bytes.size()));
      throw DataError(
          fmt::format("{}:{}", path_.string(), 1 + std::count(before.begin(), before.end(), '\n')),
          fmt::format("not JSON: wrong at byte {} of {}, after {} whole articles", error.byte,
                      bytes.size(), collector.articles()),
          "the file may have been cut off: get it again");
    }
    if (!root.is_object() || !is_list) {
      throw DataError(path_.string(), "not SQuAD: expected an object with a list \"data\"",
                      "JSON lines are read by --format jsonl");
    }
    items_ = collector.take();
  }

  std::filesystem::path path_;
  std::vector<std::ptrdiff_t> wanted_;  // places in kColumns
  std::deque<Item> items_;
  int64_t number_ = 0;
};

}  // namespace

std::unique_ptr<RecordReader> open_squad(const std::filesystem::path& path,
                                         const std::vector<std::string>& wanted) {
  return std::make_unique<SquadReader>(path, wanted);
}

}  // namespace filigree
