#include "attention/degrees/hard_reach.h"

#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <numeric>

#include "attention/degrees/distribution.h"
#include "core/error.h"

namespace filigree {

namespace {

constexpr uint64_t kGolden = 0x9e3779b97f4a7c15u;  // 2^64 / phi

/// Nine decimals, without the zeros at the end; never an exponent, whose minus is an operator.
std::string decimal(double value) {
  std::string text = fmt::format("{:.9f}", value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

}  // namespace

HardReach::HardReach(int64_t reach) : reach_{reach}, p_{1}, upto_{1} {
  if (reach >= 0 && reach <= std::numeric_limits<int32_t>::max()) return;
  throw ConfigError("degrees", fmt::format("a reach of {} tokens", reach),
                    "give a number from 0 to 2147483647");
}

HardReach::HardReach(const Reaches& reaches, std::vector<double> p, double shift)
    : reach_(reaches.values().begin(), reaches.values().end()), p_(std::move(p)), shift_(shift) {
  if (p_.size() != reach_.size()) {
    throw ShapeError("degrees",
                     fmt::format("{} probabilities of {} reaches", p_.size(), reach_.size()),
                     "give one a reach of the grid");
  }
  expect_probabilities("degrees", p_);
  if (!(shift >= 0 && shift < 1)) {
    throw ConfigError("degrees", fmt::format("irregular reaches shifted by {}", shift),
                      "give a number from 0 to below 1");
  }
  upto_.resize(p_.size());
  std::partial_sum(p_.begin(), p_.end(), upto_.begin());
  // Divided by the sum, the last reach that can occur has F = 1 exactly, whatever was rounded.
  const double sum = upto_.back();
  for (double& value : upto_) value /= sum;
}

int64_t HardReach::of(int64_t i) const {
  const uint64_t start = static_cast<uint64_t>(shift_ * 0x1p53) << 11;
  const uint64_t turned = start + kGolden * static_cast<uint64_t>(i);
  const double at = static_cast<double>(turned >> 11) * 0x1p-53;
  return reach_[static_cast<size_t>(std::upper_bound(upto_.begin(), upto_.end(), at) -
                                    upto_.begin())];
}

std::string HardReach::pattern() const {
  if (regular()) return fmt::format("neighbour:{}", largest());
  // 0.9999999999 would be written as 1, which is none.
  std::string text = "irregular:" + decimal(std::min(shift_, 1 - 1e-9));
  for (size_t k = 0; k < reach_.size(); ++k) {
    const std::string share = decimal(p_[k]);
    if (share != "0") text += fmt::format(",{},{}", reach_[k], share);
  }
  return text;
}

std::vector<int32_t> HardReach::of_sequence(int64_t length) const {
  if (length < 0) {
    throw ShapeError("degrees", fmt::format("a sequence of {} tokens", length), "lengths are >= 0");
  }
  std::vector<int32_t> reaches(static_cast<size_t>(length));
  for (int64_t i = 0; i < length; ++i)
    reaches[static_cast<size_t>(i)] = static_cast<int32_t>(of(i));
  return reaches;
}

}  // namespace filigree
