#include "cli/layers_verb.h"

#include "base/fd.h"
#include "base/strings.h"
#include "cli/context.h"
#include "cli/image_view.h"
#include "cli/output.h"
#include "transport/dir.h"
#include "transport/image_directory.h"
#include "transport/open.h"

#include <tug/error.h>
#include <tug/reference.h>

#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <vector>

namespace tug::cli {
namespace {

// With or without "sha256:".
std::vector<Digest> digests_named(const std::vector<std::string>& arguments) {
  std::vector<Digest> digests;
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    const std::string& text = arguments[i];
    digests.push_back(Digest::parse(text.starts_with("sha256:") ? text : "sha256:" + text));
  }
  return digests;
}

// A layer of containers-storage is written as it is there, plain.
Blob as_it_is(const Blob& blob) {
  if (blob.form == Blob::Form::exact) return blob;
  Blob plain = blob;
  plain.form = Blob::Form::exact;
  plain.descriptor.digest = *blob.diff_id;
  plain.descriptor.size = blob.open_size;
  return plain;
}

std::vector<Blob> blobs_of(ImageSource& source, const Manifest& manifest,
                           const std::vector<Digest>& wanted) {
  std::vector<Blob> all = source.layers(manifest);
  all.push_back(source.blob(manifest.config()));
  std::set<Digest> seen;
  std::vector<Blob> blobs;
  for (const Blob& blob : all) {
    const bool is_wanted = wanted.empty() || std::find(wanted.begin(), wanted.end(),
                                                       blob.descriptor.digest) != wanted.end();
    if (is_wanted && seen.insert(blob.descriptor.digest).second) blobs.push_back(as_it_is(blob));
  }
  for (const Digest& digest : wanted) {
    if (seen.count(digest) == 0) {
      // Exit code 2, of what is not found, is said of images alone.
      throw Error(ErrorKind::denied,
                  fmt::format("{} has no blob {}", source.describe(), digest.str()));
    }
  }
  return blobs;
}

std::string new_directory() {
  std::string path = "layers-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr)
    throw Error(ErrorKind::local, "cannot make " + path + ": " + errno_text(errno));
  return path;
}

int run(Context& context, const Arguments& arguments) {
  write_stderr_line("DEPRECATED: skopeo layers is deprecated in favor of skopeo copy");
  if (arguments.positional().empty())
    throw Error(ErrorKind::usage, "Usage: layers imageReference [layer...]");
  const ImageReference reference = ImageReference::parse(arguments.positional()[0]);
  const std::vector<Digest> wanted = digests_named(arguments.positional());
  context.policy().check(reference);
  const auto source = open_source(reference, transport_options(arguments, ""), context.transports(),
                                  context.stop());
  const ImageView image = view_image(*source, context.platform(), context.stop());
  const std::vector<Blob> blobs = blobs_of(*source, image.manifest, wanted);
  // A dir: with fewer blobs than its manifest names is no image, which a destination would refuse.
  const ImageDirectory directory(new_directory());
  directory.write("", std::string(dir_files::kVersion), dir_files::kVersionText);
  const auto ignore = [](std::uint64_t) {};
  for (const Blob& blob : blobs) {
    directory.write_blob("", dir_files::blob(blob.descriptor.digest), blob, ignore, context.stop());
  }
  directory.write("", std::string(dir_files::kManifest), image.top.bytes);
  return EXIT_SUCCESS;
}

}  // namespace

Verb layers_verb() {
  std::vector<Option> registry = registry_options("");
  registry.push_back(daemon_option("daemon-host"));
  Verb verb{"layers",
            "IMAGE [DIGEST...]",
            "Write an image's blobs to a new directory",
            "Deprecated: tug copy IMAGE dir:PATH does the same. The directory is layers-XXXXXX, "
            "and has the blobs named, or all of them.",
            {{"Registry access", std::move(registry)}, {"Retrying", retry_options()}},
            kJudgedByVerb,
            run};
  verb.hidden = true;
  return verb;
}

}  // namespace tug::cli
