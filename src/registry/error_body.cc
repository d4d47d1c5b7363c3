#include "registry/error_body.h"

#include "base/strings.h"
#include "http/retry.h"
#include "oci/json.h"

#include <algorithm>
#include <optional>

namespace tug::registry {
namespace {

constexpr std::size_t kMaxFaults = 16;
constexpr std::size_t kMaxText = 500;
constexpr std::size_t kMaxCode = 64;
constexpr std::size_t kMaxDetail = 200;
constexpr Json::Limits kBodyLimits{.max_bytes = 64 * 1024, .max_depth = 16};

std::optional<Json> parse_json(std::string_view body) {
  try {
    return Json::parse(body, kBodyLimits);
  } catch (const Error&) {
    return std::nullopt;
  }
}

// What a member says: its text, or its JSON when it is a structure.
std::string text_of(const Json* value, std::size_t limit) {
  if (value == nullptr || value->is_null()) return "";
  const std::string* text = value->as_string();
  return printable(trim(text ? *text : value->dump()), limit);
}

std::string first_text(const Json& object, std::initializer_list<std::string_view> names,
                       std::size_t limit) {
  for (const std::string_view name : names) {
    if (std::string text = text_of(object.find(name), limit); !text.empty()) return text;
  }
  return "";
}

// {"code","message","detail"} and its relatives: Docker Hub's "details", OAuth's "error" with
// "error_description".
std::optional<RegistryFault> fault_from(const Json& item) {
  RegistryFault fault;
  if (item.is_string()) {
    fault.message = text_of(&item, kMaxText);
  } else if (item.is_object()) {
    fault.code = first_text(item, {"code"}, kMaxCode);
    fault.message =
        first_text(item, {"message", "error_description", "details", "error"}, kMaxText);
    fault.detail = text_of(item.find("detail"), kMaxDetail);
  }
  if (fault.code.empty() && fault.message.empty() && fault.detail.empty()) return std::nullopt;
  return fault;
}

std::vector<RegistryFault> faults_from(const Json& document) {
  const Json* errors = document.find("errors");
  const Json::Array* list = errors ? errors->as_array() : document.as_array();
  std::vector<RegistryFault> faults;
  if (list != nullptr) {
    for (const Json& item : *list) {
      if (faults.size() == kMaxFaults) break;
      if (auto fault = fault_from(item)) faults.push_back(std::move(*fault));
    }
  } else if (auto fault = fault_from(errors ? *errors : document)) {
    faults.push_back(std::move(*fault));
  }
  return faults;
}

// The text between `open` and `close`, both lower case.
std::optional<std::string_view> element(std::string_view body, const std::string& lower,
                                        std::string_view open, std::string_view close) {
  const std::size_t start = lower.find(open);
  if (start == std::string::npos) return std::nullopt;
  const std::size_t content = lower.find('>', start);
  const std::size_t end = lower.find(close, start);
  if (content == std::string::npos || end == std::string::npos || content >= end) {
    return std::nullopt;
  }
  return trim(body.substr(content + 1, end - content - 1));
}

std::string html_title(std::string_view body) {
  const std::string lower = to_lower(body.substr(0, kBodyLimits.max_bytes));
  for (const auto& [open, close] : {std::pair{"<title", "</title"}, std::pair{"<h1", "</h1"}}) {
    if (const auto text = element(body, lower, open, close); text && !text->empty()) {
      return printable(*text, kMaxText);
    }
  }
  return "";
}

std::string first_line(std::string_view body) {
  const std::string_view text = trim(body);
  return printable(trim(text.substr(0, text.find('\n'))), kMaxText);
}

// ---- digests ---------------------------------------------------------------------------------

bool is_hex(char c) noexcept { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

void collect_digests(std::string_view text, std::vector<Digest>& digests) {
  for (std::size_t at = text.find("sha"); at != std::string_view::npos;
       at = text.find("sha", at + 1)) {
    std::string_view word = text.substr(at);
    const std::size_t colon = word.find(':');
    if (colon != 6) continue;
    const auto end = std::find_if_not(word.begin() + 7, word.end(), is_hex);
    word = word.substr(0, static_cast<std::size_t>(end - word.begin()));
    const auto digest = Digest::try_parse(word);
    if (digest && std::find(digests.begin(), digests.end(), *digest) == digests.end()) {
      digests.push_back(*digest);
    }
  }
}

// ---- status and kind ---------------------------------------------------------------------------

std::string_view reason_phrase(int status) noexcept {
  switch (status) {
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 402:
      return "Payment Required";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 407:
      return "Proxy Authentication Required";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 425:
      return "Too Early";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 507:
      return "Insufficient Storage";
    default:
      return "";
  }
}

bool mentions(std::string_view lower_text, std::initializer_list<std::string_view> words) noexcept {
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
    return lower_text.find(word) != std::string_view::npos;
  });
}

// A tag that cannot be moved is a refusal whatever status carries it (6.6).
bool is_refusal_of_overwriting(std::string_view lower_text) noexcept {
  return mentions(lower_text, {"immutable", "already exists"});
}

ErrorKind kind_from_codes(const std::vector<std::string>& codes) {
  for (const std::string& code : codes) {
    if (code == "NAME_UNKNOWN" || code == "MANIFEST_UNKNOWN") return ErrorKind::not_found;
    if (code == "NAME_INVALID") return ErrorKind::usage;
    if (code == "DIGEST_INVALID" || code == "SIZE_INVALID") return ErrorKind::integrity;
    if (code == "MANIFEST_INVALID" || code == "UNSUPPORTED" || code == "TAG_INVALID") {
      return ErrorKind::denied;
    }
  }
  return ErrorKind::protocol;
}

// The class of a failure (sections 0 and 5.11). `text` is all that the server said, in lower case.
ErrorKind kind_of(int status, const std::vector<std::string>& codes, std::string_view text) {
  if (mentions(text, {"header or cookie too large", "request header too large"})) {
    return ErrorKind::limit;
  }
  switch (status) {
    case 401:
    case 407:
      return ErrorKind::auth;
    case 402:
    case 403:
    case 405:
    case 415:
    case 451:
      return ErrorKind::denied;
    case 404:
    case 410:
      return ErrorKind::not_found;
    case 408:
    case 425:
    case 499:
      return ErrorKind::server;
    case 413:
    case 414:
    case 431:
      return ErrorKind::limit;
    case 416:
      return mentions(text, {"too large", "size"}) ? ErrorKind::limit : ErrorKind::protocol;
    case 429:
      return ErrorKind::rate_limited;
    default:
      break;
  }
  if (status >= 500) return ErrorKind::server;
  if (status >= 400 && is_refusal_of_overwriting(text)) return ErrorKind::denied;
  return status >= 400 ? kind_from_codes(codes) : ErrorKind::protocol;
}

std::string fault_text(const RegistryFault& fault) {
  std::string text = fault.code;
  if (!fault.message.empty()) text += (text.empty() ? "" : ": ") + fault.message;
  // "manifest invalid" alone helps nobody; the reason is in the detail, if anywhere (user-asks 36).
  if (!fault.detail.empty() && fault.detail != fault.message) {
    text += (text.empty() ? "" : " ") + ("(" + fault.detail + ")");
  }
  return text;
}

std::string hint_for(ErrorKind kind, const http::Response& response) {
  if (kind == ErrorKind::limit && response.status == 400) {
    return "the server takes no header as long as the token it wants; ask its operator to raise "
           "the limit, or use credentials with fewer rights";
  }
  if (response.status == 405) return "the registry may be read-only";
  if (response.status == 407) return "the proxy wants credentials: put them into HTTPS_PROXY";
  return "";
}

}  // namespace

std::string authority(const http::Url& url) {
  const http::Origin& origin = url.origin();
  const bool usual = origin.port == (origin.scheme == "https" ? 443 : 80);
  return usual ? origin.host : origin.host + ":" + std::to_string(origin.port);
}

bool is_html(std::string_view body, std::string_view content_type) {
  if (starts_with_ignore_case(trim(content_type), "text/html")) return true;
  const std::string_view start = trim(body.substr(0, 256));
  return starts_with_ignore_case(start, "<!doctype html") ||
         starts_with_ignore_case(start, "<html");
}

std::vector<RegistryFault> parse_error_body(std::string_view body, std::string_view content_type) {
  if (is_html(body, content_type)) {
    const std::string title = html_title(body);
    return {{"", title.empty() ? "an HTML page" : "an HTML page, \"" + title + "\"", ""}};
  }
  if (const auto document = parse_json(body)) {
    if (auto faults = faults_from(*document); !faults.empty()) return faults;
  }
  if (std::string line = first_line(body); !line.empty() && line != "{}" && line != "null") {
    return {{"", std::move(line), ""}};
  }
  return {};
}

std::vector<Digest> digests_in_error_body(std::string_view body) {
  std::vector<Digest> digests;
  const auto document = parse_json(body);
  const Json* errors = document ? document->find("errors") : nullptr;
  const Json::Array* list = errors ? errors->as_array() : nullptr;
  if (list == nullptr) return digests;
  for (const Json& item : *list) {
    // zot and others put the digest into the message only; what is not ours the caller drops.
    for (const std::string_view member : {"detail", "message"}) {
      if (const Json* value = item.find(member)) collect_digests(value->dump(), digests);
    }
  }
  return digests;
}

std::string status_text(int status) {
  std::string text = std::to_string(status);
  if (const std::string_view phrase = reason_phrase(status); !phrase.empty()) {
    text += " " + std::string(phrase);
  }
  return text;
}

Error error_from_response(const http::Response& response, const http::Url& url) {
  const std::string content_type(response.headers.get("Content-Type").value_or(""));
  std::string said;
  std::vector<std::string> codes;
  for (const RegistryFault& fault : parse_error_body(response.body, content_type)) {
    said += (said.empty() ? "" : "; ") + fault_text(fault);
    if (!fault.code.empty()) codes.push_back(fault.code);
  }
  std::string message = authority(url) + " answered " + status_text(response.status);
  if (response.status < 400) {
    if (!content_type.empty()) message += " " + printable(content_type, 80);
    message += is_html(response.body, content_type)
                   ? ": not a registry (the login page of a proxy?)"
                   : ", which is no answer of a registry";
  }
  if (!said.empty()) message += ": " + printable(said, kMaxText);

  const ErrorKind kind = kind_of(response.status, codes, to_lower(said));
  Error error(kind, message);
  error.set_http_status(response.status).set_registry_codes(std::move(codes));
  error.set_retryable(http::is_retryable_status(response.status));
  if (std::string hint = hint_for(kind, response); !hint.empty()) error.set_hint(std::move(hint));
  return error;
}

}  // namespace tug::registry
