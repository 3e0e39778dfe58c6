#include "nn/model.h"

namespace filigree {

void Model::to(Device device) {
  for (NamedParameter& parameter : named_parameters()) {
    if (is_degree_parameter(parameter.name)) continue;
    parameter.value.zero_grad();
    parameter.value.value() = parameter.value.value().to(device);
  }
}

}  // namespace filigree
