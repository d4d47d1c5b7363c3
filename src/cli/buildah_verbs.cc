#include "cli/buildah_verbs.h"

#include "cli/context.h"
#include "cli/go_value.h"
#include "cli/image_view.h"
#include "cli/output.h"
#include "cli/pulled_images.h"

#include <tug/error.h>

#include <fmt/format.h>

#include <cstdlib>

namespace tug::cli {
namespace {

// "docker://host/name:tag" or, as buildah takes it too, without the transport; with its default
// tag.
ImageReference registry_reference(const std::string& text) {
  const bool has_transport = text.find("://") != std::string::npos;
  const ImageReference reference = ImageReference::parse(has_transport ? text : "docker://" + text);
  if (reference.transport != Transport::docker) {
    throw Error(
        ErrorKind::usage,
        fmt::format("{} is not in a registry: tug stands in for buildah there alone", text));
  }
  return {Transport::docker, RegistryReference::parse(reference.rest).str()};
}

PulledImage fetch(Context& context, const Arguments& arguments, const ImageReference& reference) {
  const auto source = open_source(reference, transport_options(arguments, ""), context.transports(),
                                  context.stop());
  const ImageView image = view_image(*source, context.platform(), context.stop());
  return {image.manifest.bytes(), image.manifest.media_type(),
          read_config(*source, image.manifest)};
}

int pull(Context& context, const Arguments& arguments) {
  // Of the same name as the global flag, and something else.
  if (arguments.has("policy"))
    throw Error(ErrorKind::usage, "--policy: under this name every pull asks the registry");
  const std::string& name = arguments.positional()[0];
  const ImageReference reference = registry_reference(name);
  context.policy().check(reference);
  if (!arguments.flag("quiet")) write_stderr_line("Trying to pull " + name + "...");
  const PulledImage image = with_context("initializing source " + reference.str(),
                                         [&] { return fetch(context, arguments, reference); });
  remember_pulled(reference.str(), image);
  const Manifest manifest = Manifest::parse(image.manifest, image.manifest_type);
  write_stdout(fmt::format("{}\n", manifest.config().digest.hex()));
  return EXIT_SUCCESS;
}

// The members that say something of an image; those of a working container are empty anyway.
Json inspect_json(const std::string& name, const PulledImage& image) {
  const Manifest manifest = Manifest::parse(image.manifest, image.manifest_type);
  const Json config = Json::parse(image.config);
  Json annotations = Json::object();
  const Json document = Json::parse(image.manifest);
  if (const Json* found = document.find("annotations"); found != nullptr && found->is_object())
    annotations = sorted(*found);
  const Json view = oci_config(config);
  const Json* history = view.find("history");
  return Json::object({{"Type", "buildah 0.0.1"},
                       {"FromImage", name},
                       {"FromImageID", manifest.config().digest.hex()},
                       {"FromImageDigest", manifest.digest().str()},
                       {"Config", image.config},
                       {"Manifest", image.manifest},
                       {"Container", ""},
                       {"ContainerID", ""},
                       {"MountPoint", ""},
                       {"ImageAnnotations", std::move(annotations)},
                       {"ImageCreatedBy", ""},
                       {"OCIv1", view},
                       {"History", history == nullptr ? Json() : *history}});
}

int inspect(Context& context, const Arguments& arguments) {
  const std::string& name = arguments.positional()[0];
  if (arguments.value("type").value_or("image") != "image")
    throw Error(ErrorKind::usage, "--type: under this name tug knows images alone");
  refuse_format(arguments);
  const ImageReference reference = registry_reference(name);
  auto image = recall_pulled(reference.str());
  if (!image) {
    image = with_context("importing settings: " + name,
                         [&] { return fetch(context, arguments, reference); });
  }
  write_stdout(inspect_json(name, *image).dump(kGoIndented) + "\n");
  return EXIT_SUCCESS;
}

}  // namespace

Verb buildah_pull_verb() {
  using Kind = Option::Kind;
  std::vector<Option> registry = registry_options("");
  return {"pull",
          "IMAGE",
          "Check that a registry has an image",
          "IMAGE is [docker://]HOST[:PORT]/NAME[:TAG|@DIGEST]. Prints the image's ID. No layer is "
          "fetched; inspect shows it afterwards.",
          {{"Output",
            {{"quiet", 'q', Kind::flag, "", "Print only the image's ID"},
             {"policy", '\0', Kind::value, "POLICY", "", true}}},
           {"Registry access", std::move(registry)}},
          1,
          pull};
}

Verb buildah_inspect_verb() {
  using Kind = Option::Kind;
  return {
      "inspect",
      "IMAGE",
      "Show what is known of an image",
      "IMAGE is [docker://]HOST[:PORT]/NAME[:TAG|@DIGEST]. Prints JSON: what pull has seen, else "
      "what the registry says.",
      {{"What to show",
        {{"type", 't', Kind::value, "TYPE", "image", false, "image"},
         {"format", 'f', Kind::value, "TEMPLATE", "", true}}},
       {"Registry access", registry_options("")}},
      1,
      inspect};
}

}  // namespace tug::cli
