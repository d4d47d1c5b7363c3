#include "stream/tar_split.h"

#include "base/strings.h"
#include "stream/compress.h"
#include "stream_fixture.h"
#include "support/error_of.h"

#include <vector>

namespace tug {
namespace {

using test::check_error;

struct Read {
  bool is_file = false;
  std::string bytes;  // the segment or the name
  std::uint64_t size = 0;
  std::optional<std::uint64_t> crc{};
  friend bool operator==(const Read&, const Read&) = default;
};

std::vector<Read> read_entries(TarSplitReader reader) {
  std::vector<Read> entries;
  TarSplitEntry entry;
  while (reader.next(entry)) {
    const bool is_file = entry.kind == TarSplitEntry::Kind::file;
    CHECK((is_file ? entry.payload : entry.name).empty());
    entries.push_back(
        {is_file, std::string(is_file ? entry.name : entry.payload), entry.size, entry.crc});
  }
  CHECK_FALSE(reader.next(entry));
  return entries;
}
std::vector<Read> read_entries(const std::string& json, std::size_t step = 1 << 20) {
  return read_entries(
      TarSplitReader(std::make_unique<test::DrippingSource>(json, step), "t.tar-split.gz"));
}

// What Go's tar-split writes for a directory, a file, an empty file and the end.
const std::string kStream =
    R"({"type":2,"payload":"aGVhZGVy","position":0})"
    "\n"
    R"({"type":1,"name":"etc/","payload":null,"position":1})"
    "\n"
    R"({"type":2,"payload":"","position":2})"
    "\n"
    R"({"type":1,"name":"etc/hosts","size":6,"payload":"YUw+7uLYEAA=","position":3})"
    "\n"
    R"({"type":1,"name":"etc/empty","payload":"","position":4})"
    "\n"
    R"({"type":1,"name_raw":"ZXRjL/8=","position":5})"
    "\n"
    R"({"type":2,"payload":"AAAA","position":6})"
    "\n";
const std::vector<Read> kEntries = {
    {false, "header"},
    {true, "etc/"},
    {false, ""},
    {true, "etc/hosts", 6, 0x614c3eeee2d81000},
    {true, "etc/empty"},
    {true, "etc/\xff"},
    {false, std::string(3, '\0')},
};

std::string segment(std::uint64_t position, std::string_view bytes = "x") {
  return R"({"type":2,"payload":")" + base64_encode(bytes) + R"(","position":)" +
         std::to_string(position) + "}\n";
}

TEST_CASE("a tar-split stream is read in order, in pieces of any size") {
  for (const std::size_t step : std::initializer_list<std::size_t>{1, 2, 7, 64, 100000})
    CHECK(read_entries(kStream, step) == kEntries);
  CHECK(read_entries("").empty());
}

TEST_CASE("white space between and inside of objects, and none at all, is the same stream") {
  std::string tight;
  std::string loose = "\r\n \t";
  bool in_text = false;
  for (const char c : kStream) {
    if (c == '"') in_text = !in_text;
    if (c != '\n') tight += c;
    loose += c;
    if (!in_text && (c == '{' || c == ',' || c == ':' || c == '"')) loose += " \n\t";
    if (c == '}') loose += "\n\n";
  }
  CHECK(read_entries(tight) == kEntries);
  CHECK(read_entries(loose) == kEntries);
  CHECK(read_entries(loose, 1) == kEntries);
}

TEST_CASE("a stream that ends at any byte is broken, except between objects") {
  for (std::size_t size = 0; size < kStream.size(); ++size) {
    const std::string cut = kStream.substr(0, size);
    const bool between = cut.empty() || cut.back() == '\n' || cut.back() == '}';
    CAPTURE(size);
    if (between) {
      CHECK_NOTHROW(read_entries(cut));
    } else {
      check_error(ErrorKind::integrity, "t.tar-split.gz: tar-split entry ",
                  [&] { read_entries(cut, 16); });
      check_error(ErrorKind::integrity, "the data ends inside of it", [&] { read_entries(cut); });
    }
  }
}

TEST_CASE("the file comes as one or several gzip members, and may be cut nowhere") {
  CpuPool pool(1);
  const auto gzip = [&](const std::string& bytes) {
    return test::read_all(compressing_source(memory_source(bytes), {}, pool));
  };
  const std::size_t half = kStream.size() / 2;
  const std::string members = gzip(kStream.substr(0, half)) + gzip("") + gzip(kStream.substr(half));
  const auto read = [](const std::string& bytes) {
    return read_entries(TarSplitReader(decompressing_source(memory_source(bytes), "t.gz"), "t.gz"));
  };
  CHECK(read(members) == kEntries);
  for (std::size_t size = 1; size < members.size(); ++size) {
    CAPTURE(size);
    // At the border of members the text ends in the middle of an object.
    check_error(ErrorKind::integrity, "t.gz", [&] { read(members.substr(0, size)); });
  }
}

TEST_CASE("names are decoded as JSON and as base64") {
  const struct {
    const char* field;
    std::string name;
  } cases[] = {
      {R"("name":"a\u003cb\u003e\u0026")", "a<b>&"},
      {R"("name":"\"\\\/\b\f\n\r\t")", "\"\\/\b\f\n\r\t"},
      {R"("name":"\u00e9\u20AC")", "é€"},
      {R"("name":"é€😀")", "é€😀"},
      {R"("name":"\ud83d\ude00")", "😀"},
      {R"("name":"\u2028\ufffd")", "\u2028\ufffd"},
      {R"("name":"../../etc/passwd")", "../../etc/passwd"},
      {R"("name":"/etc/passwd")", "/etc/passwd"},
      {R"("name":"")", ""},
      {R"("name_raw":"YS//")", "a/\xff"},
      {R"("name":"ignored","name_raw":"YQ==")", "a"},
      {R"("name":null,"name_raw":"YQ==")", "a"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.field);
    const std::string json = R"({"type":1,)" + std::string(c.field) + R"(,"position":0})";
    for (const std::size_t step : std::initializer_list<std::size_t>{1, 1000}) {
      const std::vector<Read> entries = read_entries(json, step);
      REQUIRE(entries.size() == 1);
      CHECK(entries[0] == Read{true, c.name});
    }
  }
}

TEST_CASE("fields of later versions are passed over") {
  CHECK(
      read_entries(
          R"({"new":"a\nb","type":2,"n":12,"b":true,"c":false,"z":null,"position":0,"payload":"eA=="})") ==
      std::vector<Read>{{false, "x"}});
}

TEST_CASE("what tar-split does not write is refused with the place") {
  const struct {
    std::string json;
    const char* words;
  } cases[] = {
      {R"({"type":3,"position":0})", "entry 0, before byte 23: type 3 is unknown"},
      {R"({"type":0,"position":0})", "type 0 is unknown"},
      {R"({"position":0})", "it has no type"},
      {"{}", "it has no type"},
      {R"({"type":"2","position":0})", "unexpected '\"'"},
      {R"({"type":-1,"position":0})", "unexpected '-'"},
      {R"({"type":2.0,"position":0})", "unexpected '.'"},
      {R"({"type":2e0,"position":0})", "unexpected 'e'"},
      {R"({"type":02,"position":0})", "unexpected '2'"},
      {R"({"type":2,"type":2,"position":0})", "it has a field twice"},
      {R"({"type":2,"payload":"eA=="})", "its position is not the next number"},
      {segment(1), "its position is not the next number"},
      {segment(0) + segment(0), "entry 1,"},
      {segment(0) + segment(2), "its position is not the next number"},
      {R"({"type":1,"position":0})", "it has no name"},
      {R"({"type":1,"name":null,"position":0})", "it has no name"},
      {R"({"type":1,"name":"a\u0000b","position":0})", "its name has a NUL byte"},
      {R"({"type":1,"name_raw":"YQBi","position":0})", "its name has a NUL byte"},
      {"{\"type\":1,\"name\":\"a\xff\",\"position\":0}", "its name is not UTF-8"},
      {R"({"type":1,"name_raw":"=","position":0})", "its name is not base64"},
      {R"({"type":1,"name":"a","payload":"eA==","position":0})", "its checksum has not 8 bytes"},
      {R"({"type":1,"name":"a","payload":"!","position":0})", "its checksum is not base64"},
      {R"({"type":2,"payload":"a","position":0})", "its segment is not base64"},
      {R"({"type":2,"payload":"eA==eA==","position":0})", "its segment is not base64"},
      {R"({"type":2,"payload":"e\nA","position":0})", "its segment is not base64"},
      {R"({"type":1,"name":"\ud83d","position":0})", "unexpected '\"'"},
      {R"({"type":1,"name":"\ud83d\u0041","position":0})", "half a surrogate pair"},
      {R"({"type":1,"name":"\ude00","position":0})", "half a surrogate pair"},
      {R"({"type":1,"name":"\u00g0","position":0})", "unexpected 'g'"},
      {R"({"type":1,"name":"\x","position":0})", "unexpected 'x'"},
      {"{\"type\":1,\"name\":\"a\nb\",\"position\":0}", "unexpected byte 0x0a"},
      {R"({"type":1,"name":"a","size":9223372036854775808,"position":0})", "a number is too large"},
      {R"({"type":1,"name":"a","size":99999999999999999999999,"position":0})",
       "a number is too large"},
      {R"({"type":1,"name":"a","size":9223372036854775807,"position":0})" + segment(1),
       "the sizes add up to more than a tar can have"},
      {R"({"type":2,"position":0,"x":{}})", "unexpected '{'"},
      {R"({"type":2,"position":0,"x":[]})", "unexpected '['"},
      {R"([{"type":2,"position":0}])", "unexpected '['"},
      {R"({"type":2,"position":0,})", "unexpected '}'"},
      {R"({"type":2 "position":0})", "unexpected '\"'"},
      {segment(0) + ",", "unexpected ','"},
      {segment(0) + '\0', "unexpected byte 0x00"},
      {"\xef\xbb\xbf" + segment(0), "unexpected byte 0xef"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.json);
    check_error(ErrorKind::integrity, "t.tar-split.gz: tar-split entry ",
                [&] { read_entries(c.json); });
    check_error(ErrorKind::integrity, c.words, [&] { read_entries(c.json, 1); });
  }
}

TEST_CASE("lengths have limits") {
  const std::string largest(8 * 1024 * 1024, 'x');
  CHECK(read_entries(segment(0, largest)) == std::vector<Read>{{false, largest}});
  const std::string long_name(64 * 1024, 'n');
  CHECK(read_entries(R"({"type":1,"position":0,"name":")" + long_name + "\"}") ==
        std::vector<Read>{{true, long_name}});
  std::string many;
  for (int i = 0; i < 40; ++i) many += ",\"f" + std::to_string(i) + "\":0";
  const struct {
    std::string json;
    const char* words;
  } cases[] = {
      {segment(0, largest + "xxxx"), "too long"},
      {R"({"type":1,"position":0,"name":")" + long_name + "n\"}", "a text is too long"},
      {R"({"type":1,"position":0,"name":")" + long_name + "\\n\"}", "a text is too long"},
      {R"({"type":1,"position":0,"name_raw":")" + base64_encode(long_name + "nnn") + "\"}",
       "too long"},
      {R"({")" + std::string(65, 'k') + R"(":0})", "a text is too long"},
      {R"({"type":2,"position":0)" + many + "}", "it has too many fields"},
  };
  for (const auto& c : cases)
    check_error(ErrorKind::integrity, c.words, [&] { read_entries(c.json); });
}

TEST_CASE("the sizes of huge files are read exactly") {
  CHECK(read_entries(R"({"type":1,"name":"a","size":9223372036854775807,"position":0})") ==
        std::vector<Read>{{true, "a", 9223372036854775807}});
}

TEST_CASE("names are cleaned before the file system sees them") {
  const struct {
    std::string_view name, clean;
  } cases[] = {
      {"a", "a"},
      {"a/b/c", "a/b/c"},
      {"./a", "a"},
      {"a/./b", "a/b"},
      {"a//b", "a/b"},
      {"a/", "a"},
      {"/a", "a"},
      {"///a///b///", "a/b"},
      {"./dot/../x", "x"},
      {"..", ""},
      {"../../etc/passwd", "etc/passwd"},
      {"a/../../b", "b"},
      {"a/b/../c/..", "a"},
      {"/../a", "a"},
      {"", ""},
      {".", ""},
      {"./", ""},
      {"/", ""},
      {"...", "..."},
      {"..a/.b", "..a/.b"},
      {"a b\n\\c", "a b\n\\c"},
      {"\xff/\xfe", "\xff/\xfe"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.name);
    CHECK(clean_member_name(c.name) == c.clean);
    CHECK(clean_member_name(c.clean) == c.clean);
  }
}

TEST_CASE("the checksum is Go's CRC-64 ISO, in pieces of any size") {
  const auto crc = [](std::string_view bytes, std::size_t step) {
    Crc64 sum;
    for (std::size_t at = 0; at < bytes.size(); at += step)
      sum.update(std::as_bytes(std::span(bytes.substr(at, step))));
    return sum.value();
  };
  for (const std::size_t step : std::initializer_list<std::size_t>{1, 2, 5, 8, 9, 1000}) {
    CHECK(crc("", step) == 0);
    CHECK(crc("123456789", step) == 0xb90956c775a41001);
    CHECK(crc("hello\n", step) == 0x614c3eeee2d81000);
    const std::string bytes = test::random_bytes(1000);
    CHECK(crc(bytes, step) == crc(bytes, 1));
  }
}

}  // namespace
}  // namespace tug
