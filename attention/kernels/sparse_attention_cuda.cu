#include "attention/kernels/cuda_edges_passes.cuh"
#include "attention/kernels/cuda_tensor_passes.cuh"
#include "attention/kernels/cuda_tile_passes.cuh"
#include "attention/kernels/schedule.h"
#include "attention/kernels/sparse_attention.h"
#include "core/cuda/map.cuh"

namespace filigree::kernels::cuda {

namespace {

constexpr std::string_view kOp = "sparse_attention";

/// log g by distance; -inf where it is closed (no normal number, as on the CPU).
template <class S>
struct LogGate {
  using T = filigree::cuda::Compute<S>;
  const S* g;
  T* log;
  __device__ void operator()(int64_t i) const {
    const T open = load(g[i]);
    log[i] =
        open < std::numeric_limits<T>::min() ? -std::numeric_limits<T>::infinity() : std::log(open);
  }
};

/// dgate (H, R+1) from sums by distance (H, 2R+1): what an open distance has is g times its slope.
template <class S>
struct JoinSides {
  using T = filigree::cuda::Compute<S>;
  const T* sums;
  const S* g;
  S* dgate;
  int64_t reach;
  __device__ void operator()(int64_t i) const {
    const int64_t head = i / (reach + 1), d = i % (reach + 1);
    const T* middle = sums + head * (2 * reach + 1) + reach;
    const T sum = d == 0 ? T(0) : middle[d] + middle[-d];
    const T open = load(g[i]);
    dgate[i] = convert<S>(open < std::numeric_limits<T>::min() ? sum : sum / open);
  }
};

/// The tensors that a pass points at, and the pass.
template <class S>
struct Prepared {
  std::shared_ptr<const DeviceTileBatch> graph;
  Tensor log_gate, always;
  TilePass<S> pass{};
};

template <class S>
Prepared<S> prepare(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& bias,
                    const Tensor& gate, const AttentionArguments& arguments) {
  using T = filigree::cuda::Compute<S>;
  Prepared<S> made;
  const AttentionGraph& graph = *arguments.graph;
  made.graph = graph.schedules().tiles.get(graph, q.device());
  TilePass<S>& pass = made.pass;
  pass.describe(q, k, v, graph.heads(), arguments);
  pass.take(*made.graph);
  pass.take_bias(bias, arguments.bias_reach);
  pass.gate_reach = -1;
  if (gate.defined()) {
    made.log_gate = Tensor(gate.shape(), dtype_of<T>, gate.device());
    filigree::cuda::for_each(kOp, gate, gate.numel(),
                             LogGate<S>{gate.data<S>(), made.log_gate.template data<T>()});
    pass.log_gate = made.log_gate.template data<T>();
    if (arguments.always && !arguments.always->tokens.empty()) {
      made.always = graph.schedules().always.get(graph.offsets(), arguments.always, q.device());
      pass.always = std::as_const(made.always).template data<uint8_t>();
    }
    pass.gate_reach = gate.size(1) - 1;
  }
  return made;
}

/// Whether the pass goes edge by edge. Throws where that was asked for and there is no such kernel.
bool by_edges(const Tensor& q, const Tensor& bias, const Tensor& gate,
              const AttentionArguments& arguments) {
  const AttentionUse use{q.dtype(), arguments.head_dim, bias.defined() || gate.defined(),
                         arguments.kernel};
  return device_kernel(*arguments.graph, q.device(), use) == AttentionKernel::edges;
}

}  // namespace

void attention_forward(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& bias,
                       const Tensor& gate, const AttentionArguments& arguments, Tensor& o,
                       Tensor& lse) {
  if (by_edges(q, bias, gate, arguments)) return edges_forward_pass(q, k, v, arguments, o, lse);
  filigree::cuda::dispatch_stored(kOp, q.dtype(), [&]<class S>() {
    const Prepared<S> made = prepare<S>(q, k, v, bias, gate, arguments);
    tiles_forward_pass(made.pass, q, o.data<S>(), lse.data<filigree::cuda::Compute<S>>());
  });
}

void attention_backward(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& bias,
                        const Tensor& gate, const Tensor& o, const Tensor& lse, const Tensor& grad,
                        const AttentionArguments& arguments, Tensor& dq, Tensor& dk, Tensor& dv,
                        Tensor& dbias, Tensor& dgate) {
  filigree::cuda::dispatch_stored(kOp, q.dtype(), [&]<class S>() {
    using T = filigree::cuda::Compute<S>;
    const Tensor delta = make_delta<S>(grad, o, lse, arguments.head_dim);
    if (by_edges(q, bias, gate, arguments)) {
      return edges_backward_pass(q, k, v, lse, delta, grad, arguments, dq, dk, dv);
    }
    Prepared<S> made = prepare<S>(q, k, v, bias, gate, arguments);
    TilePass<S>& pass = made.pass;
    pass.grad = grad.data<S>();
    pass.lse = lse.data<T>();
    pass.delta = delta.data<T>();
    Tensor bias_parts = make_parts(pass, bias, pass.bias_reach),
           gate_parts = make_parts(pass, gate, pass.gate_reach);
    tiles_backward_pass(pass, q, dq.data<S>() + arguments.q_at, dk.data<S>() + arguments.k_at,
                        dv.data<S>() + arguments.v_at,
                        DistanceParts<T>{bias.defined() ? bias_parts.data<T>() : nullptr,
                                         gate.defined() ? gate_parts.data<T>() : nullptr});
    if (bias.defined()) add_up_parts<T>(kOp, bias_parts, dbias.data<S>());
    if (gate.defined()) {
      Tensor sums({gate_parts.size(1)}, dtype_of<T>, q.device());
      add_up_parts<T>(kOp, gate_parts, sums.data<T>());
      filigree::cuda::for_each(
          kOp, q, dgate.numel(),
          JoinSides<S>{sums.data<T>(), gate.data<S>(), dgate.data<S>(), pass.gate_reach});
    }
  });
}

void attention_units(const Tensor& like, int64_t dim, std::string& units) {
  const bool tensor_cores = like.dtype() == DType::bf16 && dim <= kWidestTensor;
  units = !tensor_cores ? "cores" : wgmma_takes(dim, like.device()) ? "wgmma" : "mma.sync";
}

}  // namespace filigree::kernels::cuda
