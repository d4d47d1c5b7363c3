#include "cli/progress_text.h"

#include "oci/json.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

using namespace tug;
using namespace tug::cli;

namespace {

constexpr std::uint64_t kMega = 1'000'000;

std::string digest_of(char hex) { return "sha256:" + std::string(64, hex); }

ProgressView two_blobs() {
  ProgressView view;
  view.active = {{digest_of('a'), 25 * kMega, 100 * kMega, 5e6},
                 {digest_of('b'), 1 * kMega, 2 * kMega, 1e6}};
  view.sent_blobs = 3;
  view.sent = 126 * kMega;
  view.total = 202 * kMega;
  view.per_second = 6e6;
  return view;
}

std::vector<std::string> lines_at(const ProgressView& view, std::size_t columns,
                                  std::size_t rows = 24) {
  return status_lines(view, {columns, rows}, false);
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("status lines: 200 columns, a bar does not grow without end") {
  CHECK(lines_at(two_blobs(), 200) ==
        Lines{"aaaaaaaaaaaa [=========>                              ]"
              "  25.0 MB / 100.0 MB   5.0 MB/s",
              "bbbbbbbbbbbb [===================>                    ]"
              "     1.0 MB / 2.0 MB   1.0 MB/s",
              "total        [=======================>                ]"
              " 126.0 MB / 202.0 MB   6.0 MB/s 13s left"});
}

TEST_CASE("status lines: 80 columns") {
  CHECK(lines_at(two_blobs(), 80) ==
        Lines{"aaaaaaaaaaaa [====>               ]  25.0 MB / 100.0 MB   5.0 MB/s",
              "bbbbbbbbbbbb [=========>          ]     1.0 MB / 2.0 MB   1.0 MB/s",
              "total        [===========>        ] 126.0 MB / 202.0 MB   6.0 MB/s 13s left"});
}

TEST_CASE("status lines: 40 columns have sizes, 20 columns per cents") {
  CHECK(lines_at(two_blobs(), 40) == Lines{"aaaaaaaaaaaa  25.0 MB / 100.0 MB",
                                           "bbbbbbbbbbbb     1.0 MB / 2.0 MB",
                                           "total        126.0 MB / 202.0 MB"});
  CHECK(lines_at(two_blobs(), 20) ==
        Lines{"aaaaaaaaaaaa 25 %", "bbbbbbbbbbbb 50 %", "total 62 % 13s left"});
}

TEST_CASE("status lines are never as wide as the terminal") {
  ProgressView view = two_blobs();
  view.active.push_back(
      {digest_of('c'), 999'900'000'000'000'000, 999'900'000'000'000'000, 9.999e17});
  view.active.push_back({digest_of('d'), 0, 0, 0});
  view.total = 999'900'000'000'000'000;
  view.per_second = 3e12;
  for (std::size_t columns = 0; columns < 220; ++columns) {
    for (const bool color : {false, true}) {
      for (const std::string& line : status_lines(view, {columns, 24}, color)) {
        INFO("columns " << columns << ": " << line);
        CHECK(rows_of(line, std::max<std::size_t>(columns, 2) - 1) == 1);
      }
    }
  }
}

TEST_CASE("status lines: what is not known is not shown") {
  ProgressView view;
  view.active = {{digest_of('a'), 0, 0, 0}, {digest_of('b'), 1500, 0, 10}};
  view.sent = 1500;
  CHECK(lines_at(view, 80) ==
        Lines{"aaaaaaaaaaaa                                        0 B      0 B/s",
              "bbbbbbbbbbbb                                     1.5 kB     10 B/s",
              "total                                            1.5 kB      0 B/s"});
  CHECK(lines_at(view, 20) == Lines{"aaaaaaaaaaaa 0 B", "bbbbbbbbbbbb 1.5 kB", "total 1.5 kB"});
}

TEST_CASE("status lines: more than there should be is all of it") {
  ProgressView view;
  view.active = {{digest_of('a'), 30, 20, 5}};
  view.sent = 30;
  view.total = 20;
  CHECK(lines_at(view, 20) == Lines{"aaaaaaaaaaaa 100 %", "total 100 %"});
  view.active[0] = {digest_of('a'), 999'999, 1'000'000, 5};
  CHECK(lines_at(view, 20).front() == "aaaaaaaaaaaa 99 %");
}

TEST_CASE("status lines leave a row of the terminal, and the one of the cursor") {
  ProgressView view;
  for (int i = 0; i < 30; ++i) view.active.push_back({digest_of('a'), 1, 2, 3});
  for (const std::size_t rows : {5U, 10U, 24U, 33U, 34U, 100U}) {
    const auto lines = lines_at(view, 80, rows);
    CHECK(lines.size() <= rows - 2);
    CHECK(lines.back().starts_with("total"));
  }
  CHECK(lines_at(view, 80, 10)[6] == "and 24 more");
  CHECK(lines_at(view, 80, 33).size() == 31);
  CHECK(lines_at(view, 80, 1).size() == 2);
  view.active.clear();
  CHECK(lines_at(view, 80).size() == 1);
}

TEST_CASE("color is around the bar alone") {
  const auto plain = lines_at(two_blobs(), 80);
  auto colored = status_lines(two_blobs(), {80, 24}, true);
  CHECK(colored[0].find("[\x1b[32m====>\x1b[0m  ") != std::string::npos);
  for (std::size_t i = 0; i < plain.size(); ++i) {
    for (const char* code : {"\x1b[32m", "\x1b[0m"}) {
      const auto at = colored[i].find(code);
      REQUIRE(at != std::string::npos);
      colored[i].erase(at, std::string(code).size());
    }
    CHECK(colored[i] == plain[i]);
  }
}

TEST_CASE("summary line") {
  CHECK(summary_line(two_blobs()) ==
        "sent 126.0 MB of 202.0 MB (62 %), 3 blobs done, 6.0 MB/s, 13s left");
  ProgressView view;
  CHECK(summary_line(view) == "sent 0 B, 0 blobs done, 0 B/s");
  view.sent_blobs = 1;
  view.sent = 10;
  view.total = 10;
  view.per_second = 10;
  CHECK(summary_line(view) == "sent 10 B of 10 B (100 %), 1 blob done, 10 B/s");
}

TEST_CASE("time left in seconds, minutes, hours, or not at all") {
  ProgressView view;
  view.total = 3600 * 200;
  struct Case {
    double per_second;
    const char* end;
  };
  for (const auto& [rate, end] :
       {Case{720'000, ", 1s left"}, Case{12'000, ", 1m00s left"}, Case{2'000, ", 6m00s left"},
        Case{199, ", 1h00m left"}, Case{7.2, " 7 B/s, 27h46m left"}, Case{0.5, " 0 B/s"},
        Case{0, " 0 B/s"}}) {
    view.per_second = rate;
    INFO(summary_line(view));
    CHECK(summary_line(view).ends_with(end));
  }
  view.total *= 100;
  view.per_second = 1;
  CHECK(summary_line(view).ends_with(" 1 B/s"));
}

TEST_CASE("finished line") {
  CHECK(finished_line("sha256:ab", BlobOutcome::uploaded, 12'300'000, 2.05) ==
        "sha256:ab uploaded: 12.3 MB in 2.0 s, 6.0 MB/s");
  CHECK(finished_line("sha256:ab", BlobOutcome::uploaded, 5, 0.01) ==
        "sha256:ab uploaded: 5 B in 0.0 s");
  CHECK(finished_line("sha256:ab", BlobOutcome::mounted, 5, 0) == "sha256:ab mounted");
}

TEST_CASE("events are JSON objects") {
  CHECK(
      event_json({.event = "started", .destination = "docker://a/b", .digest = "d", .total = 5}) ==
      R"({"event":"started","destination":"docker://a/b","digest":"d","bytes":0,"total":5})");
  const Json json = Json::parse(event_json({.event = "finished",
                                            .destination = "",
                                            .digest = "d\n\"",
                                            .bytes = 7,
                                            .outcome = "uploaded",
                                            .stored = "e"}));
  CHECK(json.find("destination") == nullptr);
  CHECK(json.string_or_empty("digest") == "d\n\"");
  CHECK(*json.find("total") == Json());
  CHECK(json.string_or_empty("stored") == "e");
}

TEST_CASE("a rate is that of the last seconds") {
  RateMeter meter;
  CHECK(meter.per_second() == 0);
  meter.update(1000, 1);
  CHECK(meter.per_second() == doctest::Approx(1000));
  std::uint64_t bytes = 1000;
  for (int i = 0; i < 100; ++i) meter.update(bytes += 10, 0.1);
  CHECK(meter.per_second() == doctest::Approx(100).epsilon(0.5));
  for (int i = 0; i < 300; ++i) meter.update(bytes += 10, 0.1);
  CHECK(meter.per_second() == doctest::Approx(100).epsilon(0.01));
  SUBCASE("an upload that starts over has sent nothing") {
    const double before = meter.per_second();
    meter.update(0, 0.1);
    CHECK(meter.per_second() < before);
    meter.update(10, 0.1);
    CHECK(meter.per_second() > 0);
  }
  SUBCASE("a clock that stands still") {
    const double before = meter.per_second();
    meter.update(bytes + 5, 0);
    CHECK(meter.per_second() == before);
  }
  SUBCASE("a stalled upload comes to nothing") {
    for (int i = 0; i < 60; ++i) meter.update(bytes, 1);
    CHECK(meter.per_second() < 1);
  }
}

TEST_CASE("rows of a line, with its colors") {
  CHECK(rows_of("", 80) == 1);
  CHECK(rows_of("abcd", 4) == 1);
  CHECK(rows_of("abcde", 4) == 2);
  CHECK(rows_of("\x1b[32mabcd\x1b[0m", 4) == 1);
  CHECK(rows_of("abc", 0) == 1);
  CHECK(rows_of("ab\x1b[3", 2) == 1);
}

TEST_CASE("redraw goes up, over the old lines, and clears what is left below") {
  CHECK(redraw({"a", "b"}, 0) == "\ra\x1b[K\r\nb\x1b[K\r\n\x1b[J");
  CHECK(redraw({"a"}, 3) == "\r\x1b[3Aa\x1b[K\r\n\x1b[J");
  CHECK(redraw({}, 2) == "\r\x1b[2A\x1b[J");
}
