// tug sync --src TYPE --dest TYPE SOURCE DESTINATION
#include "cli/sync_verb.h"

#include "base/fd.h"
#include "base/strings.h"
#include "cli/bulk_run.h"
#include "cli/context.h"
#include "cli/copier.h"
#include "cli/copy_progress.h"
#include "cli/go_value.h"
#include "cli/output.h"
#include "cli/sync_images.h"
#include "cli/sync_prune.h"
#include "cli/sync_story.h"
#include "oci/json.h"
#include "registry/repository.h"
#include "transport/oci_layout.h"

#include <tug/copy.h>
#include <tug/descriptor.h>
#include <tug/error.h>

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace tug::cli {
namespace {

constexpr unsigned kDirectoryMode = 0755;

// --- what the command line asks for

SyncRequest::From source_type(const Arguments& arguments) {
  const auto name = arguments.value("src");
  if (!name)
    throw Error(ErrorKind::usage, "A source transport must be specified")
        .set_hint("--src docker, dir, oci or yaml");
  if (*name == "docker") return SyncRequest::From::docker;
  if (*name == "dir") return SyncRequest::From::dir;
  if (*name == "oci") return SyncRequest::From::oci;
  if (*name == "yaml") return SyncRequest::From::yaml;
  throw Error(ErrorKind::usage,
              go_quoted(printable(*name, 60)) + " is not a valid source transport")
      .set_hint("docker, dir, oci and yaml are");
}

Transport destination_type(const Arguments& arguments) {
  const auto name = arguments.value("dest");
  if (!name)
    throw Error(ErrorKind::usage, "A destination transport must be specified")
        .set_hint("--dest docker, dir or oci");
  if (*name == "docker") return Transport::docker;
  if (*name == "dir") return Transport::dir;
  if (*name == "oci") return Transport::oci;
  throw Error(ErrorKind::usage,
              go_quoted(printable(*name, 60)) + " is not a valid destination transport")
      .set_hint("docker, dir and oci are");
}

std::vector<TagPattern> patterns(const Arguments& arguments, const std::string& flag) {
  std::vector<TagPattern> result;
  for (const std::string& text : arguments.list(flag))
    result.push_back(with_context("--" + flag, [&] { return TagPattern::parse(text); }));
  return result;
}

// "docker://" and its like belong to copy.
void refuse_transport_prefix(const std::string& argument, const std::string& type) {
  const std::string prefix = type == "docker" ? "docker://" : type + ":";
  if (type == "yaml" || !argument.starts_with(prefix)) return;
  throw Error(ErrorKind::usage, fmt::format("\"{}\": sync takes no transport in front of a name",
                                            printable(argument, 200)))
      .set_hint(fmt::format("{}, which --src or --dest says is {}",
                            printable(argument.substr(prefix.size()), 200), type));
}

SyncRequest sync_request(const Context& context, const Arguments& arguments) {
  SyncRequest request;
  request.from = source_type(arguments);
  request.destination.transport = destination_type(arguments);
  if (request.from == SyncRequest::From::dir && request.destination.transport == Transport::dir) {
    throw Error(ErrorKind::usage,
                "sync from 'dir' to 'dir' not implemented, consider using rsync instead");
  }
  request.source = arguments.positional()[0];
  request.destination.place = arguments.positional()[1];
  refuse_transport_prefix(request.source, *arguments.value("src"));
  refuse_transport_prefix(request.destination.place, *arguments.value("dest"));
  const bool has_colon = request.destination.place.find(':') != std::string::npos;
  if (request.destination.place.empty() ||
      (request.destination.transport == Transport::oci && has_colon)) {
    throw Error(ErrorKind::usage, fmt::format("\"{}\" is no path of an OCI layout or directory",
                                              printable(request.destination.place, 200)));
  }
  request.destination.scoped = arguments.flag("scoped");
  request.destination.append_suffix = arguments.value("append-suffix").value_or("");
  if (const auto prefix = arguments.value("strip-prefix")) {
    if (!request.destination.scoped) throw Error(ErrorKind::usage, "--strip-prefix needs --scoped");
    request.destination.strip_prefix = *prefix;
    while (request.destination.strip_prefix.ends_with('/'))
      request.destination.strip_prefix.pop_back();
  }
  request.access = transport_options(arguments, "src-");
  request.include = patterns(arguments, "include");
  request.exclude = patterns(arguments, "exclude");
  if (const auto text = arguments.text("shard")) request.shard = Shard::parse(*text);
  request.keep_going = arguments.flag("keep-going");
  request.as_skopeo = context.program() == "skopeo";
  return request;
}

void check_prune(const Arguments& arguments, const SyncRequest& request) {
  if (!arguments.flag("prune")) return;
  if (request.destination.transport != Transport::docker)
    throw Error(ErrorKind::usage, "--prune needs --dest docker: only registries can be pruned");
  const bool lists_tags =
      request.from == SyncRequest::From::docker || request.from == SyncRequest::From::yaml;
  if (!lists_tags)
    throw Error(ErrorKind::usage,
                "--prune needs --src docker or yaml: only registries list what they still have");
}

// --- what the destination has

// Whether the place has something with this name, as far as that can be told without the source.
class Present {
 public:
  Present(Context& context, const Arguments& arguments)
      : context_(context), access_(registry_access(arguments, "dest-")) {}

  bool has(const ImageReference& destination) {
    switch (destination.transport) {
      case Transport::docker:
        return has_tag(RegistryReference::parse(destination.rest));
      case Transport::dir: {
        struct stat status {};
        return stat((destination.rest + "/manifest.json").c_str(), &status) == 0;
      }
      case Transport::oci:
        return has_name(OciReference::parse(destination.rest));
      default:
        return false;
    }
  }

 private:
  bool has_tag(const RegistryReference& image) {
    if (!image.tag()) return false;
    const auto [known, is_new] = tags_.try_emplace(image.name());
    if (is_new) {
      const RegistryReference repository = image.without_identifier();
      registry::Host& host = context_.transports().hosts.get(repository, access_);
      try {
        registry::Repository(host, repository, false)
            .list_tags(
                [&tags = known->second](const std::vector<std::string>& page) {
                  tags.insert(page.begin(), page.end());
                },
                context_.stop());
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::not_found) throw;
      }
    }
    return known->second.count(*image.tag()) > 0;
  }

  bool has_name(const OciReference& image) {
    const auto [known, is_new] = tags_.try_emplace(image.path);
    struct stat status {};
    if (is_new && stat((image.path + "/index.json").c_str(), &status) == 0) {
      const ListedImages listed =
          list_images("oci:" + image.path, context_.transports(), context_.stop());
      for (const auto& each : listed.images) known->second.insert(each.name);
    }
    return known->second.count(image.name) > 0;
  }

  Context& context_;
  const RegistryAccess access_;
  std::map<std::string, std::set<std::string>> tags_;  // by repository, or path
};

std::size_t leave_out_present(Context& context, const Arguments& arguments, SyncImages& images) {
  const bool all = arguments.flag("skip-existing");
  const std::vector<TagPattern> immutable = patterns(arguments, "immutable-tags");
  if (!all && immutable.empty()) return 0;
  Present present(context, arguments);
  const auto may_be_left_out = [&](const ImageReference& destination) {
    if (all) return true;
    const std::string base = base_of_path(destination.rest);
    const std::string tag = base.substr(base.rfind(':') + 1);
    return std::any_of(immutable.begin(), immutable.end(),
                       [&](const TagPattern& pattern) { return pattern.matches(tag); });
  };
  return with_context("destination", [&] {
    return images.keep_only([&](const ImagePair& pair) {
      return !may_be_left_out(pair.destination) || !present.has(pair.destination);
    });
  });
}

void refuse_existing_directories(const SyncImages& images) {
  for (const ImagePair& pair : images.pairs) {
    if (pair.destination.transport != Transport::dir) continue;
    const std::string& path = pair.destination.rest;
    struct stat status {};
    if (stat(path.c_str(), &status) == 0) {
      throw Error(ErrorKind::local,
                  "Refusing to overwrite destination directory " + go_quoted(printable(path)))
          .set_hint("--skip-existing leaves out what is there");
    }
    if (errno != ENOENT) {
      throw Error(ErrorKind::local, fmt::format("Destination directory could not be used: {}: {}",
                                                printable(path), errno_text(errno)));
    }
  }
}

// skopeo copies one over the other, in the order of its list.
bool has_duplicates(const SyncImages& images) {
  std::set<std::string> places;
  for (const ImagePair& pair : images.pairs)
    if (!places.insert(pair.destination.str()).second) return true;
  return false;
}

// --- the run

class Run {
 public:
  Run(Context& context, const Arguments& arguments)
      : context_(context),
        arguments_(arguments),
        request_(sync_request(context, arguments)),
        json_(arguments.flag("json")),
        quiet_(arguments.flag("quiet")),
        as_skopeo_(request_.as_skopeo && !json_ && !quiet_),
        jobs_(bulk_jobs(arguments)),
        destination_access_(registry_access(arguments, "dest-")),
        copier_(context, arguments, Copier::Run::many_images) {}

  void run() {
    check_prune(arguments_, request_);
    images_ = find_sync_images(context_, request_);
    present_ = leave_out_present(context_, arguments_, images_);
    refuse_existing_directories(images_);
    if (as_skopeo_ && has_duplicates(images_)) jobs_ = 1;
    if (as_skopeo_ && is_dry()) log_line(Level::warning, "Running in dry-run mode");
    if (const auto path = arguments_.value("digestfile"); path && !is_dry())
      digests_.emplace(*path);
    if (as_skopeo_) {
      copy_as_skopeo();
    } else {
      copy_as_tug();
    }
    if (images_.is_incomplete) {
      throw Error(ErrorKind::local, "not all repositories of the source could be listed")
          .set_hint("what went wrong is said above");
    }
    prune_all();
    copier_.all_succeeded();
  }

 private:
  [[nodiscard]] bool is_dry() const { return copier_.options().dry_run; }

  CopyReport copy(std::size_t image, Progress& progress, const std::stop_token& stop) {
    const ImagePair& pair = images_.pairs[image];
    try {
      if (pair.destination.transport == Transport::dir) {
        const std::string& path = pair.destination.rest;
        const std::size_t slash = path.rfind('/');
        if (slash != std::string::npos && slash > 0)
          make_directories(path.substr(0, slash), kDirectoryMode);
      }
      const TransportOptions& access = images_.sources[images_.source_of[image]].access;
      auto report = unchanged(pair, access, progress, stop);
      if (!report) report = copier_.copy(pair.source, access, pair.destination, progress, stop);
      if (digests_) digests_->add(image, report->manifest.digest, pair.destination);
      return std::move(*report);
    } catch (const Error&) {
      if (digests_) digests_->end(image);
      throw;
    }
  }

  // An image that both ends have under one digest costs two requests without a body, so that
  // whoever syncs again and again is not counted as pulling. Of an index bodies tell which images
  // are wanted. nullopt: it has to be copied.
  std::optional<CopyReport> unchanged(const ImagePair& pair, const TransportOptions& access,
                                      Progress& progress, const std::stop_token& stop) {
    const CopyOptions& options = copier_.options();
    const bool are_registries = pair.source.transport == Transport::docker &&
                                pair.destination.transport == Transport::docker;
    if (!are_registries || !options.skip_existing || options.format) return std::nullopt;
    copier_.check_policy(pair.source);
    const auto head = [&](const ImageReference& image, const RegistryAccess& by) {
      const RegistryReference reference = RegistryReference::parse(image.rest);
      registry::Host& host = context_.transports().hosts.get(reference, by);
      return registry::Repository(host, reference.without_identifier(), false)
          .head_manifest(reference.identifier(), stop);
    };
    const auto there = head(pair.destination, destination_access_);
    if (!there || media_type::is_index(there->media_type)) return std::nullopt;
    const auto here = head(pair.source, access.access);
    if (!here || here->digest != there->digest || here->media_type != there->media_type)
      return std::nullopt;
    progress.line("Getting image source signatures");
    progress.line("Skipping: image already present at destination");
    CopyReport report{.manifest = *here, .skipped = true};
    if (const auto tag = RegistryReference::parse(pair.destination.rest).tag())
      report.tags.push_back(*tag);
    return report;
  }

  void copy_all(BulkStory& story) {
    std::vector<ImageGroup> images = single_images(images_.pairs.size());
    copy_images(images, jobs_, request_.keep_going, context_.stop(), story,
                [this](std::size_t image, Progress& progress, const std::stop_token& stop) {
                  return copy(image, progress, stop);
                });
  }

  void copy_as_skopeo() {
    ProgressDisplay display(progress_mode(arguments_, /*as_skopeo=*/true), context_.stop());
    SkopeoStory story(images_, request_.keep_going, display);
    if (is_dry()) {
      for (std::size_t i = 0; i < images_.pairs.size(); ++i) story.would_copy(i);
      SkopeoStory::conclude_dry_run(images_);
      return;
    }
    copy_all(story);
    story.conclude();
  }

  void copy_as_tug() {
    const auto start = std::chrono::steady_clock::now();
    ProgressDisplay display(progress_mode(arguments_, context_.program() == "skopeo"),
                            context_.stop());
    BulkTally tally(images_.pairs,
                    {.quiet = quiet_, .json = json_, .dry_run = is_dry(), .names_blobs = false},
                    display);
    if (is_dry() && request_.destination.transport != Transport::docker) {
      say_pairs();
    } else {
      copy_all(tally);
    }
    std::vector<std::string> left_out;
    const auto add = [&](std::size_t count, std::string_view why) {
      if (count > 0) left_out.push_back(fmt::format("{} {}", count, why));
    };
    add(present_, "there already");
    add(images_.excluded, "excluded");
    add(images_.elsewhere, "in other shards");
    add(images_.unnamed, "without a name left out");
    tally.conclude(std::chrono::steady_clock::now() - start, left_out);
  }

  // A dry run into directories that do not exist yet.
  void say_pairs() const {
    for (const ImagePair& pair : images_.pairs) {
      if (json_) {
        write_stdout(Json::object({{"source", pair.source.str()},
                                   {"destination", pair.destination.str()},
                                   {"dryRun", true}})
                         .dump() +
                     "\n");
      } else {
        write_stdout(
            fmt::format("Would copy {} to {}\n", pair.source.str(), pair.destination.str()));
      }
    }
  }

  void prune_all() {
    if (!arguments_.flag("prune")) return;
    if (images_.passed_over) {
      throw Error(ErrorKind::local,
                  "--prune: nothing is pruned, since parts of the source were passed over")
          .set_hint("what went wrong is said above");
    }
    bool has_list = false;
    for (const auto& [name, mirrored] : images_.mirrored) {
      if (mirrored.scopes.empty()) continue;
      has_list = true;
      with_context(
          [&name = name] { return "pruning docker://" + name; },
          [&, &one = mirrored] {
            prune(one,
                  {context_.transports().hosts, destination_access_,
                   request_.destination.append_suffix, jobs_, is_dry(),
                   [this](const auto& image, const auto& digest) { say_deleted(image, digest); }},
                  context_.stop());
          });
    }
    if (!has_list) {
      log_line(Level::warning,
               "--prune: nothing is pruned, since no repository was listed: SOURCE "
               "names images");
    }
  }

  void say_deleted(const RegistryReference& image, const Digest& digest) const {
    if (json_) {
      Json object =
          Json::object({{"deleted", "docker://" + image.str()}, {"digest", digest.str()}});
      if (is_dry()) object.set("dryRun", true);
      write_stdout(object.dump() + "\n");
    } else if (!quiet_ || is_dry()) {
      write_stdout(fmt::format("{} docker://{}@{}\n", is_dry() ? "Would delete" : "Deleted",
                               image.str(), digest.str()));
    }
  }

  Context& context_;
  const Arguments& arguments_;
  const SyncRequest request_;
  const bool json_;
  const bool quiet_;
  const bool as_skopeo_;
  std::size_t jobs_;
  const RegistryAccess destination_access_;
  const Copier copier_;
  SyncImages images_;
  std::size_t present_ = 0;
  std::optional<DigestFile> digests_;
};

int run(Context& context, const Arguments& arguments) {
  require_arguments(arguments, 2, "sync", "SOURCE DESTINATION", context.program());
  try {
    Run(context, arguments).run();
  } catch (Error& error) {
    // Exit code 2 is for one image that was not found; here some are, and some are not.
    if (error.kind() == ErrorKind::not_found) error.set_kind(ErrorKind::denied);
    throw;
  }
  return EXIT_SUCCESS;
}

}  // namespace

Verb sync_verb() {
  using Kind = Option::Kind;
  std::vector<Option> registries;
  for (const char* prefix : {"src-", "dest-"}) {
    for (Option& option : registry_options(prefix)) {
      if (option.name != "dest-shared-blob-dir") registries.push_back(std::move(option));
    }
  }
  registries.push_back({"authfile", '\0', Kind::value, "FILE",
                        "Credentials file for both ends; default $REGISTRY_AUTH_FILE"});
  registries.push_back({"tls-verify", '\0', Kind::optional_bool, "", "", true});
  registries.push_back({"screds", '\0', Kind::value, "USER[:PASS]", "", true});
  registries.push_back({"dcreds", '\0', Kind::value, "USER[:PASS]", "", true});
  for (Option& option : unsupported_copy_options()) registries.push_back(std::move(option));
  std::vector<Option> which{
      {"src", 's', Kind::value, "TYPE", "What SOURCE is: docker, dir, oci or yaml", false,
       "docker dir oci yaml"},
      {"dest", 'd', Kind::value, "TYPE", "What DESTINATION is: docker, dir or oci", false,
       "docker dir oci"},
      {"scoped", '\0', Kind::flag, "",
       "Keep the whole name of a source's image below DESTINATION, not its last component alone"},
      {"strip-prefix", '\0', Kind::value, "NAME",
       "With --scoped: take NAME/, for example a registry, from the front of names"},
      {"append-suffix", '\0', Kind::value, "TEXT", "Put TEXT behind each tag of the destination"},
      {"include", '\0', Kind::value, "REGEX",
       "Only tags that match (Go's syntax, anywhere in the tag); may be repeated: one must"},
      {"exclude", '\0', Kind::value, "REGEX", "No tags that match; may be repeated"},
      {"all", 'a', Kind::flag, "",
       "Copy every image of an index, and the index; same as --multi-arch all"},
      {"multi-arch", '\0', Kind::value, "WHICH",
       "system (default), all, index-only, or platforms: linux/amd64,linux/arm64", false,
       "system all index-only"},
      {"strip-removed-platforms", '\0', Kind::flag, "",
       "With a list of platforms: drop the others from the index"}};
  std::vector<Option> how{
      {"dry-run", '\0', Kind::flag, "", "Only say what would be copied, and pruned"},
      {"skip-existing", '\0', Kind::flag, "",
       "Leave images out whose tag the destination has, whatever it names there"},
      {"immutable-tags", '\0', Kind::value, "REGEX",
       "The same for tags that match; may be repeated"},
      {"prune", '\0', Kind::flag, "",
       "At the end delete tags from the destination's registry that the source has no more"}};
  for (Option& option : bulk_run_options()) how.push_back(std::move(option));
  for (Option& option : std::vector<Option>{
           {"preserve-digests", '\0', Kind::flag, "", "Fail rather than change a manifest"},
           {"format", 'f', Kind::value, "TYPE",
            "oci or v2s2: fail when an image's manifest is of another type", false, "oci v2s2"},
           {"image-parallel-copies", '\0', Kind::value, "N",
            "Blobs sent at once; default 6, and small ones beside them"},
           {"no-cache", '\0', Kind::flag, "", "Neither read nor write the blob info cache"},
           {"remove-signatures", '\0', Kind::flag, "", "Do not copy signatures (tug copies none)"}})
    how.push_back(std::move(option));
  return {
      "sync",
      "SOURCE DESTINATION",
      "Copy many images from one place to another",
      "Names have no transport in front: --src and --dest say what they are.\n"
      "  --src docker  SOURCE is HOST[:PORT]/NAME, all its tags, or NAME:TAG or NAME@DIGEST\n"
      "  --src dir     every directory below SOURCE that has a manifest.json\n"
      "  --src oci     every named image of the OCI image layout SOURCE\n"
      "  --src yaml    what the file SOURCE (-: standard input) lists: for each registry images,\n"
      "                images-by-tag-regex, images-by-semver, credentials, tls-verify, cert-dir\n"
      "  --dest docker DESTINATION is HOST[:PORT][/PATH]\n"
      "  --dest dir    a directory for each image below DESTINATION; none of them may be there\n"
      "  --dest oci    one OCI image layout, which may be there, with an entry for each image\n"
      "An image goes to DESTINATION/NAME:TAG, where NAME is the last component of its name, or "
      "with "
      "--scoped\n"
      "the whole of it, registry and all. What the destination has already is not sent again.\n"
      "--prune deletes only when all images were copied, and only tags that the lists of this run "
      "would have\n"
      "copied if the source still had them: it respects --include and --exclude, the patterns of "
      "the file and\n"
      "--append-suffix. Try it with --dry-run. The exit code is 0 for success, 1 for any failure, "
      "130 or 143\n"
      "when interrupted.",
      {{"Which images, and where to", std::move(which)},
       {"How", std::move(how)},
       {"Retrying", upload_options()},
       {"Limits", limit_options()},
       {"Output",
        {{"digestfile", '\0', Kind::value, "FILE",
          "Write a line DIGEST DESTINATION for each image to FILE"},
         {"json", '\0', Kind::flag, "", "Print a JSON object for each image"},
         {"quiet", 'q', Kind::flag, "", "Print nothing on standard output"},
         {"progress", '\0', Kind::value, "HOW",
          "auto (bars on a terminal, else a line each 10 s; default), plain, json, none", false,
          "auto plain json none"}}},
       {"Registry access", std::move(registries)}},
      kJudgedByVerb,
      run};
}

}  // namespace tug::cli
