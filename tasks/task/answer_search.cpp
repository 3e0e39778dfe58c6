#include "tasks/task/answer_search.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <tuple>

#include "core/error.h"

namespace filigree {

namespace {

bool is_better(const Answer& a, const Answer& b) {
  return std::tuple(-a.score, a.place.begin, a.place.end) <
         std::tuple(-b.score, b.place.begin, b.place.end);
}

}  // namespace

AnswerSearch::AnswerSearch(const AnswerLimits& limits) : limits_(limits) {
  if (limits.max_tokens < 1) {
    throw ConfigError("max-answer", fmt::format("expected at least 1, got {}", limits.max_tokens));
  }
  if (limits.best < 1) {
    throw ConfigError("n-best", fmt::format("expected at least 1, got {}", limits.best));
  }
}

void AnswerSearch::consider(const Answer& answer) {
  const auto room = static_cast<size_t>(limits_.best);
  if (top_.size() == room && !is_better(answer, top_.back())) return;
  const auto same = std::find_if(top_.begin(), top_.end(),
                                 [&](const Answer& other) { return other.place == answer.place; });
  if (same != top_.end()) {
    if (!is_better(answer, *same)) return;
    top_.erase(same);
  } else if (top_.size() == room) {
    top_.pop_back();
  }
  top_.insert(std::upper_bound(top_.begin(), top_.end(), answer, is_better), answer);
}

void AnswerSearch::add(const Tensor& logits, int64_t row, std::span<const int32_t> places) {
  const auto tokens = static_cast<int64_t>(places.size() / 2);
  std::vector<double> starts, ends;
  for (int64_t t = 0; t < tokens; ++t) {
    starts.push_back(logits.at(2 * (row + t)));
    ends.push_back(logits.at(2 * (row + t) + 1));
  }
  const auto is_text = [&](size_t t) { return places[2 * t] < places[2 * t + 1]; };
  for (size_t i = 0; i < starts.size(); ++i) {
    if (!is_text(i)) continue;
    const size_t behind = std::min(starts.size(), i + static_cast<size_t>(limits_.max_tokens));
    for (size_t j = i; j < behind; ++j) {
      const double score = starts[i] + ends[j];
      if (!is_text(j) || std::isnan(score)) continue;
      consider({{places[2 * i], places[2 * j + 1]}, score, 0});
    }
  }
}

std::vector<Answer> AnswerSearch::best() const {
  std::vector<Answer> answers = top_;
  double sum = 0;
  for (Answer& answer : answers) {
    answer.probability = std::exp(answer.score - answers.front().score);
    sum += answer.probability;
  }
  for (Answer& answer : answers) answer.probability /= sum;
  return answers;
}

std::string answer_text(std::string_view context, const ByteSpan& place) {
  constexpr std::string_view kSpaces = " \t\r\n\v\f";
  const auto is_inside = [&](size_t at) {  // a character
    return at < context.size() && (static_cast<uint8_t>(context[at]) & 0xC0) == 0x80;
  };
  auto begin = static_cast<size_t>(place.begin), end = static_cast<size_t>(place.end);
  while (begin > 0 && is_inside(begin)) --begin;
  while (is_inside(end)) ++end;
  const std::string_view text = context.substr(begin, end - begin);
  const size_t first = text.find_first_not_of(kSpaces);
  if (first == std::string_view::npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(kSpaces) + 1 - first));
}

}  // namespace filigree
