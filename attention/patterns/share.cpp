// a*x: a keyed share of a's edges, for densities between those of two whole numbers.
#include <cmath>
#include <fmt/format.h>
#include <optional>

#include "attention/patterns/kind.h"
#include "core/random.h"

namespace filigree {

namespace {

constexpr double kDigits = 1e9;  // a share has nine digits

/// What a sequence is, wherever it stands: the same text gets the same edges in every batch, split
/// and process. Cost O(n).
uint64_t content_of(const SequenceView& sequence) {
  const auto bytes = std::as_bytes(sequence.ids);
  return mix_key({static_cast<uint64_t>(sequence.length),
                  hash_name({reinterpret_cast<const char*>(bytes.data()), bytes.size()})});
}

class Share final : public PatternNode {
 public:
  Share(std::shared_ptr<const PatternNode> whole, double share,
        std::optional<uint64_t> content = {})
      : whole_(std::move(whole)),
        share_(std::round(share * kDigits) / kDigits),
        content_(content) {}

  /// Edge (i, j) has the number philox(key)(i, j) / 2^32, whatever other edges there are; the key
  /// is of seed and sequence, and of layer and head if these have edges of their own. Cost O(edges
  /// of the whole).
  void row(const SequenceView& sequence, int64_t i, const GraphKey& key, const Runs& taken,
           Runs& out) const override {
    ScratchRuns borrowed;
    Runs& whole = *borrowed;
    whole_->row(sequence, i, key, taken, whole);
    const bool own = differs_by_head();
    const uint64_t numbers = mix_key({key.seed, static_cast<uint64_t>(Purpose::share),
                                      content_ ? *content_ : content_of(sequence),
                                      own ? static_cast<uint64_t>(key.layer) + 1 : 0,
                                      own ? static_cast<uint64_t>(key.head) + 1 : 0});
    for (const Run& run : whole) {
      for (int32_t j = run.lo; j < run.hi; ++j) {
        const uint32_t bits =
            philox(numbers, static_cast<uint64_t>(i), static_cast<uint64_t>(j))[0];
        if (static_cast<double>(bits) * 0x1p-32 < share_) append_run(out, j, j + 1);
      }
    }
  }

  std::string text() const override {
    std::string digits = fmt::format("{:.9f}", share_);
    digits.erase(digits.find_last_not_of('0') + 1);
    if (digits.back() == '.') digits.pop_back();
    const bool wrapped = is_operation(*whole_) || dynamic_cast<const Share*>(whole_.get());
    return (wrapped ? "(" + whole_->text() + ")" : whole_->text()) + "*" + digits;
  }
  bool differs_by_head() const override { return whole_->differs_by_head(); }
  int turn() const override { return whole_->turn(); }
  bool whole_graph() const override { return whole_->whole_graph(); }
  std::shared_ptr<const PatternNode> draw(const SequenceView& sequence, const GraphKey& key,
                                          const RowFunction& taken) const override {
    std::shared_ptr<const PatternNode> whole = whole_->draw(sequence, key, taken);
    return whole ? std::make_shared<Share>(std::move(whole), share_, content_) : nullptr;
  }
  unsigned reads() const override { return whole_->reads() | kReadsIds; }
  std::shared_ptr<const PatternNode> bind(const SequenceView& sequence) const override {
    std::shared_ptr<const PatternNode> whole = whole_->bind(sequence);
    return std::make_shared<Share>(whole ? std::move(whole) : whole_, share_, content_of(sequence));
  }

 private:
  std::shared_ptr<const PatternNode> whole_;
  double share_;
  std::optional<uint64_t> content_;  // of the sequence it is bound to
};

}  // namespace

std::shared_ptr<const PatternNode> keep_share(std::shared_ptr<const PatternNode> whole,
                                              double share) {
  return std::make_shared<Share>(std::move(whole), share);
}

}  // namespace filigree
