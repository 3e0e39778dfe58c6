// SIGINT and SIGTERM as a request to finish the step, save and go.
#pragma once

namespace filigree {

/// While one lives, the first SIGINT or SIGTERM only sets a flag; a second one ends the process.
class StopRequest {
 public:
  StopRequest();
  ~StopRequest();
  StopRequest(const StopRequest&) = delete;
  StopRequest& operator=(const StopRequest&) = delete;
  /// True once a signal came.
  static bool requested();
};

}  // namespace filigree
