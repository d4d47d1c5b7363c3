#include "cli/context.h"

#include "base/strings.h"
#include "base/user_state.h"
#include "cli/output.h"
#include "registry/token.h"

#include <tug/error.h>

#include <fmt/format.h>

#include <utility>

namespace tug::cli {
namespace {

std::string user_agent(const Arguments& arguments) {
  const std::string own = "tug/" TUG_VERSION;
  const auto prefix = arguments.value("user-agent-prefix");
  if (!prefix) return own;
  if (printable(*prefix, prefix->size()) != *prefix)
    throw Error(ErrorKind::usage, "--user-agent-prefix: it has characters that no header may have");
  return *prefix + " " + own;
}

// Before anybody is asked: whether a registry wants a token at all is known only later.
Secret bearer_token(const std::string& flag, const std::string& token) {
  if (!registry::is_usable_token(token))
    throw Error(ErrorKind::usage, fmt::format("--{}: no token has such characters", flag))
        .set_hint("is there a line break or a space in it?");
  return Secret(token);
}

RetryPolicy retry_policy(const Arguments& arguments) {
  constexpr std::int64_t kMostRetries = 1000;
  RetryPolicy policy;
  if (const auto retries = arguments.integer("retry-times", 0, kMostRetries))
    policy.attempts = static_cast<int>(*retries) + 1;
  if (const auto delay = arguments.duration("retry-delay"); delay && delay->count() > 0)
    policy.fixed_delay = delay;
  return policy;
}

Timeouts timeouts(const Arguments& arguments) {
  Timeouts limits;
  if (const auto stall = arguments.duration("stall-timeout")) {
    if (stall->count() == 0)
      throw Error(ErrorKind::usage, "--stall-timeout: must be longer than 0");
    limits.stall = *stall;
  }
  return limits;
}

void note(std::string_view text) { log_line(Level::warning, text); }

std::optional<std::uint64_t> chunk_size(const Arguments& arguments) {
  constexpr std::uint64_t kSmallest = 64 * 1024;
  constexpr std::uint64_t kLargest = 1024 * 1024 * 1024;
  return arguments.bytes("chunk-size", kSmallest, kLargest);
}

std::optional<std::uint64_t> bytes_per_second(const Arguments& arguments) {
  constexpr std::uint64_t kSlowest = 1024;
  constexpr std::uint64_t kFastest = std::uint64_t{1} << 40;
  return arguments.bytes("limit-rate", kSlowest, kFastest);
}

std::optional<std::uint64_t> requests_per_second(const Arguments& arguments) {
  constexpr std::int64_t kMost = 1'000'000;
  const auto limit = arguments.integer("req-per-sec", 1, kMost);
  return limit ? std::optional(static_cast<std::uint64_t>(*limit)) : std::nullopt;
}

std::shared_ptr<registry::ResumeState> resume_state(const Arguments& arguments, const Log& log) {
  const auto file = arguments.value("resume-state");
  if (arguments.flag("no-resume")) {
    if (file) throw Error(ErrorKind::usage, "--resume-state and --no-resume exclude each other");
    return nullptr;
  }
  if (file)
    return with_context("--resume-state",
                        [&] { return registry::ResumeState::in_file(*file, log, note); });
  const std::string directory = user_state_directory();
  return registry::ResumeState::in_directory(directory.empty() ? "" : directory + "/uploads", log);
}

std::pair<std::string, Secret> parse_credentials(const std::string& flag, const std::string& text) {
  const auto colon = text.find(':');
  if (text.empty() || colon == 0)
    throw Error(ErrorKind::usage, fmt::format("--{}: the user name must not be empty", flag));
  if (colon == std::string::npos) return {text, Secret()};
  return {text.substr(0, colon), Secret(text.substr(colon + 1))};
}

std::optional<std::pair<std::string, Secret>> credentials(const Arguments& arguments,
                                                          const std::string& prefix) {
  std::string flag = prefix + "creds";
  // skopeo's hidden short forms.
  const std::string alias = prefix == "src-" ? "screds" : prefix == "dest-" ? "dcreds" : "";
  if (!arguments.text(flag) && !alias.empty() && arguments.text(alias)) flag = alias;
  const auto pair = arguments.text(flag);
  const auto username = arguments.text(prefix + "username");
  const auto password = arguments.text(prefix + "password");
  if (pair && (username || password)) {
    throw Error(ErrorKind::usage,
                fmt::format("--{} and --{}username exclude each other", flag, prefix));
  }
  if (pair) return parse_credentials(flag, *pair);
  if (username.has_value() != password.has_value()) {
    throw Error(ErrorKind::usage,
                fmt::format("--{0}username and --{0}password go together", prefix));
  }
  if (!username || (username->empty() && password->empty())) return std::nullopt;
  if (username->empty() || username->find(':') != std::string::npos) {
    throw Error(ErrorKind::usage,
                fmt::format("--{}username must not be empty or contain a colon", prefix));
  }
  return std::pair(*username, Secret(*password));
}

}  // namespace

struct Context::Network {
  Network(const Arguments& arguments, const Log& log)
      : conf(registry::RegistriesConf::load(arguments.value("registries-conf"), log)),
        http({timeouts(arguments), user_agent(arguments), 32}, log),
        environment{.http = http,
                    .registries_conf = conf,
                    .retry = retry_policy(arguments),
                    .log = log,
                    .note = note,
                    .chunk_size = chunk_size(arguments),
                    .bytes_per_second = bytes_per_second(arguments),
                    .requests_per_second = requests_per_second(arguments),
                    .resume = resume_state(arguments, log)},
        hosts(environment),
        transports{hosts, log, note} {}
  registry::RegistriesConf conf;
  http::Client http;
  registry::Environment environment;
  registry::Hosts hosts;
  TransportEnvironment transports;
};

Context::Context(std::string_view program, const Arguments& arguments, std::stop_token stop)
    : program_(program), arguments_(arguments), stop_(std::move(stop)) {
  if (arguments.flag("debug"))
    log_ = Log([](std::string_view line) { log_line(Level::debug, line); });
  if (arguments.flag("require-signed"))
    throw Error(ErrorKind::denied, "--require-signed: this version of tug verifies no signature");
  if (arguments.has("tls-details"))
    throw Error(ErrorKind::usage, "--tls-details is not supported by this version of tug")
        .set_hint("TLS 1.2 and later are used, with OpenSSL's defaults");
}

Context::~Context() = default;

Platform Context::platform() const {
  Platform platform = Platform::host();
  const auto os = arguments_.value("override-os");
  const auto architecture = arguments_.value("override-arch");
  const auto variant = arguments_.value("override-variant");
  if (os) platform.os = *os;
  // This machine's variant says nothing about another architecture.
  if (architecture && *architecture != platform.architecture) platform.variant.clear();
  if (architecture) platform.architecture = *architecture;
  if (variant) platform.variant = *variant;
  return platform;
}

Policy Context::policy() const {
  return arguments_.flag("insecure-policy") ? Policy::accept_anything()
                                            : Policy::load(arguments_.value("policy"));
}

Context::Network& Context::network() {
  if (!network_) network_ = std::make_unique<Network>(arguments_, log_);
  return *network_;
}

const TransportEnvironment& Context::transports() { return network().transports; }

const registry::Environment& Context::registries() { return network().environment; }

CopyEnvironment Context::copies() {
  if (!cache_)
    cache_ = std::make_unique<BlobInfoCache>(
        arguments_.flag("no-cache") ? std::string() : BlobInfoCache::default_path(), log_, stop_);
  return {[this]() -> CpuPool& {
            std::call_once(pool_made_, [this] { pool_ = std::make_unique<CpuPool>(); });
            return *pool_;
          },
          *cache_};
}

RegistryAccess registry_access(const Arguments& arguments, const std::string& prefix) {
  RegistryAccess access;
  access.credentials = credentials(arguments, prefix);
  if (const auto token = arguments.value(prefix + "registry-token"))
    access.bearer_token = bearer_token(prefix + "registry-token", *token);
  access.anonymous = arguments.flag(prefix + "no-creds");
  if (access.anonymous && (access.credentials || access.bearer_token)) {
    throw Error(
        ErrorKind::usage,
        fmt::format("--{0}no-creds excludes --{0}creds, --{0}username and --{0}registry-token",
                    prefix));
  }
  access.authfile = arguments.value(prefix + "authfile");
  if (!access.authfile) access.authfile = arguments.value("authfile");
  access.cert_dir = arguments.value(prefix + "cert-dir");
  access.tls_verify = arguments.optional_bool(prefix + "tls-verify");
  if (!access.tls_verify) access.tls_verify = arguments.optional_bool("tls-verify");
  access.no_mirrors = prefix != "dest-" && arguments.flag("no-mirrors");  // nothing mirrors a push
  return access;
}

TransportOptions transport_options(const Arguments& arguments, const std::string& prefix) {
  TransportOptions options{
      .access = registry_access(arguments, prefix),
      .shared_blob_dir = arguments.value(prefix + "shared-blob-dir"),
      .note_signatures = prefix == "src-" && !arguments.flag("remove-signatures")};
  options.daemon_host = arguments.value(prefix + "daemon-host");
  options.temporary_directory = arguments.value("tmpdir");
  return options;
}

}  // namespace tug::cli
