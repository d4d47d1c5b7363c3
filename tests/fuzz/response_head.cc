// The head of a response, line by line as libcurl hands it over: headers without anything that ends
// a field, or Error(protocol).
#include "http/response_head.h"

#include <tug/error.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  tug::http::ResponseHead head;
  try {
    while (!text.empty()) {
      const std::string_view line = text.substr(0, std::min(text.find('\n'), text.size() - 1) + 1);
      text.remove_prefix(line.size());
      head.add_line(line);
    }
  } catch (const tug::Error& error) {
    if (error.kind() != tug::ErrorKind::protocol) std::abort();
  }
  if (head.complete() && (head.status() < 200 || head.status() > 999)) std::abort();
  for (const auto& [name, value] : head.headers().fields()) {
    for (const char c : name + value)
      if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f) std::abort();
    if (!head.headers().get(name) || head.headers().get_all(name).empty()) std::abort();
  }
  return 0;
}
