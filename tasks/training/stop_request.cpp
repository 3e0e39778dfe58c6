#include "tasks/training/stop_request.h"

#include <csignal>
#include <initializer_list>

namespace filigree {

namespace {

volatile std::sig_atomic_t came = 0;

void on_signal(int) { came = 1; }

}  // namespace

StopRequest::StopRequest() {
  came = 0;
  for (const int signal : {SIGINT, SIGTERM}) {
    struct sigaction action = {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);  // the second one ends us
    sigaction(signal, &action, nullptr);
  }
}

StopRequest::~StopRequest() {
  for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, SIG_DFL);
}

bool StopRequest::requested() { return came != 0; }

}  // namespace filigree
