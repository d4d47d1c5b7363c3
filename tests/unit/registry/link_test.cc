#include "registry/link.h"

#include <doctest/doctest.h>

namespace tug::registry {

TEST_CASE("the next page is the link whose rel says next") {
  struct Case {
    std::string_view header;
    std::optional<std::string> expected;
  };
  const Case cases[] = {
      {R"(</v2/a/tags/list?last=b&n=2>; rel="next")", "/v2/a/tags/list?last=b&n=2"},
      {R"(</x>;rel=next)", "/x"},
      {R"(</x> ; title="a, b; c" ; REL="prev NEXT")", "/x"},
      {R"(</x>; rel="prev", </y>; rel="next")", "/y"},
      {R"(<https://other/x>; rel="next")", "https://other/x"},
      {R"(</x>; title="say \"hi\", you"; rel=next)", "/x"},
      {R"(<>; rel=next)", ""},
      {R"(</x>; rel="prev")", std::nullopt},
      {R"(</x>)", std::nullopt},
      {R"(</x; rel="next")", std::nullopt},
      {R"(/x; rel="next")", std::nullopt},
      {"", std::nullopt},
      {R"(</x>; rel="nextish")", std::nullopt},
  };
  for (const Case& c : cases) {
    CAPTURE(c.header);
    CHECK(next_link(c.header) == c.expected);
    for (std::size_t size = 0; size < c.header.size(); ++size)
      (void)next_link(c.header.substr(0, size));
  }
}

}  // namespace tug::registry
