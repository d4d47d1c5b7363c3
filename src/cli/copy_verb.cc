// tug copy SOURCE DESTINATION
#include "cli/copy_verb.h"

#include "base/fd.h"
#include "base/strings.h"
#include "cli/context.h"
#include "cli/copy_progress.h"
#include "cli/output.h"
#include "cli/report.h"

#include <tug/copy.h>
#include <tug/error.h>

#include <fmt/format.h>

#include <array>
#include <cstdlib>

namespace tug::cli {
namespace {

constexpr std::array kUnsupportedFlags{
    "sign-by",       "sign-by-sigstore",     "sign-by-sigstore-private-key",
    "sign-identity", "sign-passphrase-file", "encryption-key",
    "encrypt-layer", "decryption-key"};

InstanceSelection instance_selection(const Arguments& arguments) {
  const auto multi_arch = arguments.value("multi-arch");
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
  const auto format = arguments.value("format");
  if (!format) return std::nullopt;
  if (*format == "oci") return ManifestFormat::oci;
  if (*format == "v2s2") return ManifestFormat::docker;
  if (*format == "v2s1") {
    throw Error(ErrorKind::usage, "--format: v2s1 is not supported")
        .set_hint("registries have stopped taking schema 1; oci and v2s2 are supported");
  }
  throw Error(ErrorKind::usage,
              fmt::format("--format: \"{}\" is no manifest format", printable(*format, 40)))
      .set_hint("oci or v2s2");
}

// skopeo's flags that ask for what tug does not do: better a refusal than an image that is not
// signed or not encrypted.
void refuse_unsupported(const Arguments& arguments) {
  for (const char* name : kUnsupportedFlags) {
    if (arguments.has(name)) {
      throw Error(ErrorKind::usage,
                  fmt::format("--{} is not supported: tug neither signs nor encrypts", name));
    }
  }
}

// --additional-tag NAME:TAG or TAG: the same repository, another tag.
std::string additional_tag(const std::string& text, const RegistryReference& destination) {
  if (is_tag(text)) return text;
  const auto colon = text.rfind(':');
  if (colon != std::string::npos && is_tag(text.substr(colon + 1))) {
    const std::string name = text.substr(0, colon);
    if (name == destination.repository() || name == destination.name())
      return text.substr(colon + 1);
    if (is_repository_name(name) || name.find('/') != std::string::npos) {
      throw Error(ErrorKind::usage,
                  fmt::format("--additional-tag: {} is not in the destination's repository {}",
                              printable(text), destination.name()));
    }
  }
  throw Error(ErrorKind::usage,
              fmt::format("--additional-tag: \"{}\" is not a tag", printable(text, 100)));
}

void add_tags(const Arguments& arguments, const ImageDestination& destination,
              CopyOptions& options) {
  const std::vector<std::string> texts = arguments.list("additional-tag");
  if (texts.empty()) return;
  const auto repository = destination.repository();
  if (!repository) throw Error(ErrorKind::usage, "--additional-tag: the destination has no tags");
  for (const std::string& text : texts)
    options.additional_tags.push_back(additional_tag(text, *repository));
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
  if (const auto level = arguments.integer("dest-compress-level", -1, 22))
    options.compression_level = static_cast<int>(*level);
  options.force_compression = arguments.flag("dest-force-compress-format");
  options.use_blob_info_cache = !arguments.flag("no-cache");
  options.dry_run = arguments.flag("dry-run");
  return options;
}

CopyReport copy(Context& context, const Arguments& arguments, const ImageReference& from,
                const ImageReference& to) {
  refuse_unsupported(arguments);
  if (arguments.has("tls-verify")) {
    log_line(Level::warning,
             "'--tls-verify' is deprecated, instead use: "
             "--src-tls-verify, --dest-tls-verify");
  }
  context.policy().check(from);
  // Before anything is pushed: a digest that could not be recorded afterwards would be lost.
  if (const auto path = arguments.value("digestfile"))
    with_context("--digestfile", [&] { check_output_file(*path); });
  CopyOptions options = copy_options(arguments, context);
  const auto source =
      open_source(from, transport_options(arguments, "src-"), context.transports(), context.stop());
  const auto destination = open_destination(to, transport_options(arguments, "dest-"),
                                            context.transports(), context.stop());
  add_tags(arguments, *destination, options);
  ProgressDisplay display(progress_mode(arguments, context.program() == "skopeo"), context.stop());
  CopyProgress progress(display, to.str(),
                        arguments.flag("quiet") || arguments.flag("json") || options.dry_run);
  CopyReport report =
      execute_copy(*source, *destination, options, context.copies(), progress, context.stop());
  if (const auto& resume = context.registries().resume; resume && !options.dry_run)
    resume->finished();
  if (const auto path = arguments.value("digestfile"); path && !options.dry_run)
    write_output_file(*path, report.manifest.digest.str());
  return report;
}

int run(Context& context, const Arguments& arguments) {
  const std::string& source = arguments.positional()[0];
  const std::string& destination = arguments.positional()[1];
  const bool json = arguments.flag("json");
  try {
    const ImageReference from =
        with_context("source", [&] { return ImageReference::parse(source); });
    const ImageReference to =
        with_context("destination", [&] { return ImageReference::parse(destination); });
    const CopyReport report = copy(context, arguments, from, to);
    if (json) {
      write_stdout(copy_report_json(source, destination, report, arguments.flag("dry-run")) + "\n");
    } else if (arguments.flag("dry-run")) {
      write_stdout(dry_run_text(source, destination, report));
    }
    return EXIT_SUCCESS;
  } catch (const Error& error) {
    if (json) write_stdout_line(copy_error_json(source, destination, error));
    throw;
  }
}

}  // namespace

Verb copy_verb() {
  using Kind = Option::Kind;
  std::vector<Option> registries = registry_options("src-");
  for (Option& option : registry_options("dest-")) registries.push_back(std::move(option));
  registries.push_back({"authfile", '\0', Kind::value, "FILE",
                        "Credentials file for both ends; default $REGISTRY_AUTH_FILE"});
  // skopeo's deprecated flag for both ends (verbs with one end have it as their own).
  registries.push_back({"tls-verify", '\0', Kind::optional_bool, "", "", true});
  registries.push_back({"screds", '\0', Kind::value, "USER[:PASS]", "", true});
  registries.push_back({"dcreds", '\0', Kind::value, "USER[:PASS]", "", true});
  // Flags of skopeo for transports that tug does not have yet, which skopeo ignores with others.
  for (const char* name : {"dest-compress", "dest-decompress",
                           "dest-oci-accept-uncompressed-layers", "dest-precompute-digests"}) {
    registries.push_back({name, '\0', Kind::flag, "", "", true});
  }
  for (const char* name : {"src-daemon-host", "dest-daemon-host"})
    registries.push_back({name, '\0', Kind::value, "HOST", "", true});
  for (const char* name : kUnsupportedFlags)
    registries.push_back({name, '\0', Kind::value, "TEXT", "", true});
  std::vector<Option> retrying = retry_options();
  retrying.push_back({"stall-timeout", '\0', Kind::value, "D",
                      "Give a connection up after D without a byte; default 60s"});
  retrying.push_back(
      {"chunk-size", '\0', Kind::value, "SIZE",
       "Send larger blobs in chunks of SIZE, for example 16M; default in one piece"});
  retrying.push_back({"resume-state", '\0', Kind::value, "FILE",
                      "Keep broken-off uploads in FILE; default below $XDG_STATE_HOME/tug"});
  retrying.push_back(
      {"no-resume", '\0', Kind::flag, "", "Neither keep nor continue broken-off uploads"});
  return {
      "copy",
      "SOURCE DESTINATION",
      "Copy an image, or every image of an index, from one place to another",
      "SOURCE and DESTINATION are TRANSPORT:REFERENCE, for example\n"
      "  oci:PATH[:REF]                      an OCI image layout\n"
      "  containers-storage:NAME[:TAG]       the local store of podman and buildah\n"
      "  docker://HOST[:PORT]/NAME[:TAG|@DIGEST]  a registry\n"
      "When the destination has the image already, nothing is sent. The exit code is 0 for "
      "success, 2 when the\n"
      "image was not found, 1 for any other failure, 130 or 143 when interrupted.\n"
      "Progress is shown on standard error: with --progress plain a line for each blob too, with\n"
      "json an object per line. --quiet and --json show none unless --progress is given.",
      {{"Which images",
        {{"all", 'a', Kind::flag, "",
          "Copy every image of an index, and the index; same as --multi-arch all"},
         {"multi-arch", '\0', Kind::value, "WHICH",
          "system (default), all, index-only, or platforms: linux/amd64,linux/arm64", false,
          "system all index-only"},
         {"strip-removed-platforms", '\0', Kind::flag, "",
          "With a list of platforms: drop the others from the index"},
         {"additional-tag", '\0', Kind::list, "TAG",
          "Tag the image in the destination's repository with TAG as well"}}},
       {"How",
        {{"dry-run", '\0', Kind::flag, "",
          "Only say what is there, and what would be mounted and sent"},
         {"no-skip-existing", '\0', Kind::flag, "",
          "Check every blob even when the destination's tag has our digest"},
         {"preserve-digests", '\0', Kind::flag, "", "Fail rather than change a manifest"},
         {"format", 'f', Kind::value, "TYPE",
          "oci or v2s2: fail when the image's manifest is of another type", false, "oci v2s2"},
         {"image-parallel-copies", '\0', Kind::value, "N", "Blobs sent at once; default 6"},
         {"no-cache", '\0', Kind::flag, "", "Neither read nor write the blob info cache"},
         {"remove-signatures", '\0', Kind::flag, "", "Do not copy signatures (tug copies none)"}}},
       {"Retrying", std::move(retrying)},
       {"Layers that have to be compressed",
        {{"dest-compress-format", '\0', Kind::value, "FORMAT", "gzip (default) or zstd", false,
          "gzip zstd"},
         {"dest-compress-level", '\0', Kind::value, "N", "gzip 1-9, zstd 1-22"},
         {"dest-force-compress-format", '\0', Kind::flag, "",
          "Never re-use blobs of another format"}}},
       {"Output",
        {{"digestfile", '\0', Kind::value, "FILE",
          "Write the digest of the pushed manifest to FILE, without a newline"},
         {"json", '\0', Kind::flag, "",
          "Print one JSON object: what was sent, the digest, or the error"},
         {"quiet", 'q', Kind::flag, "", "Print nothing on standard output"},
         {"progress", '\0', Kind::value, "HOW",
          "auto (bars on a terminal, else a line each 10 s; default), plain, json, none", false,
          "auto plain json none"}}},
       {"Registry access", std::move(registries)}},
      2,
      run};
}

}  // namespace tug::cli
