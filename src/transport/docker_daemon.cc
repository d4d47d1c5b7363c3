#include "transport/docker_daemon.h"

#include "base/fd.h"
#include "base/strings.h"
#include "base/temporary_file.h"
#include "http/client.h"
#include "oci/json.h"
#include "transport/closed_destination.h"
#include "transport/docker_archive.h"
#include "transport/image_archive.h"

#include <tug/error.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

namespace tug {
namespace {

// Every daemon since Docker 1.10 serves it; containers/image asks for it too.
constexpr std::string_view kApi = "/v1.22";
// A daemon says nothing while it collects a large image, or unpacks one.
constexpr std::chrono::minutes kPatience{15};
constexpr std::size_t kMaxAnswerBytes = 4 * 1024 * 1024;
constexpr std::size_t kMaxErrorBytes = 500;

// The daemon's own words: {"message": "…"}.
std::string message_in(const std::string& body) {
  try {
    if (const std::string text = Json::parse(body).string_or_empty("message"); !text.empty())
      return printable(text, kMaxErrorBytes);
  } catch (const Error&) {  // then it is something else's answer
  }
  return printable(trim(body), kMaxErrorBytes);
}

// Query values are names of images and IDs: of what they may hold, only these need it.
std::string query_escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '%' || c == '&' || c == '+' || c == '#') {
      escaped += c == '%' ? "%25" : c == '&' ? "%26" : c == '+' ? "%2B" : "%23";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

// A daemon and the way to it. Any thread.
class Daemon {
 public:
  Daemon(const DaemonAccess& access, const Log& log)
      : host_(access.host),
        client_({.timeouts = {.connect = std::chrono::seconds(30), .stall = kPatience}}, log) {
    const std::size_t end = host_.find("://");
    const std::string scheme = end == std::string::npos ? "" : host_.substr(0, end);
    const std::string rest = end == std::string::npos ? "" : host_.substr(end + 3);
    if (scheme == "unix") {
      socket_ = rest;
      base_ = "http://docker";  // nobody looks at the name
    } else if (scheme == "http") {
      base_ = "http://" + without_path(rest);
    } else if (scheme == "tcp" || scheme == "https") {
      base_ = "https://" + without_path(rest);
      tls_ = tls_of(access);
    }
    if (rest.empty() || base_.empty()) {
      throw Error(ErrorKind::usage, "\"" + printable(host_, 200) + "\" is no Docker daemon")
          .set_hint("unix:///PATH, http://HOST:PORT, or with TLS tcp://HOST:PORT");
    }
  }

  [[nodiscard]] http::Request request(http::Method method, const std::string& target) const {
    http::Request request{.method = method,
                          .url = http::Url::parse(base_ + std::string(kApi) + target)};
    request.unix_socket = socket_;
    request.tls = tls_;
    request.max_response_bytes = kMaxAnswerBytes;
    return request;
  }

  http::Response send(const http::Request& request, const std::stop_token& stop) {
    return with_context([&] { return "the Docker daemon at " + printable(host_, 200); },
                        [&] {
                          try {
                            return client_.send(request, stop);
                          } catch (Error& error) {
                            if (error.kind() == ErrorKind::network) {
                              error.set_hint(
                                  "is it running, and may this user reach it? "
                                  "--src-daemon-host, --dest-daemon-host");
                            }
                            throw;
                          }
                        });
  }

  [[nodiscard]] Error failure(const http::Response& response) const {
    const ErrorKind kind = response.status == 404   ? ErrorKind::not_found
                           : response.status >= 500 ? ErrorKind::server
                                                    : ErrorKind::denied;
    return refusal(kind, message_in(response.body)).set_http_status(response.status);
  }
  [[nodiscard]] Error refusal(ErrorKind kind, const std::string& words) const {
    return Error(kind, "the Docker daemon at " + printable(host_, 200) + " says: " + words);
  }

 private:
  static std::string without_path(const std::string& text) {
    return text.substr(0, text.find('/'));
  }
  static std::shared_ptr<const http::TlsConfig> tls_of(const DaemonAccess& access) {
    http::TlsConfig tls;
    tls.verify = access.tls_verify;
    if (access.cert_dir) {
      const auto file = [&](const char* name) { return *access.cert_dir + "/" + name; };
      const auto exists = [](const std::string& path) { return ::access(path.c_str(), F_OK) == 0; };
      if (exists(file("ca.pem"))) tls.ca_files.push_back(file("ca.pem"));
      if (exists(file("cert.pem")))
        tls.client_certificates.emplace_back(file("cert.pem"), file("key.pem"));
    }
    return std::make_shared<const http::TlsConfig>(std::move(tls));
  }

  const std::string host_;
  std::string socket_;
  std::string base_;
  std::shared_ptr<const http::TlsConfig> tls_;
  http::Client client_;
};

// Writes what comes in to a file. The loop it holds up is its own client's.
class FileSink final : public http::BodySink {
 public:
  explicit FileSink(const UniqueFd& file, std::string name) : file_(file), name_(std::move(name)) {}
  void begin(int, const http::Headers&) override {}
  bool take(std::span<const std::byte> bytes) override {
    write_fully(file_.get(), bytes, name_);
    return true;
  }
  void when_room(std::function<void()>) override {}

 private:
  const UniqueFd& file_;
  const std::string name_;
};

// The reading end of a pipe.
class PipeSource final : public ByteSource {
 public:
  explicit PipeSource(const UniqueFd& pipe) : pipe_(pipe) {}
  std::size_t read(std::span<std::byte> buffer) override {
    for (;;) {
      const ssize_t got = ::read(pipe_.get(), buffer.data(), buffer.size());
      if (got >= 0) return static_cast<std::size_t>(got);
      if (errno != EINTR)
        throw Error(ErrorKind::local, "cannot read from a pipe: " + errno_text(errno));
    }
  }

 private:
  const UniqueFd& pipe_;
};

// The archive is written into a pipe, whose other end a thread sends to the daemon.
class DaemonDestination final : public ClosedDestination {
 public:
  DaemonDestination(DaemonReference reference, const DaemonAccess& access,
                    const std::string& temporary_directory, const Log& log)
      : reference_(std::move(reference)), daemon_(access, log) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
      throw Error(ErrorKind::local, "cannot make a pipe: " + errno_text(errno));
    pipe_ = UniqueFd(ends[0]);
    archive_ = open_docker_archive_stream(UniqueFd(ends[1]), reference_.str(), *reference_.image,
                                          temporary_directory);
  }
  // Without finish() the body has no end, so that the daemon loads nothing.
  ~DaemonDestination() override {
    sending_.request_stop();
    archive_.reset();
  }

  [[nodiscard]] std::string describe() const override { return reference_.str(); }
  [[nodiscard]] std::optional<std::string> tag() const override { return archive_->tag(); }
  [[nodiscard]] Intake intake() const override { return archive_->intake(); }
  [[nodiscard]] ImageForm form() const override { return archive_->form(); }

  std::uint64_t put_blob(const Blob& blob, const SentCallback& sent,
                         std::stop_token stop) override {
    return write([&] { return archive_->put_blob(blob, sent, stop); });
  }
  Descriptor put_stream(const StreamedBlob& blob, const SentCallback& sent,
                        std::stop_token stop) override {
    return write([&] { return archive_->put_stream(blob, sent, stop); });
  }
  void put_manifest(const Descriptor& descriptor, const std::string& bytes,
                    const std::optional<std::string>& tag, std::stop_token stop) override {
    write([&] { return archive_->put_manifest(descriptor, bytes, tag, stop); });
  }
  void finish(std::stop_token stop) override {
    // A stop now ends the sending, which nothing else of this call would notice.
    const std::stop_callback pass_on(stop, [this] { sending_.request_stop(); });
    write([&] {
      is_whole_ = true;
      archive_->finish(stop);
    });
    if (sending_.joinable()) sending_.join();
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  // Why the pipe broke is what the sending says.
  template <typename Work>
  auto write(Work&& work) -> decltype(work()) {
    if (!sending_.joinable())
      sending_ = std::jthread([this](const std::stop_token& stop) { send(stop); });
    try {
      return work();
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::interrupted || !has_ended_) throw;
      sending_.join();
      if (failure_) std::rethrow_exception(failure_);
      throw;
    }
  }

  void send(const std::stop_token& stop) noexcept {
    try {
      load(stop);
    } catch (...) {
      failure_ = std::current_exception();
    }
    has_ended_ = true;
    pipe_ = UniqueFd();  // whoever still writes learns of it
  }

  void load(const std::stop_token& stop) {
    PipeSource source(pipe_);
    http::Request request = daemon_.request(http::Method::post, "/images/load?quiet=1");
    request.headers.add("Content-Type", "application/x-tar");
    http::RequestBody body;
    body.source = &source;
    body.before_last = [this] {
      if (!is_whole_) throw Error(ErrorKind::interrupted, "the image was not sent to its end");
    };
    request.body = std::move(body);
    const http::Response response = daemon_.send(request, stop);
    if (response.status / 100 != 2) throw daemon_.failure(response);
    if (const auto words = detail::error_in_load_answer(response.body))
      throw daemon_.refusal(ErrorKind::server, *words);
    if (response.truncated || !response.body_sent_completely)
      throw daemon_.refusal(ErrorKind::protocol, "nothing of the image's end");
  }

  const DaemonReference reference_;
  Daemon daemon_;
  UniqueFd pipe_;
  std::unique_ptr<ImageDestination> archive_;
  std::atomic<bool> is_whole_ = false;
  std::atomic<bool> has_ended_ = false;
  std::exception_ptr failure_;  // set before has_ended_
  std::jthread sending_;
};

}  // namespace

DaemonReference DaemonReference::parse(std::string_view text) {
  if (auto id = Digest::try_parse(text)) return {std::nullopt, std::move(id)};
  const RegistryReference image = RegistryReference::parse(text);
  const auto refuse = [&](const std::string& why) {
    throw Error(ErrorKind::usage,
                "invalid docker-daemon: reference \"" + printable(text, 200) + "\": " + why)
        .set_hint("docker-daemon:NAME:TAG, or docker-daemon:sha256:HEX of an image's ID");
  };
  if (image.name() == "docker.io/library/sha256") refuse("sha256 is for IDs of 64 digits");
  if (image.tag() && !text.ends_with(":" + *image.tag())) refuse("it has neither tag nor digest");
  return {image, std::nullopt};
}

std::string DaemonReference::familiar() const {
  if (id) return id->str();
  const std::string whole = image->str();
  for (const std::string_view known : {"docker.io/library/", "docker.io/"}) {
    if (!whole.starts_with(known)) continue;
    // What is left may name another image: docker.io/reg.example/app, docker.io/library/team/app.
    std::string text = whole.substr(known.size());
    try {
      if (parse(text) == *this) return text;
    } catch (const Error&) {  // or none
    }
  }
  return whole;
}

std::unique_ptr<ImageSource> open_docker_daemon(const DaemonReference& reference,
                                                const DaemonAccess& access,
                                                const std::string& temporary_directory,
                                                const Log& log, const std::stop_token& stop) {
  Daemon daemon(access, log);
  UniqueFd file = open_unnamed_file(temporary_directory);
  const std::string name = "what the Docker daemon saved of " + reference.familiar();
  FileSink sink(file, name + " in " + temporary_directory);
  http::Request request =
      daemon.request(http::Method::get, "/images/get?names=" + query_escaped(reference.familiar()));
  request.sink = &sink;
  const http::Response response = daemon.send(request, stop);
  if (response.status != 200) throw daemon.failure(response).add_context(reference.str());
  if (response.truncated)
    throw daemon.refusal(ErrorKind::network, "nothing more, in the middle of the image");
  return open_docker_archive(ImageArchive::read(std::move(file), name, stop), reference.str(),
                             stop);
}

std::unique_ptr<ImageDestination> open_docker_daemon_destination(
    const DaemonReference& reference, const DaemonAccess& access,
    const std::string& temporary_directory, const Log& log) {
  if (!reference.image || !reference.image->tag()) {
    throw Error(ErrorKind::usage, "invalid docker-daemon: destination " + reference.familiar() +
                                      ": a destination must be a name:tag");
  }
  return std::make_unique<DaemonDestination>(reference, access, temporary_directory, log);
}

namespace detail {

std::optional<std::string> error_in_load_answer(std::string_view body) noexcept {
  for (const std::string_view line : split(body, '\n')) {
    if (trim(line).empty()) continue;
    try {
      const Json object = Json::parse(trim(line));
      if (const std::string text = object.string_or_empty("error"); !text.empty())
        return printable(text, kMaxErrorBytes);
    } catch (const std::exception&) {  // progress that is no JSON says nothing
    }
  }
  return std::nullopt;
}

}  // namespace detail
}  // namespace tug
