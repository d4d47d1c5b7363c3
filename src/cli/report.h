// What came of a copy, as text and as JSON. Pure.
#ifndef TUG_CLI_REPORT_H_
#define TUG_CLI_REPORT_H_

#include <tug/copy.h>
#include <tug/error.h>

#include <string>

namespace tug::cli {

// The object that --json prints, without a newline.
std::string copy_report_json(const std::string& source, const std::string& destination,
                             const CopyReport& report, bool dry_run);
std::string copy_error_json(const std::string& source, const std::string& destination,
                            const Error& error);
// What --dry-run prints: a line per blob and manifest.
std::string dry_run_text(const std::string& source, const std::string& destination,
                         const CopyReport& report);

}  // namespace tug::cli

#endif  // TUG_CLI_REPORT_H_
