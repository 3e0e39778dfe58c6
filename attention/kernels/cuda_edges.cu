#include "attention/kernels/cuda_edges.cuh"
#include "attention/kernels/cuda_edges_passes.cuh"
#include "attention/kernels/schedule.h"
#include "core/cuda/context.cuh"
#include "core/error.h"

namespace filigree::kernels::cuda {

namespace {

constexpr std::string_view kOp = "sparse_attention";

/// The pass, and what it points at.
template <class S>
struct Prepared {
  std::shared_ptr<const DeviceEdgeBatch> graph;
  EdgePass<S> pass{};
};

template <class S>
Prepared<S> prepare(const Tensor& q, const Tensor& k, const Tensor& v,
                    const AttentionArguments& arguments) {
  const AttentionGraph& graph = *arguments.graph;
  Prepared<S> made;
  made.graph = graph.schedules().edges.get(graph, q.device());
  EdgePass<S>& pass = made.pass;
  pass.describe(q, k, v, graph.heads(), arguments);
  pass.places = made.graph->places;
  pass.group_of_head = made.graph->group_of_head;
  pass.sequences = made.graph->sequences;
  pass.blocks = made.graph->blocks;
  pass.sequence_count = made.graph->sequence_count;
  return made;
}

template <class S>
filigree::cuda::Grid grid_of(const EdgePass<S>& pass) {
  return {.blocks = pass.blocks, .heads = pass.heads, .threads = kEdgeWarps * kWarp};
}

/// body.template operator()<N, L, P>() so that L lanes with P packs of N hold a head; packs of one
/// element where the pass's rows, or those of `more`, are not whole packs.
template <class S, class Body>
void with_lanes(const EdgePass<S>& pass, std::initializer_list<const S*> more, Body body) {
  constexpr int N = filigree::cuda::kPack<S>;
  if (pass.dim > 256) {
    throw ShapeError(kOp, "heads of " + std::to_string(pass.dim) + " elements have no CUDA kernel",
                     "heads of up to 256 have one");
  }
  bool packed = pass.dim % N == 0 && pass.stride % N == 0 && pass.width % N == 0 &&
                filigree::cuda::packs_fit<N>(pass.q, pass.k, pass.v, pass.grad);
  for (const S* at : more) packed = packed && filigree::cuda::packs_fit<N>(at);
  if (!packed) return body.template operator()<1, 32, 8>();
  const int packs = pass.dim / N;
  if (packs <= 8) return body.template operator()<N, 8, 1>();
  if (packs <= 16) return body.template operator()<N, 16, 1>();
  if (packs <= 32) return body.template operator()<N, 32, 1>();
  if constexpr (N <= 4) {
    if (packs <= 64) return body.template operator()<N, 32, 2>();
  }
  if constexpr (N <= 2) body.template operator()<N, 32, 4>();
}

}  // namespace

void edges_forward_pass(const Tensor& q, const Tensor& k, const Tensor& v,
                        const AttentionArguments& arguments, Tensor& o, Tensor& lse) {
  filigree::cuda::dispatch_stored(kOp, q.dtype(), [&]<class S>() {
    using T = filigree::cuda::Compute<S>;
    const Prepared<S> made = prepare<S>(q, k, v, arguments);
    S* const to = o.data<S>();
    with_lanes<S>(made.pass, {to}, [&]<int N, int L, int P>() {
      filigree::cuda::launch(kOp, q, grid_of(made.pass), edges_forward<S, N, L, P>, made.pass, to,
                             lse.data<T>());
    });
  });
}

void edges_backward_pass(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& lse,
                         const Tensor& delta, const Tensor& grad,
                         const AttentionArguments& arguments, Tensor& dq, Tensor& dk, Tensor& dv) {
  filigree::cuda::dispatch_stored(kOp, q.dtype(), [&]<class S>() {
    using T = filigree::cuda::Compute<S>;
    Prepared<S> made = prepare<S>(q, k, v, arguments);
    made.pass.grad = grad.data<S>();
    made.pass.lse = lse.data<T>();
    made.pass.delta = delta.data<T>();
    S* const dq_at = dq.data<S>() + arguments.q_at;
    S* const dk_at = dk.data<S>() + arguments.k_at;
    S* const dv_at = dv.data<S>() + arguments.v_at;
    with_lanes<S>(made.pass, {dq_at, dk_at, dv_at}, [&]<int N, int L, int P>() {
      filigree::cuda::launch(kOp, q, grid_of(made.pass), edges_backward_rows<S, N, L, P>, made.pass,
                             dq_at);
      filigree::cuda::launch(kOp, q, grid_of(made.pass), edges_backward_columns<S, N, L, P>,
                             made.pass, dk_at, dv_at);
    });
  });
}

}  // namespace filigree::kernels::cuda
