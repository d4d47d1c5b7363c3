// tug copy SOURCE DESTINATION
#include "cli/copy_verb.h"

#include "base/fd.h"
#include "cli/bulk_copy.h"
#include "cli/context.h"
#include "cli/copier.h"
#include "cli/copy_progress.h"
#include "cli/output.h"
#include "cli/report.h"
#include "transport/open.h"

#include <tug/copy.h>
#include <tug/error.h>

#include <cstdlib>

namespace tug::cli {
namespace {

// An archive that goes where the story would be told.
bool takes_stdout(const ImageReference& destination) {
  const auto archive = archive_place(destination);
  return archive && is_standard_output(archive->path);
}

CopyReport copy(Context& context, const Arguments& arguments, const ImageReference& from,
                const ImageReference& to) {
  const Copier copier(context, arguments, Copier::Run::one_image);
  const bool dry_run = copier.options().dry_run;
  // Before anything is pushed: a digest that could not be recorded afterwards would be lost.
  const auto digest_file = arguments.value("digestfile");
  if (digest_file) with_context("--digestfile", [&] { check_output_file(*digest_file); });
  ProgressDisplay display(progress_mode(arguments, context.program() == "skopeo"), context.stop());
  CopyProgress progress(
      display, to.str(),
      arguments.flag("quiet") || arguments.flag("json") || dry_run || takes_stdout(to));
  CopyReport report = copier.copy(from, to, progress, context.stop());
  copier.all_succeeded();
  if (digest_file && !dry_run) write_output_file(*digest_file, report.manifest.digest.str());
  return report;
}

int run(Context& context, const Arguments& arguments) {
  if (asks_for_many(arguments)) return run_bulk_copy(context, arguments);
  require_arguments(arguments, 2, "copy", "SOURCE DESTINATION", context.program());
  const std::string& source = arguments.positional()[0];
  const std::string& destination = arguments.positional()[1];
  const bool json = arguments.flag("json");
  try {
    const ImageReference from =
        with_context("source", [&] { return ImageReference::parse(source); });
    const ImageReference to =
        with_context("destination", [&] { return ImageReference::parse(destination); });
    if (json && takes_stdout(to))
      throw Error(ErrorKind::usage, "--json prints to standard output, where the archive goes");
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
  // Flags of skopeo that mean nothing here, or transports that tug does not have yet.
  registries.push_back({"dest-precompute-digests", '\0', Kind::flag, "", "", true});
  for (const char* name : {"src-daemon-host", "dest-daemon-host"})
    registries.push_back(daemon_option(name));
  for (Option& option : unsupported_copy_options()) registries.push_back(std::move(option));
  return {
      "copy",
      "SOURCE DESTINATION",
      "Copy an image, or every image of an index, from one place to another",
      "SOURCE and DESTINATION are TRANSPORT:REFERENCE, for example\n"
      "  oci:PATH[:REF]                      an OCI image layout\n"
      "  dir:PATH                            an image in plain files\n"
      "  oci-archive:PATH[:REF]              an OCI image layout in a tar, plain or compressed\n"
      "  docker-archive:PATH[:NAME[:TAG]]    what docker save writes, plain or compressed\n"
      "  containers-storage:NAME[:TAG]       the local store of podman and buildah; written as "
      "root or in\n"
      "                                      podman unshare\n"
      "  docker-daemon:NAME:TAG              the images of a Docker daemon\n"
      "  docker://HOST[:PORT]/NAME[:TAG|@DIGEST]  a registry\n"
      "Many images: --from-file FILE without arguments, or --all-images SOURCE PREFIX, where "
      "PREFIX\n"
      "is docker://HOST[:PORT][/PATH]. An image that SOURCE names \"v1\" goes to PREFIX:v1,\n"
      "\"team/app:1\" and \"quay.io/team/app:1\" go to PREFIX/team/app:1; --dry-run shows it. In\n"
      "docker-archive:PATH, oci-archive:PATH and oci:PATH, which may stand for PREFIX, names "
      "stay;\n"
      "in docker-archive:PATH:NAME they are below NAME.\n"
      "Images of a list for one docker-archive:PATH or oci-archive:PATH make one new archive, in "
      "the\n"
      "order of the list. It appears when all of them are in; with --keep-going, without those "
      "that\n"
      "failed.\n"
      "When the destination has the image already, nothing is sent. The exit code is 0 for "
      "success, 2 when the\n"
      "image was not found, 1 for any other failure, 130 or 143 when interrupted.\n"
      "Progress is shown on standard error: with --progress plain a line for each blob too, with\n"
      "json an object per line. --quiet and --json show none unless --progress is given.",
      {{"Many images in one run", bulk_copy_options()},
       {"Which images",
        {{"all", 'a', Kind::flag, "",
          "Copy every image of an index, and the index; same as --multi-arch all"},
         {"multi-arch", '\0', Kind::value, "WHICH",
          "system (default), all, index-only, or platforms: linux/amd64,linux/arm64", false,
          "system all index-only"},
         {"strip-removed-platforms", '\0', Kind::flag, "",
          "With a list of platforms: drop the others from the index"},
         {"referrers", '\0', Kind::flag, "",
          "Copy the manifests that refer to the image too: signatures, SBOMs, attestations"},
         {"digest-tags", '\0', Kind::flag, "",
          "Copy what cosign's tags sha256-HEX.sig, .att and .sbom name too"},
         {"additional-tag", '\0', Kind::list, "TAG",
          "Tag the image in the destination's repository with TAG as well; docker-archive: "
          "NAME:TAG"}}},
       {"How",
        {{"dry-run", '\0', Kind::flag, "",
          "Only say what is there, and what would be mounted and sent"},
         {"no-skip-existing", '\0', Kind::flag, "",
          "Check every blob even when the destination's tag has our digest"},
         {"preserve-digests", '\0', Kind::flag, "", "Fail rather than change a manifest"},
         {"format", 'f', Kind::value, "TYPE",
          "Convert manifests to oci or v2s2 (Docker's); default as they are, in oci: always oci",
          false, "oci v2s2"},
         {"image-parallel-copies", '\0', Kind::value, "N",
          "Blobs sent at once; default 6, and small ones beside them"},
         {"no-cache", '\0', Kind::flag, "", "Neither read nor write the blob info cache"},
         {"remove-signatures", '\0', Kind::flag, "", "Do not copy signatures (tug copies none)"}}},
       {"Retrying", upload_options()},
       {"Limits", limit_options()},
       {"Layers and their compression",
        {{"dest-compress-format", '\0', Kind::value, "FORMAT",
          "gzip or zstd, for all layers; default gzip for those that have to be compressed", false,
          "gzip zstd"},
         {"dest-compress-level", '\0', Kind::value, "N", "gzip 1-9, zstd 1-22"},
         {"dest-force-compress-format", '\0', Kind::flag, "",
          "Never re-use blobs of another format"},
         {"dest-oci-accept-uncompressed-layers", '\0', Kind::flag, "",
          "Keep plain layers in oci: and oci-archive: as they are"},
         {"dest-compress", '\0', Kind::flag, "",
          "Compress the layers in dir: (in oci: they always are)"},
         {"dest-decompress", '\0', Kind::flag, "",
          "Decompress the layers in dir:, oci: and oci-archive:"}}},
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
      kJudgedByVerb,
      run};
}

}  // namespace tug::cli
