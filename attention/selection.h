// The text form of a choice of layers or heads. Private to attention.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace filigree {

/// The chosen ones of `count` layers or heads: "all", "none", "first:k", "last:k", "only:l" or a
/// list of numbers and ranges "0,2-4". Calls `fail` with the reason, which must throw.
std::vector<bool> selection(std::string_view text, int count,
                            const std::function<void(const std::string&)>& fail);

}  // namespace filigree
