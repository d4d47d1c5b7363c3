// Short words for scripts of faults.
#ifndef TUG_TESTS_SUPPORT_FAULTS_H_
#define TUG_TESTS_SUPPORT_FAULTS_H_

#include "support/scripted_registry.h"

#include <functional>
#include <string>
#include <utility>

namespace tug::test {

inline std::string error_body(const std::string& code, const std::string& message = "scripted",
                              const std::string& detail = "") {
  return R"({"errors":[{"code":")" + code + R"(","message":")" + message + R"(","detail":")" +
         detail + "\"}]}";
}

// A response with a Content-Type that goes with its body.
inline HttpResponse answer(int status, const std::string& body = "", HeaderList headers = {}) {
  headers.emplace_back("Content-Type", body.starts_with("<") ? "text/html" : "application/json");
  return {status, std::move(headers), body};
}

// Takes the header away, and puts another there unless `value` is empty.
inline void set_header(HttpResponse& response, const std::string& name, const std::string& value) {
  std::erase_if(response.headers, [&](const auto& field) { return field.first == name; });
  if (!value.empty()) response.headers.emplace_back(name, value);
}
inline std::string header_of(const HttpResponse& response, const std::string& name) {
  for (const auto& [have, value] : response.headers)
    if (have == name) return value;
  return "";
}

// `count` requests from the `first` on.
struct Times {
  int count = 1;
  int first = 1;
};
inline constexpr Times kAlways{Fault::kAlways};

inline Fault fault(std::string method, std::string target, Fault::Act act, Times times = {}) {
  Fault made;
  made.method = std::move(method);
  made.target = std::move(target);
  made.act = act;
  made.count = times.count;
  made.first = times.first;
  return made;
}
// The registry does nothing, and says this.
inline Fault answers(std::string method, std::string target, HttpResponse response,
                     Times times = {}) {
  Fault made = fault(std::move(method), std::move(target), Fault::Act::answer, times);
  made.response = std::move(response);
  return made;
}
// The registry does its work, and says this.
inline Fault answers_after(std::string method, std::string target, HttpResponse response,
                           Times times = {}) {
  Fault made = answers(std::move(method), std::move(target), std::move(response), times);
  made.act = Fault::Act::answer_after;
  return made;
}
inline Fault edits(std::string method, std::string target,
                   std::function<void(HttpResponse&)> change, Times times = kAlways) {
  Fault made = fault(std::move(method), std::move(target), Fault::Act::edit, times);
  made.edit = std::move(change);
  return made;
}
inline Fault sets_status(std::string method, std::string target, int status,
                         Times times = kAlways) {
  return edits(
      std::move(method), std::move(target), [status](HttpResponse& r) { r.status = status; },
      times);
}
inline Fault sets_header(std::string method, std::string target, std::string name,
                         std::string value, Times times = kAlways) {
  return edits(
      std::move(method), std::move(target),
      [name = std::move(name), value = std::move(value)](HttpResponse& r) {
        set_header(r, name, value);
      },
      times);
}
inline Fault resets(std::string method, std::string target, std::uint64_t after_bytes,
                    Times times = {}) {
  Fault made = fault(std::move(method), std::move(target), Fault::Act::reset, times);
  made.body_bytes = after_bytes;
  return made;
}
inline Fault handles(std::string method, std::string target, HttpServer::Handler handler,
                     Times times = kAlways) {
  Fault made = fault(std::move(method), std::move(target), Fault::Act::handle, times);
  made.handler = std::move(handler);
  return made;
}

}  // namespace tug::test

#endif  // TUG_TESTS_SUPPORT_FAULTS_H_
