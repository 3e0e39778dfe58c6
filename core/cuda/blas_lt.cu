#include <cublasLt.h>
#include <map>
#include <memory>
#include <mutex>
#include <type_traits>

#include "core/cuda/blas_lt.cuh"
#include "core/cuda/context.cuh"

namespace filigree::cuda {

namespace {

constexpr std::string_view kWhere = "matmul";
constexpr int64_t kWorkspace = int64_t{32} << 20;  // what NVIDIA recommends for Hopper
constexpr size_t kMostPlans = 4096;
constexpr uint32_t kAlignment = 16;

void check_lt(cublasStatus_t code, std::string_view call) { check(code, kWhere, call); }

template <class T>
void set(cublasLtMatmulDesc_t of, cublasLtMatmulDescAttributes_t attribute, const T& value) {
  check_lt(cublasLtMatmulDescSetAttribute(of, attribute, &value, sizeof value),
           "cublasLtMatmulDescSetAttribute");
}
template <class T>
void set(cublasLtMatmulPreference_t of, cublasLtMatmulPreferenceAttributes_t attribute,
         const T& value) {
  check_lt(cublasLtMatmulPreferenceSetAttribute(of, attribute, &value, sizeof value),
           "cublasLtMatmulPreferenceSetAttribute");
}

enum class Epilogue : uint8_t { bias, row_sums_of_a };

/// A column-major product as cuBLASLt wants it described: m x n = op(a) op(b), sums over k.
struct ProductForm {
  int64_t m, n, k;
  bool transpose_a, transpose_b, tf32;
  cudaDataType_t type, result;  // of the operands; of the product and the vector
  Epilogue epilogue;
  auto operator<=>(const ProductForm&) const = default;
};

/// Owns what cuBLASLt made.
template <class Handle, cublasStatus_t (*Destroy)(Handle)>
struct Deleter {
  void operator()(Handle handle) const { Destroy(handle); }
};
template <class Handle, cublasStatus_t (*Destroy)(Handle)>
using Owned = std::unique_ptr<std::remove_pointer_t<Handle>, Deleter<Handle, Destroy>>;

using Layout = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Product = Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Preference = Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

/// Columns packed one behind the other.
Layout layout_of(cudaDataType_t type, int64_t rows, int64_t columns) {
  cublasLtMatrixLayout_t made = nullptr;
  check_lt(cublasLtMatrixLayoutCreate(&made, type, static_cast<uint64_t>(rows),
                                      static_cast<uint64_t>(columns), rows),
           "cublasLtMatrixLayoutCreate");
  return Layout(made);
}
Product product_of(const ProductForm& form) {
  cublasLtMatmulDesc_t made = nullptr;
  check_lt(cublasLtMatmulDescCreate(
               &made, form.tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F),
           "cublasLtMatmulDescCreate");
  return Product(made);
}
Preference make_preference() {
  cublasLtMatmulPreference_t made = nullptr;
  check_lt(cublasLtMatmulPreferenceCreate(&made), "cublasLtMatmulPreferenceCreate");
  return Preference(made);
}

/// The description of one form of product, and the algorithm that was found for it, if one was.
class Plan {
 public:
  Plan(cublasLtHandle_t handle, const ProductForm& form)
      : a_(layout_of(form.type, form.transpose_a ? form.k : form.m,
                     form.transpose_a ? form.m : form.k)),
        b_(layout_of(form.type, form.transpose_b ? form.n : form.k,
                     form.transpose_b ? form.k : form.n)),
        c_(layout_of(form.result, form.m, form.n)),
        product_(product_of(form)) {
    set(product_.get(), CUBLASLT_MATMUL_DESC_TRANSA, form.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(product_.get(), CUBLASLT_MATMUL_DESC_TRANSB, form.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
    // Operands are exchanged (matmul_with), so that our rows are its columns, our a its b.
    set(product_.get(), CUBLASLT_MATMUL_DESC_EPILOGUE,
        form.epilogue == Epilogue::bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_BGRADB);
    choose(handle);
  }

  bool found() const { return found_; }

  void run(const Context& context, const void* a, const void* b, void* c, const void* vector,
           Tensor& workspace) const {
    set(product_.get(), CUBLASLT_MATMUL_DESC_BIAS_POINTER, vector);
    const float one = 1, zero = 0;
    check_lt(cublasLtMatmul(context.blas_lt(), product_.get(), &one, a, a_.get(), b, b_.get(),
                            &zero, c, c_.get(), c, c_.get(), &chosen_.algo, workspace.raw(),
                            static_cast<size_t>(kWorkspace), context.stream()),
             "cublasLtMatmul");
  }

 private:
  void choose(cublasLtHandle_t handle) {
    const Preference wanted = make_preference();
    set(wanted.get(), CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<uint64_t>(kWorkspace));
    // Sums that are divided are put together in f32, in a fixed order.
    set(wanted.get(), CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
        static_cast<uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
    for (const auto attribute :
         {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
          CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
      set(wanted.get(), attribute, kAlignment);
    }
    // Of the vector it is only asked how its address is aligned, and every one is to be welcome.
    set(product_.get(), CUBLASLT_MATMUL_DESC_BIAS_POINTER,
        reinterpret_cast<const void*>(uintptr_t{kAlignment}));
    int count = 0;
    const cublasStatus_t code =
        cublasLtMatmulAlgoGetHeuristic(handle, product_.get(), a_.get(), b_.get(), c_.get(),
                                       c_.get(), wanted.get(), 1, &chosen_, &count);
    if (code != CUBLAS_STATUS_NOT_SUPPORTED && code != CUBLAS_STATUS_INVALID_VALUE) {
      check_lt(code, "cublasLtMatmulAlgoGetHeuristic");
    }
    found_ = code == CUBLAS_STATUS_SUCCESS && count > 0 && chosen_.state == CUBLAS_STATUS_SUCCESS &&
             chosen_.workspaceSize <= static_cast<size_t>(kWorkspace);
  }

  Layout a_, b_, c_;
  Product product_;
  cublasLtMatmulHeuristicResult_t chosen_{};
  bool found_ = false;
};

cudaDataType_t type_of(DType dtype) { return dtype == DType::f32 ? CUDA_R_32F : CUDA_R_16BF; }

bool aligned(const void* at) { return reinterpret_cast<uintptr_t>(at) % kAlignment == 0; }

}  // namespace

/// The plans of one device, and the room that their products work in.
class LtPlans {
 public:
  bool run(const Context& context, const ProductForm& form, const Tensor& a, const Tensor& b,
           Tensor& c, const void* vector) {
    const std::lock_guard lock(mutex_);
    auto place = plans_.find(form);
    if (place == plans_.end()) {
      if (plans_.size() >= kMostPlans) plans_.clear();
      place = plans_.try_emplace(form, context.blas_lt(), form).first;
    }
    const bool found = place->second.found();
    context.count_fused(found);
    if (!found) return false;
    if (!workspace_.defined()) workspace_ = Tensor({kWorkspace}, DType::u8, a.device());
    place->second.run(context, a.raw(), b.raw(), c.raw(), vector, workspace_);
    return true;
  }

 private:
  std::mutex mutex_;
  std::map<ProductForm, Plan> plans_;
  Tensor workspace_;
};

std::shared_ptr<LtPlans> make_lt_plans() { return std::make_shared<LtPlans>(); }

namespace {

/// cuBLASLt stores columns: what we store row by row is the transpose to it, so it is asked for
/// c^T = op(b)^T op(a)^T.
bool matmul_with(Epilogue epilogue, const Tensor& a, const Tensor& b, MatmulForm form, Tensor& c,
                 DType of_vector, const void* vector) {
  const DType dtype = a.dtype(), result = c.dtype();
  const bool known = (dtype == DType::f32 || dtype == DType::bf16) && b.dtype() == dtype &&
                     (result == DType::f32 || result == dtype) && of_vector == result;
  if (!known || a.numel() == 0 || b.numel() == 0 || form.accumulate) return false;
  if (!aligned(a.raw()) || !aligned(b.raw()) || !aligned(c.raw()) || !aligned(vector)) return false;
  Context& context = context_of(c.device());
  const ProductForm product{.m = c.size(1),
                            .n = c.size(0),
                            .k = form.transpose_a ? a.size(0) : a.size(1),
                            .transpose_a = form.transpose_b,
                            .transpose_b = form.transpose_a,
                            .tf32 = dtype == DType::f32 && context.tf32(),
                            .type = type_of(dtype),
                            .result = type_of(result),
                            .epilogue = epilogue};
  return context.lt_plans().run(context, product, b, a, c, vector);
}

}  // namespace

bool matmul_with_bias(const Tensor& a, const Tensor& b, MatmulForm form, Tensor& c,
                      const Tensor& bias) {
  return matmul_with(Epilogue::bias, a, b, form, c, bias.dtype(), bias.raw());
}

bool matmul_with_row_sums(const Tensor& a, const Tensor& b, MatmulForm form, Tensor& c,
                          Tensor& sums) {
  return matmul_with(Epilogue::row_sums_of_a, a, b, form, c, sums.dtype(), sums.raw());
}

}  // namespace filigree::cuda
