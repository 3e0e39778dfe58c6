// What a training is expected to hold.
#include "tasks/training/forecast.h"

#include <gtest/gtest.h>

namespace filigree {

TEST(MemoryForecast, CountsWhatIsHeld) {
  EncoderConfig config;
  config.layers = 2;
  config.width = 8;
  config.heads = 2;
  config.ffn = 16;
  TrainedShape trained{1000, 600, 10, 2, DType::f32, DType::f32, 512, false};
  const MemoryForecast f32 = forecast_memory(config, trained);
  EXPECT_EQ(f32.parameters, 4000);
  EXPECT_EQ(f32.gradients, 2400);
  EXPECT_EQ(f32.optimizer, 4800);
  EXPECT_EQ(f32.activations, 10 * (2 * (80 + 32 + 2) + 24) * 4);
  trained.recompute = true;
  EXPECT_EQ(forecast_memory(config, trained).activations, 10 * (16 + 114 + 24) * 4);
  trained.recompute = false;
  trained.compute = DType::bf16;  // the layers' activations of half the size, and weights twice
  const MemoryForecast bf16 = forecast_memory(config, trained);
  EXPECT_EQ(bf16.activations, 10 * (2 * (80 + 32 + 2) * 2 + 24 * 4));
  EXPECT_EQ(bf16.parameters, 4000 + 512 * 2);
  EXPECT_EQ(bf16.optimizer, f32.optimizer);
}

}  // namespace filigree
