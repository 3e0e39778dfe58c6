// Finds the first operation that makes a NaN or Inf.
#pragma once

namespace filigree {

/// While one lives, on this thread, every output of every forward and backward is checked; the
/// first NaN or Inf is a NumericError that names the op, forward or backward, the module path and
/// the statistics of its inputs. Cost: one pass over every tensor.
class DetectNaN {
 public:
  DetectNaN();
  ~DetectNaN();
  DetectNaN(const DetectNaN&) = delete;
  DetectNaN& operator=(const DetectNaN&) = delete;

 private:
  bool before_;
};

bool detecting_nan();

}  // namespace filigree
