// nn/rounded_copy.h on a device, where the programs of tests/nn do not go.
#include <gtest/gtest.h>

#include "autograd/backward.h"
#include "core/kernels/accumulate.h"
#include "nn/layers.h"
#include "nn/masked_lm.h"
#include "nn/optimizer.h"
#include "nn/rounded_copy.h"
#include "tests/cuda_device.h"
#include "tests/nn/small_model.h"

namespace filigree {

namespace {

using testing_device::kCuda;
using testing_nn::same_bits;

constexpr DType kHalf = DType::bf16;

Tensor random_numbers(uint64_t seed, const Shape& shape) {
  RandomStream random(seed, Purpose::test);
  Tensor values(shape, DType::f32);
  for (float& value : values.span<float>()) value = static_cast<float>(random.normal());
  return values;
}

Tensor copy_of(RoundedCopy& copy) {
  RoundedCopy* const one[] = {&copy};
  return RoundedCopy::current(one, kHalf)[0];
}

int64_t launches() { return backend_of(kCuda).counters(0).launches; }

/// How many launches a call takes.
template <class Call>
int64_t launches_of(Call&& call) {
  const int64_t before = launches();
  call();
  return launches() - before;
}

/// The copy is the value's, and is kept.
void expect_current(RoundedCopy& copy, const Variable& master, const char* after) {
  const Tensor got = copy_of(copy);
  EXPECT_TRUE(same_bits(got.to(kCpu), master.value().to(kCpu).to(kHalf))) << after;
  EXPECT_EQ(launches_of([&] { EXPECT_TRUE(copy_of(copy).same_data(got)); }), 0) << after;
}

}  // namespace

TEST(DeviceRoundedCopy, FollowsEveryWrite) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  const Shape shape{6, 5};
  Variable master(random_numbers(1, shape).to(kCuda), true);
  RoundedCopy copy(master);
  expect_current(copy, master, "nothing");
  master.value().copy_from(random_numbers(2, shape));
  expect_current(copy, master, "copy_from the CPU");
  master.value().copy_from(random_numbers(3, shape).to(kCuda));
  expect_current(copy, master, "copy_from the device");
  master.value().fill(0.3);
  expect_current(copy, master, "fill");
  master.value().slice(2, 1).fill(0.7);
  expect_current(copy, master, "a write to a slice");
  Tensor other = std::as_const(master).value().view({30});
  kernels::accumulate(random_numbers(4, {30}).to(kCuda), other);
  expect_current(copy, master, "a kernel, through another tensor");

  const Tensor longer = random_numbers(5, {12, 5}).to(kCuda);
  master.value() = longer.slice(0, 6);
  expect_current(copy, master, "another value");
  master.value() = longer.slice(6, 6);
  expect_current(copy, master, "another part of the same");
  master.value() = longer.slice(1, 4);
  expect_current(copy, master, "another shape");
  // Where one was freed and the next has its memory.
  for (uint64_t k = 0; k < 4; ++k) {
    master.value() = Tensor();
    master.value() = random_numbers(10 + k, shape).to(kCuda);
    expect_current(copy, master, "the same memory");
  }
}

TEST(DeviceRoundedCopy, FollowsOptimizersAndLoadedStates) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  Linear layer(5, 4, DType::f32);
  testing_nn::randomise(layer, 1);
  NamedParameters parameters = layer.named_parameters();
  for (NamedParameter& each : parameters) each.value.value() = each.value.value().to(kCuda);
  std::vector<RoundedCopy*> copies;
  layer.collect_rounded(copies);
  ASSERT_EQ(copies.size(), 2U);
  const auto expect_all = [&](const char* after) {
    EXPECT_EQ(launches_of([&] { RoundedCopy::current(copies, kHalf); }), 1) << after;
    for (size_t k = 0; k < 2; ++k) expect_current(*copies[k], parameters[k].value, after);
  };
  expect_all("nothing");
  const std::unique_ptr<Optimizer> optimizers[] = {make_adamw(parameters), make_sgd(parameters)};
  for (const auto& optimizer : optimizers) {
    for (NamedParameter& each : parameters) {
      each.value.grad() = Tensor::full(each.value.shape(), 1, DType::f32, kCuda);
    }
    optimizer->step(0.1);
    expect_all("a step");
    const Tensor losses[] = {Tensor::scalar(1).to(kCuda)};
    optimizer->step(0.1, optimizer->judge(losses, 1));
    expect_all("a step that the device judges");
  }
  StateDict state;
  for (const NamedParameter& each : parameters) {
    state[each.name] = random_numbers(9, each.value.shape());
  }
  layer.load_state_dict(state);
  expect_all("a loaded state");
}

// More than one launch takes, of all sizes, some of them empty, some where no pack fits.
TEST(DeviceRoundedCopy, ManyAreMadeTogether) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  const std::vector<int64_t> sizes{0, 1, 7, 8, 9, 0, 64, 1000};
  std::vector<Variable> masters;
  for (size_t k = 0; k < 200; ++k) {
    const int64_t count = sizes[k % sizes.size()];
    const Tensor longer = random_numbers(k, {count + 1}).to(kCuda);
    masters.emplace_back(longer.slice(k % 3 == 0 ? 1 : 0, count), true);
  }
  std::vector<std::unique_ptr<RoundedCopy>> made;
  std::vector<RoundedCopy*> copies;
  for (const Variable& master : masters) {
    made.push_back(std::make_unique<RoundedCopy>(master));
    copies.push_back(made.back().get());
  }
  EXPECT_EQ(launches_of([&] { RoundedCopy::current(copies, kHalf); }), 3);
  EXPECT_EQ(launches_of([&] { RoundedCopy::current(copies, kHalf); }), 0);
  masters[50].value().fill(2);
  EXPECT_EQ(launches_of([&] { RoundedCopy::current(copies, kHalf); }), 1);
  for (size_t k = 0; k < masters.size(); ++k) expect_current(*copies[k], masters[k], "all");
}

// The weights change, and are rounded again, between a forward pass and its backward pass.
TEST(DeviceRoundedCopy, ABackwardPassHasTheWeightsOfItsForwardPass) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  const auto gradient = [](bool between) {
    Linear layer(8, 8, DType::f32);
    testing_nn::randomise(layer, 1);
    for (NamedParameter& each : layer.named_parameters()) {
      each.value.value() = each.value.value().to(kCuda);
    }
    const Variable x(random_numbers(2, {3, 8}).to(kHalf).to(kCuda), true);
    const Variable y = layer.forward(x);
    if (between) {
      layer.named_parameters()[0].value.value().fill(7);
      const NoGrad no_grad;
      layer.forward(x);
    }
    backward(y, Tensor::full(y.shape(), 1, kHalf, kCuda));
    return x.grad().to(kCpu);
  };
  EXPECT_TRUE(same_bits(gradient(true), gradient(false)));
}

// Of a model: one launch for the layers and one for the head, in a step's first forward pass alone;
// and what is computed is what a model without kept copies computes.
TEST(DeviceRoundedCopy, MicroBatchesOfAStepShareThem) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  const EncoderConfig config = testing_nn::small_config();
  const TokenBatch batch = testing_nn::random_batch({5, 3}, config, 3);
  const LayerGraphs graphs = testing_nn::graphs_of(batch, config, "dense");
  const Tensor targets = Tensor::from(std::vector<int32_t>{1, -1, 2, 3, -1, 0, 6, -1});
  const auto made = [&] {
    auto model = std::make_unique<MaskedLm>(config, DType::f32);
    testing_nn::randomise(*model, 4);
    model->encoder().set_compute(kHalf);
    model->to(kCuda);
    return model;
  };
  const auto model = made();
  const auto optimizer = make_adamw(model->named_parameters());
  const auto pass = [&](const MaskedLm& of) {
    const Variable loss = of.loss(of.forward(batch, graphs, {true, 1, 1}), targets);
    backward(loss);
    return loss.value().to(kCpu);
  };
  pass(*model);  // plans, tiles
  optimizer->zero_grad();
  const int64_t kept = launches_of([&] { pass(*model); });
  optimizer->zero_grad();
  EXPECT_EQ(launches_of([&] { pass(*model); }), kept);
  for (int step = 0; step < 3; ++step) {
    optimizer->step(0.05);
    optimizer->zero_grad();
    Tensor loss;
    EXPECT_EQ(launches_of([&] { loss = pass(*model); }), kept + 1);
    const auto fresh = made();
    fresh->load_state_dict(model->state_dict());
    EXPECT_TRUE(same_bits(loss, pass(*fresh))) << "step " << step;
    const StateDict gradients = testing_nn::gradients_of(*model);
    for (const auto& [path, gradient] : testing_nn::gradients_of(*fresh)) {
      EXPECT_TRUE(same_bits(gradient.to(kCpu), gradients.at(path).to(kCpu))) << path;
    }
    optimizer->zero_grad();
    EXPECT_EQ(launches_of([&] { pass(*model); }), kept);
  }
}

// There a pointer may be kept, and written through when a copy has been made.
TEST(RoundedCopy, OnTheCpuIsMadeAtEveryUse) {
  Variable master(random_numbers(1, {4}), true);
  RoundedCopy copy(master);
  float* kept = master.value().data<float>();
  copy_of(copy);
  kept[2] = 3;
  EXPECT_EQ(copy_of(copy).at(2), 3);
  EXPECT_EQ(std::as_const(master).value().version(), 0U);
}

}  // namespace filigree
