#include "cli/progress_text.h"

#include "base/strings.h"
#include "oci/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

namespace tug::cli {
namespace {

constexpr std::size_t kLabelWidth = 12;  // a short digest, as skopeo and podman have it
constexpr std::size_t kSizesWidth = 19;  // "999.9 MB / 999.9 MB"
constexpr std::size_t kRateWidth = 10;   // "999.9 MB/s"
constexpr std::size_t kLeftWidth = 12;   // "59m59s left"
constexpr std::size_t kSmallestBar = 10;
constexpr std::size_t kLargestBar = 42;

constexpr std::string_view kBarColor = "\x1b[32m";
constexpr std::string_view kPlainColor = "\x1b[0m";

// What a line has room for.
struct Layout {
  std::size_t columns;
  std::size_t bar;  // with its brackets; 0: none
  bool has_sizes;
  bool has_rate;
  bool has_time_left;
};

Layout layout_for(std::size_t columns) {
  constexpr std::size_t kWithSizes = kLabelWidth + 1 + kSizesWidth;
  constexpr std::size_t kWithRate = kWithSizes + 1 + kRateWidth;
  constexpr std::size_t kWithTimeLeft = kWithRate + 1 + kLeftWidth;
  Layout layout{columns, 0, columns >= kWithSizes, columns >= kWithRate, columns >= kWithTimeLeft};
  if (columns > kWithTimeLeft + kSmallestBar)
    layout.bar = std::min(columns - kWithTimeLeft - 1, kLargestBar);
  return layout;
}

double fraction_of(std::uint64_t sent, std::uint64_t total) {
  return std::min(1.0, static_cast<double>(sent) / static_cast<double>(total));
}

std::string percent(std::uint64_t sent, std::uint64_t total) {
  // Not 100 % before it is all there.
  return fmt::format("{} %", static_cast<int>(fraction_of(sent, total) * 100));
}

std::string rate_text(double per_second) {
  return human_bytes(static_cast<std::uint64_t>(per_second)) + "/s";
}

// "32s", "5m10s", "2h05m"; "" when nobody can say.
std::string time_left(std::uint64_t sent, std::uint64_t total, double per_second) {
  constexpr double kLongest = 100.0 * 3600;
  if (total <= sent || per_second < 1) return {};
  const double seconds = std::ceil(static_cast<double>(total - sent) / per_second);
  if (seconds >= kLongest) return {};
  const auto whole = static_cast<int>(seconds);
  if (whole < 60) return fmt::format("{}s", whole);
  if (whole < 3600) return fmt::format("{}m{:02}s", whole / 60, whole % 60);
  return fmt::format("{}h{:02}m", whole / 3600, whole / 60 % 60);
}

// Without a total it stays empty, so that the columns behind it do not move.
std::string bar_text(std::uint64_t sent, std::uint64_t total, std::size_t width, bool color) {
  if (total == 0) return std::string(width, ' ');
  const std::size_t inner = width - 2;
  const auto filled =
      static_cast<std::size_t>(fraction_of(sent, total) * static_cast<double>(inner));
  std::string done(filled, '=');
  if (filled > 0 && filled < inner) done.back() = '>';
  if (color && !done.empty()) done = std::string(kBarColor) + done + std::string(kPlainColor);
  return "[" + done + std::string(inner - filled, ' ') + "]";
}

std::string sizes_text(std::uint64_t sent, std::uint64_t total) {
  return total == 0 ? human_bytes(sent)
                    : fmt::format("{} / {}", human_bytes(sent), human_bytes(total));
}

// Both kinds of line have the same columns; only the total has a time left.
struct Row {
  std::string label;
  std::uint64_t sent;
  std::uint64_t total;
  double per_second;
  std::string left;
};

std::string row_text(const Row& row, const Layout& layout, bool color) {
  if (!layout.has_sizes) {
    std::string text = fmt::format(
        "{} {}{}", row.label, row.total == 0 ? human_bytes(row.sent) : percent(row.sent, row.total),
        row.left);
    text.resize(std::min(text.size(), layout.columns));
    return text;
  }
  std::string text = fmt::format("{:<{}}", row.label, kLabelWidth);
  if (layout.bar > 0) text += " " + bar_text(row.sent, row.total, layout.bar, color);
  text += fmt::format(" {:>{}}", sizes_text(row.sent, row.total), kSizesWidth);
  if (layout.has_rate) text += fmt::format(" {:>{}}", rate_text(row.per_second), kRateWidth);
  if (layout.has_time_left) text += row.left;
  return text;
}

std::string short_digest(const std::string& digest) {
  return digest.substr(digest.find(':') + 1, kLabelWidth);
}

}  // namespace

void RateMeter::update(std::uint64_t bytes, double seconds) noexcept {
  constexpr double kMemory = 3;  // seconds
  if (seconds <= 0) return;
  const double fades = std::exp(-seconds / kMemory);
  const double added = bytes > bytes_ ? static_cast<double>(bytes - bytes_) : 0;
  recent_bytes_ = recent_bytes_ * fades + added;
  recent_seconds_ = recent_seconds_ * fades + seconds;
  bytes_ = bytes;
}

double RateMeter::per_second() const noexcept {
  return recent_seconds_ > 0 ? recent_bytes_ / recent_seconds_ : 0;
}

std::vector<std::string> status_lines(const ProgressView& view, TerminalSize size, bool color) {
  // A character in the last column makes some terminals wrap.
  const Layout layout = layout_for(std::max<std::size_t>(size.columns, 2) - 1);
  // The cursor is in the row below, and a row is left for what was said last.
  const std::size_t room = std::max<std::size_t>(size.rows, 4) - 3;
  const std::size_t count = view.active.size();
  const std::size_t shown = count <= room ? count : room - 1;
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < shown; ++i) {
    const BlobProgress& blob = view.active[i];
    lines.push_back(row_text(
        {short_digest(blob.digest), blob.sent, blob.total, blob.per_second, ""}, layout, color));
  }
  if (shown < count) {
    lines.push_back(fmt::format("and {} more", count - shown));
    lines.back().resize(std::min(lines.back().size(), layout.columns));
  }
  std::string left = time_left(view.sent, view.total, view.per_second);
  if (!left.empty()) left = fmt::format(" {} left", left);
  lines.push_back(
      row_text({"total", view.sent, view.total, view.per_second, std::move(left)}, layout, color));
  return lines;
}

std::string summary_line(const ProgressView& view) {
  std::string text = "sent " + human_bytes(view.sent);
  if (view.total > 0) {
    text += fmt::format(" of {} ({})", human_bytes(view.total), percent(view.sent, view.total));
  }
  text +=
      fmt::format(", {} done, {}", counted(view.sent_blobs, "blob"), rate_text(view.per_second));
  const std::string left = time_left(view.sent, view.total, view.per_second);
  return left.empty() ? text : text + ", " + left + " left";
}

std::string finished_line(std::string_view digest, BlobOutcome outcome, std::uint64_t bytes,
                          double seconds) {
  if (outcome != BlobOutcome::uploaded) return fmt::format("{} {}", digest, to_string(outcome));
  std::string text =
      fmt::format("{} {}: {} in {:.1f} s", digest, to_string(outcome), human_bytes(bytes), seconds);
  if (seconds >= 0.1) text += ", " + rate_text(static_cast<double>(bytes) / seconds);
  return text;
}

std::string event_json(const ProgressEvent& event) {
  Json json = Json::object({{"event", event.event}});
  if (!event.destination.empty()) json.set("destination", event.destination);
  json.set("digest", event.digest);
  json.set("bytes", event.bytes);
  json.set("total", event.total == 0 ? Json() : Json(event.total));
  if (!event.outcome.empty()) json.set("outcome", event.outcome);
  if (!event.stored.empty()) json.set("stored", event.stored);
  return json.dump();
}

std::size_t rows_of(std::string_view line, std::size_t columns) noexcept {
  std::size_t width = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\x1b') {
      i = std::min(line.find('m', i), line.size());
    } else {
      ++width;
    }
  }
  if (columns == 0 || width == 0) return 1;
  return (width + columns - 1) / columns;
}

std::string redraw(const std::vector<std::string>& lines, std::size_t rows) {
  std::string text = "\r";
  if (rows > 0) text += fmt::format("\x1b[{}A", rows);
  // Line by line over the old ones rather than on an empty screen: it does not flicker.
  for (const std::string& line : lines) text += line + "\x1b[K\r\n";
  return text + "\x1b[J";
}

}  // namespace tug::cli
