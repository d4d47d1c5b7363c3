#include "transport/oci_layout_files.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace tug {
namespace {

const std::string kName = "org.opencontainers.image.ref.name";

Descriptor image(const std::string& bytes) {
  return {.media_type = std::string(media_type::kOciManifest),
          .digest = Digest::of(bytes),
          .size = bytes.size()};
}

std::string entry(const std::string& bytes, const std::string& name = "",
                  const std::string& more = "") {
  return R"({"mediaType":")" + std::string(media_type::kOciManifest) + R"(","digest":")" +
         Digest::of(bytes).str() + R"(","size":)" + std::to_string(bytes.size()) + more +
         (name.empty() ? "" : R"(,"annotations":{")" + kName + R"(":")" + name + "\"}") + "}";
}

std::string index_of(const std::vector<std::string>& entries, const std::string& more = "") {
  std::string text;
  for (const std::string& each : entries) text += (text.empty() ? "" : ",") + each;
  return R"({"schemaVersion":2,"manifests":[)" + text + "]" + more + "}";
}

}  // namespace

TEST_CASE("names of images follow the grammar of annotations.md") {
  for (const char* name : {"1", "v1.0", "latest", "a/b/c", "reg.example.com:5000/team/app:1.0_x+y",
                           "a--b", "app@sha256:00", "A9"}) {
    CAPTURE(name);
    CHECK(is_ref_name(name));
  }
  for (const char* name : {"", "_a", "-a", "a-", "a..b", "a---b", "/a", "a/", "a//b", "a b", "a\tb",
                           "ä", "a/-b", "@1", "a*"}) {
    CAPTURE(name);
    CHECK_FALSE(is_ref_name(name));
  }
}

TEST_CASE("an image's entry replaces that of its name, and all others stay") {
  struct Case {
    const char* what;
    std::string before;
    std::string name;
    std::string after;
  };
  const std::string more = R"(,"annotations":{"a":"b"},"x":1.50)";
  const Case cases[] = {
      {"the first", index_of({}), "1", index_of({entry("new", "1")})},
      {"the first without a name", index_of({}), "", index_of({entry("new")})},
      {"another name", index_of({entry("old", "1")}), "2",
       index_of({entry("old", "1"), entry("new", "2")})},
      {"the same name", index_of({entry("a", "0"), entry("old", "1"), entry("b", "2")}), "1",
       index_of({entry("a", "0"), entry("new", "1"), entry("b", "2")})},
      {"the same name twice", index_of({entry("old", "1"), entry("b"), entry("older", "1")}), "1",
       index_of({entry("new", "1"), entry("b")})},
      {"the same image under another name", index_of({entry("new", "1")}), "2",
       index_of({entry("new", "1"), entry("new", "2")})},
      {"the same image without a name is named", index_of({entry("new"), entry("b")}), "1",
       index_of({entry("new", "1"), entry("b")})},
      {"other images without a name", index_of({entry("old")}), "",
       index_of({entry("old"), entry("new")})},
      {"nothing new: what an entry says besides stays",
       index_of({entry("new", "1", R"(,"platform":{"architecture":"amd64","os":"linux"})")}), "1",
       index_of({entry("new", "1", R"(,"platform":{"architecture":"amd64","os":"linux"})")})},
      {"nothing new, without a name", index_of({entry("new")}), "", index_of({entry("new")})},
      {"members that nobody knows", index_of({entry("old", "1")}, more), "2",
       index_of({entry("old", "1"), entry("new", "2")}, more)},
  };
  for (const Case& c : cases) {
    CAPTURE(c.what);
    CHECK(index_with_image(Index::parse(c.before), image("new"), c.name) == c.after);
  }
}

}  // namespace tug
