#include "autograd/nan_locator.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include "autograd/function.h"
#include "autograd/nan_report.h"

namespace filigree {

namespace {

thread_local bool detecting = false;

bool all_finite(const Tensor& tensor) {
  if (!tensor.defined() || !is_floating(tensor.dtype())) return true;
  if (!tensor.device().is_cpu()) return all_finite(tensor.to(kCpu));
  if (tensor.dtype() == DType::bf16) return all_finite(tensor.to(DType::f32));
  return dispatch_float("detect_nan", tensor.dtype(), [&]<class T>() {
    const auto values = tensor.span<T>();
    return std::all_of(values.begin(), values.end(), [](T value) { return std::isfinite(value); });
  });
}

}  // namespace

DetectNaN::DetectNaN() : before_(detecting) { detecting = true; }
DetectNaN::~DetectNaN() { detecting = before_; }
bool detecting_nan() { return detecting; }

void report_nan(const Function& function, std::string_view direction, const Tensors& inputs,
                const Tensors& outputs) {
  if (std::all_of(outputs.begin(), outputs.end(), all_finite)) return;
  std::string text =
      fmt::format("NaN or Inf made by the {} pass of {}", direction, function.name());
  if (!function.module_path().empty()) text += " in " + function.module_path();
  for (size_t i = 0; i < inputs.size(); ++i) {
    text += fmt::format("\n  input {}: {}", i, statistics(inputs[i]));
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    text += fmt::format("\n  output {}: {}", i, statistics(outputs[i]));
  }
  throw NumericError(function.name(), text);
}

}  // namespace filigree
