// The style and the script of the report's page; page.css and page.js, put in by CMake.
#pragma once

namespace filigree {

extern const char kPageCss[], kPageJs[];

}  // namespace filigree
