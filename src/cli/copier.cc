#include "cli/copier.h"

#include "base/strings.h"
#include "cli/output.h"
#include "transport/docker_archive.h"

#include <tug/error.h>

#include <fmt/format.h>

#include <array>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>

namespace tug::cli {
namespace {

constexpr std::array kUnsupportedFlags{
    "sign-by",       "sign-by-sq-fingerprint", "sign-by-sigstore", "sign-by-sigstore-private-key",
    "sign-identity", "sign-passphrase-file",   "encryption-key",   "encrypt-layer",
    "decryption-key"};

InstanceSelection instance_selection(const Arguments& arguments) {
  const auto multi_arch = arguments.text("multi-arch");
  const bool all = arguments.flag("all");
  if (all && multi_arch) throw Error(ErrorKind::usage, "--all and --multi-arch exclude each other");
  InstanceSelection selection;
  if (all || multi_arch == "all") {
    selection.kind = InstanceSelection::Kind::all;
  } else if (multi_arch == "index-only") {
    selection.kind = InstanceSelection::Kind::index_only;
  } else if (multi_arch && *multi_arch != "system") {
    if (multi_arch->find('/') == std::string::npos) {
      throw Error(ErrorKind::usage,
                  fmt::format("--multi-arch: \"{}\" is not system, all, index-only or a list of "
                              "platforms such as linux/amd64,linux/arm64",
                              printable(*multi_arch, 60)));
    }
    selection.kind = InstanceSelection::Kind::platforms;
    for (const std::string_view platform : split(*multi_arch, ','))
      selection.platforms.push_back(Platform::parse(trim(platform)));
  }
  return selection;
}

std::optional<LayerCompression> compression_format(const Arguments& arguments) {
  const auto format = arguments.value("dest-compress-format");
  if (!format) return std::nullopt;
  if (*format == "gzip") return LayerCompression::gzip;
  if (*format == "zstd") return LayerCompression::zstd;
  if (*format == "zstd:chunked" || *format == "bzip2" || *format == "xz") {
    throw Error(
        ErrorKind::usage,
        fmt::format("--dest-compress-format: {} is not supported by this version of tug", *format))
        .set_hint("gzip and zstd are");
  }
  throw Error(ErrorKind::usage,
              fmt::format("--dest-compress-format: \"{}\" is no compression format",
                          printable(*format, 40)))
      .set_hint("gzip or zstd");
}

std::optional<ManifestFormat> manifest_format(const Arguments& arguments) {
  const auto format = arguments.text("format");
  if (!format) return std::nullopt;
  if (*format == "oci") return ManifestFormat::oci;
  if (*format == "v2s2") return ManifestFormat::docker;
  if (*format == "v2s1") {
    throw Error(ErrorKind::usage,
                "--format: v2s1 is not supported. Choose one of the supported formats: 'oci' or "
                "'v2s2'")
        .set_hint("registries have stopped taking schema 1");
  }
  throw Error(ErrorKind::usage,
              fmt::format("unknown format \"{}\". Choose one of the supported formats: 'oci' or "
                          "'v2s2'",
                          printable(*format, 40)));
}

void refuse_unsupported(const Arguments& arguments) {
  const auto refuse = [](const char* name) {
    throw Error(ErrorKind::usage,
                fmt::format("--{} is not supported: tug neither signs nor encrypts", name));
  };
  for (const char* name : kUnsupportedFlags) {
    if (arguments.has(name)) refuse(name);
  }
  if (arguments.text("encrypt-layer")) refuse("encrypt-layer");  // empty too, as in skopeo
}

// --additional-tag NAME:TAG or TAG: the same repository, another tag. nullopt: another repository.
std::optional<std::string> additional_tag(const std::string& text,
                                          const RegistryReference& destination) {
  if (is_tag(text)) return text;
  const auto colon = text.rfind(':');
  if (colon != std::string::npos && is_tag(text.substr(colon + 1))) {
    const std::string name = text.substr(0, colon);
    if (name == destination.repository() || name == destination.name())
      return text.substr(colon + 1);
    if (is_repository_name(name) || name.find('/') != std::string::npos) return std::nullopt;
  }
  throw Error(ErrorKind::usage,
              fmt::format("--additional-tag: \"{}\" is not a tag", printable(text, 100)));
}

// skopeo has the flag for docker-archive: alone and ignores it elsewhere: under its name what
// cannot be done is passed over, with a line.
void add_tags(const Arguments& arguments, const ImageDestination& destination, bool as_skopeo,
              CopyOptions& options) {
  const auto pass_over = [&](const std::string& why) {
    if (!as_skopeo) throw Error(ErrorKind::usage, "--additional-tag: " + why);
    log_line(Level::warning, "--additional-tag is ignored: " + why);
  };
  const auto repository = destination.repository();
  for (const std::string& text : arguments.list("additional-tag")) {
    if (!repository) {
      pass_over("the destination has no tags");
    } else if (auto tag = additional_tag(text, *repository)) {
      options.additional_tags.push_back(std::move(*tag));
    } else {
      pass_over(fmt::format("{} is not in the destination's repository {}", printable(text),
                            repository->name()));
    }
  }
}

CopyOptions copy_options(const Arguments& arguments, const Context& context) {
  constexpr std::int64_t kMostParallel = 256;
  CopyOptions options;
  options.instances = instance_selection(arguments);
  options.platform = context.platform();
  options.strip_removed_platforms = arguments.flag("strip-removed-platforms");
  if (options.strip_removed_platforms &&
      options.instances.kind != InstanceSelection::Kind::platforms) {
    throw Error(ErrorKind::usage,
                "--strip-removed-platforms needs --multi-arch with a list of platforms");
  }
  if (const auto parallel = arguments.integer("image-parallel-copies", 0, kMostParallel);
      parallel && *parallel > 0) {
    options.parallel_blobs = static_cast<int>(*parallel);
  }
  options.skip_existing = !arguments.flag("no-skip-existing");
  options.preserve_digests = arguments.flag("preserve-digests");
  options.format = manifest_format(arguments);
  options.compression = compression_format(arguments);
  // -1 is Go's word for a format's default; which other levels there are the format says.
  constexpr std::int64_t kAnyLevel = 1000;
  if (const auto level = arguments.integer("dest-compress-level", -kAnyLevel, kAnyLevel);
      level && *level != -1)
    options.compression_level = static_cast<int>(*level);
  options.force_compression = arguments.flag("dest-force-compress-format");
  options.use_blob_info_cache = !arguments.flag("no-cache");
  options.referrers = arguments.flag("referrers");
  options.digest_tags = arguments.flag("digest-tags");
  options.dry_run = arguments.flag("dry-run");
  return options;
}

bool is_oci(Transport transport) noexcept {
  return transport == Transport::oci || transport == Transport::oci_archive;
}

// The flags that say what becomes of layers.
std::optional<ImageForm::Layers> layers_in(Transport transport, const Arguments& arguments) {
  if (arguments.flag("dest-compress")) return ImageForm::Layers::compressed;
  if (arguments.flag("dest-decompress")) return ImageForm::Layers::plain;
  if (is_oci(transport) && arguments.flag("dest-oci-accept-uncompressed-layers"))
    return ImageForm::Layers::any;
  return std::nullopt;
}

void check_layer_flags(const Arguments& arguments, const ImageReference& destination) {
  if (destination.transport == Transport::dir || is_oci(destination.transport)) {
    if (arguments.flag("dest-compress") && arguments.flag("dest-decompress"))
      throw Error(ErrorKind::usage, "--dest-compress and --dest-decompress exclude each other");
    return;
  }
  for (const char* name : {"dest-compress", "dest-decompress"}) {
    if (!arguments.flag(name)) continue;
    log_line(Level::warning, fmt::format("--{} has no effect: the destination is not dir:, oci: "
                                         "or oci-archive:",
                                         name));
  }
}

CopyOptions checked_options(const Arguments& arguments, const Context& context) {
  refuse_unsupported(arguments);
  if (arguments.has("tls-verify")) {
    log_line(Level::warning,
             "'--tls-verify' is deprecated, instead use: "
             "--src-tls-verify, --dest-tls-verify");
  }
  return copy_options(arguments, context);
}

CopyEnvironment copy_environment(Context& context, const CopyOptions& options, Copier::Run run) {
  CopyEnvironment environment = context.copies();
  if (run == Copier::Run::many_images) {
    environment.blobs = std::make_shared<SharedBlobs>();
    environment.bodies = std::make_shared<BodySlots>(options.parallel_blobs);
  }
  return environment;
}

}  // namespace

std::vector<Option> unsupported_copy_options() {
  std::vector<Option> options;
  for (const char* name : kUnsupportedFlags)
    options.push_back({name, '\0', Option::Kind::value, "TEXT", "", true});
  return options;
}

std::vector<Option> upload_options() {
  using Kind = Option::Kind;
  std::vector<Option> options = retry_options();
  for (const Option& option : std::initializer_list<Option>{
           {"stall-timeout", '\0', Kind::value, "D",
            "Give a connection up after D without a byte; default 60s"},
           {"chunk-size", '\0', Kind::value, "SIZE",
            "Send larger blobs in chunks of SIZE, for example 16M; default in one piece"},
           {"resume-state", '\0', Kind::value, "FILE",
            "Keep broken-off uploads in FILE; default below $XDG_STATE_HOME/tug"},
           {"no-resume", '\0', Kind::flag, "", "Neither keep nor continue broken-off uploads"}})
    options.push_back(option);
  return options;
}

std::vector<Option> limit_options() {
  using Kind = Option::Kind;
  return {
      {"limit-rate", '\0', Kind::value, "RATE",
       "Send no more bytes of blobs in a second to a registry, for example 5M"},
      {"req-per-sec", '\0', Kind::value, "N", "Send no more requests in a second to a registry"}};
}

Copier::Copier(Context& context, const Arguments& arguments, Run run)
    : arguments_(arguments),
      as_skopeo_(context.program() == "skopeo"),
      run_(run),
      policy_(context.policy()),
      options_(checked_options(arguments, context)),
      transports_(context.transports()),
      registries_(context.registries()),
      source_options_(transport_options(arguments, "src-")),
      destination_options_(transport_options(arguments, "dest-")),
      environment_(copy_environment(context, options_, run)) {}

CopyReport Copier::copy(const ImageReference& from, const ImageReference& to, Progress& progress,
                        const std::stop_token& stop) const {
  return copy(from, source_options_, to, progress, stop);
}

CopyReport Copier::copy(const ImageReference& from, const TransportOptions& source_options,
                        const ImageReference& to, Progress& progress,
                        const std::stop_token& stop) const {
  if (run_ == Run::one_image) check_layer_flags(arguments_, to);
  const auto source = open(from, source_options, progress, stop);
  TransportOptions destination_options = destination_options_;
  destination_options.layers = layers_in(to.transport, arguments_);
  CopyOptions options = options_;
  const bool has_names = to.transport == Transport::docker_archive;
  if (has_names) {
    for (const std::string& text : arguments_.list("additional-tag"))
      destination_options.additional_names.push_back(parse_additional_tag(text));
  }
  const auto destination = open_destination(to, destination_options, transports_, stop);
  if (!has_names) add_tags(arguments_, *destination, as_skopeo_, options);
  return execute_copy(*source, *destination, options, environment_, progress, stop);
}

CopyReport Copier::copy(const ImageReference& from, SharedArchive& archive,
                        const ImageReference& to, Progress& progress,
                        const std::stop_token& stop) const {
  const auto source = open(from, source_options_, progress, stop);
  const auto destination = archive.next(to);
  return execute_copy(*source, *destination, options_, environment_, progress, stop);
}

std::shared_ptr<SharedArchive> Copier::open_archive(const ImageReference& to) const {
  TransportOptions options = destination_options_;
  options.layers = layers_in(to.transport, arguments_);
  return open_shared_archive(to, options, transports_);
}

std::unique_ptr<ImageSource> Copier::open(const ImageReference& from,
                                          const TransportOptions& options, Progress& progress,
                                          const std::stop_token& stop) const {
  policy_.check(from);
  // The daemon says nothing until it has collected all of the image, which may take minutes.
  if (from.transport == Transport::docker_daemon)
    progress.line(fmt::format("The Docker daemon is saving the image {}", from.rest));
  return open_source(from, options, transports_, stop);
}

void Copier::all_succeeded() const noexcept {
  if (registries_.resume && !options_.dry_run) registries_.resume->finished();
}

}  // namespace tug::cli
