// Module: a tree of named parameters.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "autograd/variable.h"

namespace filigree {

class RoundedCopy;  // nn/rounded_copy.h

/// Sees what every layer's attention is computed from: qkv (T, 3 H D) = [q | k | v], and its bias
/// by distance (H, 2R+1), undefined if it has none.
using AttentionObserver = std::function<void(int layer, const Variable& qkv, const Variable& bias)>;

/// What a forward pass needs to know beside its inputs. Random numbers are keyed by it.
struct ForwardContext {
  bool training = false;
  uint64_t seed = 0;
  uint64_t step = 0;                             ///< counts micro-batches, so that no two draw the
                                                 ///< same
  double draw_temperature = 1;                   ///< of tokens that draw their reaches (ReachDraws)
  const AttentionObserver* attention = nullptr;  ///< must outlive the forward pass
};

/// Named tensors, sorted by name: a model's or an optimizer's state.
using StateDict = std::map<std::string, Tensor>;

/// What a parameter is, which decides how it starts and whether weight decay applies to it.
enum class ParameterKind {
  weight,  ///< a matrix or table: drawn at random by initialise(), decays
  offset,  ///< a bias, a norm's gain, a table of score biases: keeps its start, does not decay
};

struct NamedParameter {
  std::string name;  ///< the path from the module that was asked
  Variable value;
  ParameterKind kind = ParameterKind::weight;
};
using NamedParameters = std::vector<NamedParameter>;

/// Base of layers and models. Parameters and children are registered under the member's name; the
/// path of a parameter is the names joined by ".": "encoder.layers.0.attention.output.weight".
/// Modules are neither copied nor moved: children are registered by address.
class Module {
 public:
  Module() = default;
  virtual ~Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  /// In order of registration.
  NamedParameters named_parameters() const;
  int64_t parameter_count() const;
  void zero_grad();
  /// How many numbers those of the parameters here and below have that may have rounded copies.
  int64_t rounded_count() const;
  /// Adds the rounded copies of the parameters here and below.
  void collect_rounded(std::vector<RoundedCopy*>& found) const;
  /// Makes those of them that are not current, together: whoever needs one then finds it.
  void make_rounded(DType dtype) const;

  StateDict state_dict() const;
  /// Copies values in. Strict: every name, shape and dtype must match, else CheckpointError lists
  /// all that is missing, unexpected or misshapen, and nothing is changed. Not strict: loads what
  /// fits and returns the names that were left as they are.
  std::vector<std::string> load_state_dict(const StateDict& state, bool strict = true);

 protected:
  /// Makes a parameter of zeros and registers it. Names of parameters and children are distinct
  /// and not empty: ConfigError.
  Variable add_parameter(const std::string& name, const Shape& shape, DType dtype,
                         ParameterKind kind);
  void add_child(const std::string& name, Module& child);
  /// For make_rounded().
  void add_rounded(RoundedCopy& copy) { rounded_.push_back(&copy); }

 private:
  void collect(const std::string& prefix, NamedParameters& found) const;
  void expect_new(const std::string& name) const;
  NamedParameters parameters_;
  std::vector<std::pair<std::string, Module*>> children_;
  std::vector<RoundedCopy*> rounded_;
};

}  // namespace filigree
