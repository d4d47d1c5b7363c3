// What registries say besides manifests: pages of tags, Warning, Content-Range, Location of a
// redirect, and the index behind the referrers tag, to which one more is added.
#include "registry/blob_download.h"
#include "registry/redirects.h"
#include "registry/referrers.h"
#include "registry/tag_page.h"
#include "registry/warnings.h"

#include <tug/error.h>

#include <cstdint>
#include <cstdlib>
#include <functional>

using namespace tug;
using namespace tug::registry;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  static const Descriptor image{
      .media_type = std::string(media_type::kOciManifest), .digest = Digest::of("x"), .size = 1};
  const std::function<void()> uses[] = {
      [&] {
        for (const std::string& tag : tags_of_page(text, "reg.example"))
          if (!is_tag(tag)) std::abort();
      },
      [&] {
        const auto referrer = referrer_of(text, image);
        if (!referrer) return;
        if (!is_tag(referrers_tag(referrer->subject))) std::abort();
        const auto index = with_referrer("", referrer->descriptor);
        if (!index || with_referrer(*index, referrer->descriptor)) std::abort();
      },
      [&] {
        const auto index = with_referrer(text, image);
        if (index && with_referrer(*index, image)) std::abort();
      },
      [&] {
        const auto url = http::Url::parse("https://reg.example/v2/");
        http::Response response;
        response.status = 307;
        response.headers.add("Location", text);
        if (is_local(redirect_target({response, url}, false))) std::abort();
      },
      [&] { (void)first_byte(text); },
      [&] {
        const auto shown = parse_warning(text);
        if (shown && shown->find_first_of("\n\r\x1b") != std::string::npos) std::abort();
      }};
  for (const auto& use : uses) {
    try {
      use();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::protocol && error.kind() != ErrorKind::integrity) std::abort();
    }
  }
  return 0;
}
