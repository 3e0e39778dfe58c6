#include "nn/rounded_copy.h"

#include <mutex>
#include <utility>

#include "core/error.h"
#include "core/kernels/cast.h"

namespace filigree {

namespace {

std::mutex making;

}  // namespace

bool RoundedCopy::is_current(DType dtype) const {
  const Tensor& master = std::as_const(master_).value();
  return value_.defined() && value_.dtype() == dtype && value_.shape() == master.shape() &&
         version_ != 0 && version_ == master.version() && at_ == master.raw();
}

Tensors RoundedCopy::current(std::span<RoundedCopy* const> copies, DType dtype) {
  if (!is_floating(dtype)) throw_dtype("rounded copy", "a floating dtype", dtype);
  const std::lock_guard lock(making);
  std::vector<CastPair> pairs;
  std::vector<std::pair<RoundedCopy*, uint64_t>> made;  // and the versions that are read
  Tensors values;
  for (RoundedCopy* copy : copies) {
    if (!copy->is_current(dtype)) {
      const Tensor& master = std::as_const(copy->master_).value();
      expect_same_kind("rounded copy", std::as_const(copies.front()->master_).value(), master);
      made.emplace_back(copy, master.version());
      copy->prepare(dtype);
      pairs.push_back({master, copy->value_});
    }
    values.push_back(copy->value_);
  }
  if (pairs.empty()) return values;
  kernels::cast_many(pairs.front().from, pairs);
  for (const auto& [copy, version] : made) copy->version_ = version;
  return values;
}

void RoundedCopy::prepare(DType dtype) {
  const Tensor& master = std::as_const(master_).value();
  version_ = 0;  // until it is made
  at_ = master.raw();
  const bool reused = value_.unique() && value_.dtype() == dtype &&
                      value_.device() == master.device() && value_.shape() == master.shape();
  if (!reused) value_ = Tensor(master.shape(), dtype, master.device());
}

}  // namespace filigree
