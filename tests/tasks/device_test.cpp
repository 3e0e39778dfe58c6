// The same run on the CPU and on a CUDA device: losses, metrics, checkpoints that go on elsewhere.
#include <gtest/gtest.h>

#include "core/allocator.h"
#include "core/device_backend.h"
#include "core/error.h"
#include "tasks/degrees/learn.h"
#include "tasks/training/model_file.h"
#include "tasks/training/trainer.h"
#include "tests/cuda_device.h"
#include "tests/tasks/language_data.h"
#include "tests/tasks/task_data.h"

namespace filigree {

namespace {

using testing::options_for;
using testing::prepare_content;
using testing::TemporaryFolder;

/// A file of a task, prepared into FOLDER/out.
struct TaskData {
  const char* task;
  std::function<void(const TemporaryFolder&)> prepare;
};

std::string lines(const std::string& head, const std::vector<std::string>& rows, int times) {
  std::string text = head;
  for (int t = 0; t < times; ++t) {
    for (const std::string& row : rows) text += row + "\n";
  }
  return text;
}

void prepare_tree(const TemporaryFolder& folder) {
  std::string text;
  for (int s = 0; s < 12; ++s) {
    for (int w = 1; w <= 3 + s % 4; ++w) {
      text += testing::conllu_word(w, std::string(1, static_cast<char>('a' + (s + w) % 8)),
                                   (s + w) % 2 == 0 ? "NOUN" : "VERB");
    }
    text += "\n";
  }
  PrepareOptions options = options_for("tagging", "upos");
  options.text = "text";
  prepare_content(folder, "in.conllu", text, options);
}

void prepare_questions(const TemporaryFolder& folder) {
  prepare_content(folder, "in.json",
                  R"({"data": [{"title": "t", "paragraphs": [{"context": "a b c d e f", "qas": [
    {"id": "1", "question": "g a", "answers": [{"text": "b c", "answer_start": 2}]},
    {"id": "2", "question": "h", "answers": [{"text": "f", "answer_start": 10}]}]}]}]})",
                  options_for("qa", "label"));
}

const TaskData kTasks[] = {
    {"classification",
     [](const TemporaryFolder& folder) {
       PrepareOptions options = options_for("classification", "label");
       options.pair = "other";
       prepare_content(folder, "in.tsv",
                       lines("sentence\tother\tlabel\n",
                             {"a b c d e f g\tb\tx", "b\tc d\ty", "c a a b d\te f g h\tx"}, 5),
                       options);
     }},
    {"regression",
     [](const TemporaryFolder& folder) {
       prepare_content(folder, "in.tsv",
                       lines("sentence\tscore\n", {"a b c\t1", "b\t2.5", "a d e f\t-1"}, 5),
                       options_for("regression", "score"));
     }},
    {"tagging", prepare_tree},
    {"masked_lm",
     [](const TemporaryFolder& folder) {
       prepare_content(folder, "in.tsv",
                       lines("sentence\n", {"a b c d e", "b a", "c d e f g h a b"}, 5),
                       options_for("classification", ""));
     }},
    {"qa", prepare_questions},
};

TrainConfig config_for(const std::string& data, const std::string& task) {
  TrainConfig config;
  config.data.train = config.data.dev = data;
  config.model.width = 16;
  config.model.heads = 2;
  config.model.relative_bias = 2;
  config.model.init_std = 0.2;  // so that eight steps change the answers
  config.attention.pattern = "neighbour:1|global:cls|random:1";
  config.train.task = task;
  config.train.batch_tokens = 60;
  config.train.steps = 8;
  config.train.evaluate_every = 4;
  config.train.lr = 3e-3;
  config.train.threads = 1;
  return config;
}

/// Losses of all steps, then the last evaluation's loss and metrics.
std::vector<double> curve(TrainConfig config, const std::filesystem::path& folder,
                          const std::string& device) {
  config.train.device = device;
  std::vector<double> values;
  const TrainResult result = train(config, folder, false, {.step = [&](const Progress& progress) {
                                     values.push_back(progress.loss);
                                     values.push_back(progress.gradient_norm);
                                   }});
  values.push_back(result.last.loss);
  for (const NamedValue& metric : result.last.values) values.push_back(metric.value);
  return values;
}

void expect_near(const std::vector<double>& a, const std::vector<double>& b, double tolerance) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_NEAR(a[i], b[i], tolerance * std::max(1.0, std::abs(b[i]))) << "value " << i;
  }
}

/// Degrees are learned on `data`, of the built-in language.
TrainConfig degrees_config(const TemporaryFolder& data) {
  TrainConfig config = config_for(data / "train", "");
  config.data.dev = data / "dev";
  config.attention.pattern = "dense";  // the default: the degrees say what is looked at
  config.degrees.learner = "degrees";
  return config;
}

/// A run that is stopped on one device goes on on the other.
void expect_to_go_on(const TemporaryFolder& folder, TrainConfig config) {
  config.train.save_every = 2;
  const double straight = train(config, folder.path() / "straight", false).last.loss;
  int steps = 0;
  const TrainObserver stop{.stop = [&] { return ++steps == 3; }};
  const std::string devices[] = {"cuda", "cpu"};
  for (const std::string& first : devices) {
    const std::filesystem::path run = folder.path() / first;
    config.train.device = first;
    steps = 0;
    ASSERT_TRUE(train(config, run, false, stop).stopped);
    config.train.device = first == "cuda" ? "cpu" : "cuda";
    EXPECT_NEAR(train(config, run, true).last.loss, straight, 1e-4) << "begun on " << first;
  }
}

class DeviceTask : public ::testing::TestWithParam<TaskData> {};

}  // namespace

TEST_P(DeviceTask, FollowsTheCurveOfTheCpu) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  const TemporaryFolder folder;
  GetParam().prepare(folder);
  const TrainConfig config = config_for(folder / "out", GetParam().task);
  const auto cpu = curve(config, folder.path() / "cpu", "cpu");
  const auto cuda = curve(config, folder.path() / "cuda", "cuda");
  expect_near(cuda, cpu, 1e-4);
  EXPECT_EQ(cuda, curve(config, folder.path() / "again", "cuda:0")) << "not the same bits twice";
  TrainConfig half = config;
  half.model.precision = "bf16";
  const auto rounded = curve(half, folder.path() / "bf16", "cuda");
  expect_near(rounded, cpu, 5e-2);
  EXPECT_NE(rounded, cuda);
  TrainConfig coarse = config;
  coarse.model.precision = "tf32";
  expect_near(curve(coarse, folder.path() / "tf32", "cuda"), cpu, 1e-2);
  EXPECT_EQ(cuda, curve(config, folder.path() / "after", "cuda")) << "TF32 went on";
  TrainConfig still = config;  // the same batches and dropout, and no updates to speak of
  still.train.lr = 1e-12;
  const auto untrained = curve(still, folder.path() / "still", "cpu");
  constexpr size_t kLastLoss = 14;  // after seven updates
  EXPECT_GT(std::abs(cpu[kLastLoss] - untrained[kLastLoss]), 1e-2)
      << "the updates changed nothing: the test shows nothing";
}

INSTANTIATE_TEST_SUITE_P(Every, DeviceTask, ::testing::ValuesIn(kTasks),
                         [](const auto& info) { return std::string(info.param.task); });

TEST(DeviceRun, GoesOnOnAnotherDevice) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  const TemporaryFolder folder;
  kTasks[0].prepare(folder);
  expect_to_go_on(folder, config_for(folder / "out", kTasks[0].task));
}

TEST(DeviceRun, LearnedDegreesGoOnOnAnotherDevice) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  for (const bool draws : {false, true}) {
    const TemporaryFolder data;
    testing::prepare_language(data, Labelling::global, 60, 20);
    TrainConfig config = degrees_config(data);
    config.degrees.draws = draws;
    expect_to_go_on(data, config);
  }
}

// From the second step on; the sentences are of one length, so that all batches have one size.
TEST(DeviceRun, AStepNeitherWaitsForTheDeviceNorAllocates) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  const TemporaryFolder data;
  testing::prepare_language(data, Labelling::fifth, 200, 20);
  for (const std::string precision : {"f32", "bf16"}) {
    TrainConfig config = config_for(data / "train", "");
    config.data.dev = data / "dev";
    config.train.batch_tokens = 190;
    config.train.steps = config.train.evaluate_every = 12;
    config.train.device = "cuda";
    config.model.precision = precision;
    std::vector<DeviceCounters> counted;
    std::vector<int64_t> allocated;
    train(config, data.path() / precision, false, {.step = [&](const Progress&) {
            counted.push_back(backend_of(testing_device::kCuda).counters(0));
            allocated.push_back(memory_stats(testing_device::kCuda).system_calls);
          }});
    ASSERT_EQ(counted.size(), 12U);
    for (size_t k = 2; k < counted.size(); ++k) {
      EXPECT_EQ(counted[k].waits, counted[1].waits) << precision << ", step " << k + 1;
      EXPECT_EQ(allocated[k], allocated[1]) << precision << ", step " << k + 1;
      EXPECT_GT(counted[k].launches, counted[k - 1].launches);
    }
  }
}

// For the gradient of what is learned from, on its way to the CPU, however many layers there are;
// the loss is read back, which is not counted.
TEST(DeviceRun, LearnedDegreesWaitOnceABatch) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  const TemporaryFolder data;
  testing::prepare_language(data, Labelling::fifth, 200, 20);
  for (const bool draws : {false, true}) {
    for (const int64_t batches : {1, 2}) {
      TrainConfig config = degrees_config(data);
      config.model.layers = 3;
      config.train.batch_tokens = 190;
      config.train.accumulate = batches;
      config.train.steps = config.train.evaluate_every = 6;
      config.train.device = "cuda";
      config.degrees.draws = draws;
      std::vector<int64_t> waits;
      train(config, data.path() / ((draws ? "draws" : "soft") + std::to_string(batches)), false,
            {.step = [&](const Progress&) {
              waits.push_back(backend_of(testing_device::kCuda).counters(0).waits);
            }});
      ASSERT_EQ(waits.size(), 6U);
      for (size_t k = 1; k < waits.size(); ++k) {
        EXPECT_EQ(waits[k] - waits[k - 1], batches) << "draws " << draws << ", step " << k + 1;
      }
    }
  }
}

TEST(DeviceRun, LearnedDegreesFollowTheCurveOfTheCpu) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  const TemporaryFolder data;
  testing::prepare_language(data, Labelling::global, 120, 20);
  struct Kind {
    std::string learner;
    bool draws = false, recompute = false;
    std::string share = "head";
    int64_t accumulate = 1;
  };
  const Kind kinds[] = {{"degrees", true, true},
                        {"degrees", true, false, "layer", 2},
                        {"degrees", true, false, "model"},
                        {"degrees", false, true},
                        {"degrees", false, false, "model"},
                        {"adaptive_span"},
                        {"free_offsets"},
                        {"head_gates", false, false, "layer"}};
  int runs = 0;
  const auto folder = [&] { return data.path() / std::to_string(++runs); };
  for (const Kind& kind : kinds) {
    SCOPED_TRACE(kind.learner + " " + kind.share + (kind.draws ? " draws" : ""));
    TrainConfig config = degrees_config(data);
    config.degrees.learner = kind.learner;
    config.degrees.draws = kind.draws;
    config.degrees.share = kind.share;
    config.degrees.globals = "global:cls";
    config.model.recompute = kind.recompute;
    config.train.accumulate = kind.accumulate;
    const auto cpu = curve(config, folder(), "cpu");
    expect_near(curve(config, folder(), "cuda"), cpu, 1e-4);
    if (!kind.draws) continue;
    config.model.precision = "bf16";
    expect_near(curve(config, folder(), "cuda"), cpu, 5e-2);
  }
}

// The device refuses the step before the host knows.
TEST(DeviceRun, SkipsOrStopsAtNanAsTheCpuDoes) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  const TemporaryFolder folder;
  kTasks[0].prepare(folder);
  TrainConfig config = config_for(folder / "out", kTasks[0].task);
  config.model.init_std = 1e25;  // products overflow
  for (const std::string optimizer : {"adamw", "sgd"}) {
    config.train.optimizer = optimizer;
    std::vector<std::string> said[2], errors[2];
    std::vector<TrainState> states;
    for (const int on_device : {0, 1}) {
      config.train.device = on_device == 1 ? "cuda" : "cpu";
      config.train.nan = "skip";
      const auto run = folder.path() / (optimizer + config.train.device);
      states.push_back(train(config, run, false,
                             {.note =
                                  [&](const std::string& text) {
                                    if (text.starts_with("step ")) said[on_device].push_back(text);
                                  }})
                           .state);
      config.train.nan = "stop";
      try {
        train(config, folder.path() / (optimizer + config.train.device + "-stop"), false);
        FAIL() << "no error";
      } catch (const NumericError& error) {
        const std::string text = error.what();
        errors[on_device].push_back(text.substr(0, text.find('\n')));  // then come tensors
      }
    }
    EXPECT_GT(states[0].skipped_steps, 3) << "nothing was not finite: the test shows nothing";
    EXPECT_EQ(states[1].skipped_steps, states[0].skipped_steps);
    EXPECT_EQ(states[1].skipped_in_a_row, states[0].skipped_in_a_row);
    EXPECT_EQ(said[1], said[0]);
    EXPECT_EQ(errors[1], errors[0]);
    ASSERT_EQ(errors[0].size(), 1U);
    EXPECT_NE(errors[0][0].find("NaN or Inf made by"), std::string::npos) << errors[0][0];
  }
}

TEST(DeviceRun, LearnsDegreesAsOnTheCpu) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  const TemporaryFolder data;
  testing::prepare_language(data, Labelling::global, 60, 20);
  for (const bool draws : {false, true}) {
    TrainConfig config = degrees_config(data);
    config.train.batch_tokens = 256;
    config.train.evaluate_every = 8;
    config.degrees.globals = "global:cls";
    config.degrees.density = 0.4;
    config.degrees.draws = draws;
    const std::string name = draws ? "draws" : "soft";
    const LearnResult cpu = learn_degrees(config, data.path() / ("cpu-" + name), false);
    config.train.device = "cuda";
    const LearnResult cuda = learn_degrees(config, data.path() / ("cuda-" + name), false);
    EXPECT_EQ(cuda.pattern, cpu.pattern) << name;
    EXPECT_NEAR(cuda.last.last.loss, cpu.last.last.loss, 1e-4) << name;
    const LoadedModel loaded = load_model(data.path() / ("cuda-" + name) / "model.safetensors");
    EXPECT_TRUE(loaded.model->state_dict().begin()->second.device().is_cpu());
  }
}

TEST(DeviceRun, PrecisionsOfCudaAreRefusedOnTheCpu) {
  for (const std::string precision : {"bf16", "tf32"}) {
    TrainConfig config;
    config.data.train = config.data.dev = "data";
    config.model.precision = precision;
    try {
      config.validate();
      FAIL() << "no error";
    } catch (const ConfigError& error) {
      EXPECT_NE(std::string(error.what()).find(precision + " is computed on CUDA alone"),
                std::string::npos)
          << error.what();
    }
  }
}

TEST(DeviceRun, AnAbsentDeviceIsAnErrorThatSaysSo) {
  TrainConfig config;
  config.data.train = config.data.dev = "data";
  config.train.device = "cuda:77";
  try {
    config.validate();
    FAIL() << "no error";
  } catch (const DeviceError& error) {
    EXPECT_NE(std::string(error.what()).find("cuda:77"), std::string::npos) << error.what();
  }
}

}  // namespace filigree
