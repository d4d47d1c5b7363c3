#include "cli/sync_images.h"

#include "base/fd.h"
#include "base/strings.h"
#include "cli/go_value.h"
#include "cli/semver.h"
#include "cli/terminal.h"
#include "registry/pull_places.h"
#include "registry/repository.h"

#include <tug/error.h>

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

namespace tug::cli {
namespace {

namespace fs = std::filesystem;
using TagFilter = std::function<bool(std::string_view)>;

// Bounds of a run: no source may fill the memory.
constexpr std::size_t kMaxImages = 1'000'000;
constexpr int kMaxDepth = 64;

bool any_tag(std::string_view) { return true; }

bool is_wanted(const SyncRequest& request, std::string_view tag) {
  const auto matches = [&](const TagPattern& pattern) { return pattern.matches(tag); };
  return (request.include.empty() ||
          std::any_of(request.include.begin(), request.include.end(), matches)) &&
         std::none_of(request.exclude.begin(), request.exclude.end(), matches);
}

bool names_an_image(std::string_view reference) {
  return reference.substr(reference.rfind('/') + 1).find_first_of(":@") != std::string_view::npos;
}

// filepath.WalkDir of skopeo: names in order; the directory that a manifest.json stands in is an
// image, and what comes after that in it is not looked at.
void find_directories(const std::string& path, int depth, std::vector<std::string>& found) {
  if (depth > kMaxDepth)
    throw Error(ErrorKind::local, printable(path) + ": directories are nested too deeply");
  std::vector<fs::directory_entry> entries;
  try {
    for (const fs::directory_entry& entry : fs::directory_iterator(path)) entries.push_back(entry);
  } catch (const fs::filesystem_error& error) {
    throw Error(ErrorKind::local, fmt::format("{}: {}", printable(path), error.code().message()));
  }
  std::sort(entries.begin(), entries.end());
  for (const fs::directory_entry& entry : entries) {
    std::error_code ignored;
    const bool is_directory = entry.symlink_status(ignored).type() == fs::file_type::directory;
    const std::string name = entry.path().filename().string();
    if (is_directory) {
      find_directories(join_paths(path, name), depth + 1, found);
    } else if (name == "manifest.json") {
      found.push_back(path);
      return;
    }
  }
}

class Finder {
 public:
  Finder(Context& context, const SyncRequest& request) : context_(context), request_(request) {}

  SyncImages find() {
    switch (request_.from) {
      case SyncRequest::From::docker:
        add_registry();
        break;
      case SyncRequest::From::dir:
        add_directories();
        break;
      case SyncRequest::From::oci:
        add_layout();
        break;
      case SyncRequest::From::yaml:
        add_file();
        break;
    }
    drop_duplicates();
    return std::move(images_);
  }

 private:
  void say(Level level, std::string_view message, const LogFields& fields = {}) const {
    if (request_.as_skopeo) log_line(level, message, fields);
  }

  void begin_source(const TransportOptions& access) { images_.sources.push_back({access}); }
  // Without images a source does not count.
  bool end_source() {
    if (images_.sources.back().images > 0) return true;
    images_.sources.pop_back();
    return false;
  }

  // `tag`: "" when there is none.
  void add(ImageReference source, const std::string& name, std::string_view tag) {
    if (!tag.empty() && !is_wanted(request_, tag)) {
      ++images_.excluded;
      return;
    }
    ImageReference destination = sync_destination(request_.destination, name);
    if (request_.shard && !request_.shard->has(destination)) {
      ++images_.elsewhere;
      return;
    }
    if (images_.pairs.size() >= kMaxImages)
      throw Error(ErrorKind::limit, fmt::format("more than {} images", kMaxImages));
    images_.pairs.push_back({std::move(source), std::move(destination)});
    images_.source_of.push_back(images_.sources.size() - 1);
    ++images_.sources.back().images;
  }

  void add(const RegistryReference& image) {
    add({Transport::docker, image.str()}, image.str(), image.tag().value_or(""));
    if (image.tag() && request_.destination.transport == Transport::docker)
      mirrored(image).source_tags.insert(*image.tag());
  }

  MirroredRepository& mirrored(const RegistryReference& repository) {
    SyncDestination destination = request_.destination;
    destination.append_suffix.clear();
    const RegistryReference image = RegistryReference::parse(
        sync_destination(destination, repository.without_identifier().with_tag("latest").str())
            .rest);
    const RegistryReference place = image.without_identifier();
    return images_.mirrored.emplace(place.name(), MirroredRepository{place}).first->second;
  }

  // The tags of a repository that `filter` wants.
  void add_tags(const RegistryReference& repository, const TransportOptions& access,
                const TagFilter& filter) {
    say(Level::info, "Getting tags", {{"image", repository.name()}});
    MirroredRepository* mirror =
        request_.destination.transport == Transport::docker ? &mirrored(repository) : nullptr;
    // A repository that is its own mirror is never pruned.
    if (mirror != nullptr && mirror->repository.name() == repository.name())
      mirror->is_complete = false;
    if (mirror != nullptr)
      mirror->scopes.emplace_back([&request = request_, filter](std::string_view tag) {
        return filter(tag) && is_wanted(request, tag);
      });
    const auto add_page = [&](const std::vector<std::string>& tags) {
      for (const std::string& tag : tags) {
        if (!is_tag(tag)) {
          log_line(Level::error, fmt::format("{}: \"{}\" is no tag: passed over", repository.name(),
                                             printable(tag, 200)));
          continue;
        }
        if (mirror != nullptr) mirror->source_tags.insert(tag);
        if (filter(tag)) add(repository.with_tag(tag));
      }
    };
    with_context("Error determining repository tags for image " + repository.name(), [&] {
      try {
        // A mirror may know some of the tags only: which there are is the registry's own word.
        RegistryAccess own = access.access;
        own.no_mirrors = true;
        registry::PullPlaces place(context_.transports().hosts, repository, own);
        place.at(0).repository().list_tags(add_page, context_.stop());
      } catch (...) {
        if (mirror != nullptr) mirror->is_complete = false;
        throw;
      }
    });
  }

  // --- --src docker

  void add_registry() {
    const RegistryReference image = with_context(
        [&] {
          return fmt::format(
              R"(Cannot obtain a valid image reference for transport "docker" and reference {})",
              go_quoted(printable(request_.source)));
        },
        [&] { return RegistryReference::parse(request_.source); });
    const bool is_image = names_an_image(request_.source);
    say(Level::info, "Tag presence check",
        {{"imagename", request_.source}, {"tagged", is_image ? "true" : "false"}});
    begin_source(request_.access);
    if (is_image) {
      add(image);
    } else {
      add_tags(image.without_identifier(), request_.access, any_tag);
    }
    end_only_source();
  }

  void end_only_source() {
    if (end_source() || images_.elsewhere > 0) return;
    Error error(ErrorKind::usage,
                "No images to sync found in " + go_quoted(printable(request_.source)));
    if (images_.excluded > 0)
      error.set_hint(fmt::format("--include and --exclude leave out all {}", images_.excluded));
    throw error;
  }

  // --- --src dir

  void add_directories() {
    std::error_code code;
    const fs::file_status status = fs::status(request_.source, code);
    if (!fs::exists(status)) {
      throw Error(
          ErrorKind::local,
          fmt::format("Invalid source directory specified: stat {}: {}", printable(request_.source),
                      code ? to_lower(code.message()) : "no such file or directory"));
    }
    std::vector<std::string> found;
    if (fs::is_directory(status)) {
      with_context(
          [&] { return "Error walking the path " + go_quoted(printable(request_.source)); },
          [&] { find_directories(clean_path(request_.source), 0, found); });
    }
    begin_source(request_.access);
    for (const std::string& path : found) {
      const std::string name = sync_name_of_directory(path, request_.source);
      const std::string base = base_of_path(name);
      const std::size_t colon = base.rfind(':');
      const bool has_tag = colon != std::string::npos && base.find('@') == std::string::npos;
      add({Transport::dir, path}, name, has_tag ? base.substr(colon + 1) : "");
    }
    end_only_source();
  }

  // --- --src oci

  void add_layout() {
    const ListedImages listed =
        list_images("oci:" + request_.source, context_.transports(), context_.stop());
    images_.unnamed = listed.unnamed;
    begin_source(request_.access);
    for (const ListedImages::Image& image : listed.images) {
      const std::size_t colon = image.name.rfind(':');
      const std::string tag =
          colon == std::string::npos ? image.name : image.name.substr(colon + 1);
      add(image.reference, sync_name_of_entry(image.name, request_.source),
          is_tag(tag) && image.name.find('@') == std::string::npos ? tag : "");
    }
    end_only_source();
  }

  // --- --src yaml

  void add_file() {
    const std::string& file = request_.source;
    const SyncConfig config =
        parse_sync_config(read_input(file, kMaxSyncConfigBytes, context_.stop()),
                          file == "-" ? "standard input" : file);
    for (const std::string& note : config.notes) log_line(Level::warning, note);
    // What is wrong with the file is said before anybody is asked.
    if (!request_.as_skopeo) {
      for (const SyncRegistry& registry : config.registries)
        for (const SyncRepository& repository : registry.repositories)
          (void)resolve(registry, repository);
    }
    for (const SyncRegistry& registry : config.registries) {
      if (registry.repositories.empty()) {
        log_line(Level::warning, "No images specified for registry", {{"registry", registry.name}});
        continue;
      }
      TransportOptions access = request_.access;
      if (registry.credentials) {
        access.access.credentials = registry.credentials;
        access.access.bearer_token.reset();
        access.access.anonymous = false;
      }
      if (registry.tls_verify) access.access.tls_verify = registry.tls_verify;
      if (registry.cert_dir) access.access.cert_dir = registry.cert_dir;
      for (const SyncRepository& repository : registry.repositories)
        add_repository(registry, repository, access);
    }
  }

  // An entry of the file as it is meant.
  struct Resolved {
    RegistryReference repository;
    std::vector<RegistryReference> images = {};  // listed
    TagFilter filter = {};                       // else
  };

  // nullopt, as skopeo: it is passed over. Throws Error(usage).
  std::optional<Resolved> resolve(const SyncRegistry& registry, const SyncRepository& repository) {
    const LogFields fields{{"registry", registry.name}, {"repo", repository.name}};
    const auto pass_over = [&](std::string_view what, const LogFields& whose, Error error) {
      if (!request_.as_skopeo) throw error.add_context(repository.where);
      images_.passed_over = true;
      log_line(Level::error, what, whose);
      log_line(Level::error, error.what());
    };
    std::optional<Resolved> resolved;
    try {
      resolved = {RegistryReference::parse_repository(registry.name + "/" + repository.name)};
    } catch (const Error& error) {
      pass_over("Error parsing repository name, skipping", fields, error);
      return std::nullopt;
    }
    say(Level::info, "Processing repo", fields);
    for (const std::string& image : repository.images) {
      try {
        resolved->images.push_back(named_in(resolved->repository, image));
      } catch (const Error& error) {
        pass_over("Error parsing ref, skipping", {{"ref", image}}, error);
      }
    }
    try {
      resolved->filter = filter_of(repository);
    } catch (const Error& error) {
      LogFields whose = fields;
      whose.insert(
          whose.begin(),
          {repository.selection == SyncRepository::Selection::by_regex ? "regex" : "constraint",
           repository.filter});
      pass_over("Error parsing regex, skipping", whose, error);
      return std::nullopt;
    }
    return resolved;
  }

  static RegistryReference named_in(const RegistryReference& repository, const std::string& image) {
    if (image.find(':') != std::string::npos) return repository.with_digest(Digest::parse(image));
    return repository.with_tag(image);
  }

  static TagFilter filter_of(const SyncRepository& repository) {
    switch (repository.selection) {
      case SyncRepository::Selection::by_regex:
        return [pattern = TagPattern::parse(repository.filter)](std::string_view tag) {
          return pattern.matches(tag);
        };
      case SyncRepository::Selection::by_semver:
        return [constraint = VersionConstraint::parse(repository.filter)](std::string_view tag) {
          const auto version = Version::parse(tag);
          return version && constraint.allows(*version);
        };
      default:
        return any_tag;
    }
  }

  void add_repository(const SyncRegistry& registry, const SyncRepository& repository,
                      const TransportOptions& access) {
    const LogFields fields{{"registry", registry.name}, {"repo", repository.name}};
    const std::optional<Resolved> resolved = resolve(registry, repository);
    if (!resolved) return;
    begin_source(access);
    if (repository.selection == SyncRepository::Selection::listed) {
      for (const RegistryReference& image : resolved->images) add(image);
    } else {
      say(Level::info, "Querying registry for image tags", fields);
      const std::size_t before = images_.pairs.size();
      try {
        add_tags(resolved->repository, access, resolved->filter);
      } catch (const Error& error) {
        if (error.kind() == ErrorKind::interrupted) throw;
        if (!request_.as_skopeo && !request_.keep_going) throw;
        images_.pairs.erase(images_.pairs.begin() + static_cast<std::ptrdiff_t>(before),
                            images_.pairs.end());
        images_.source_of.resize(before);
        images_.sources.pop_back();
        (request_.as_skopeo ? images_.passed_over : images_.is_incomplete) = true;
        say(Level::error, "Error processing repo, skipping", fields);
        log_line(Level::error, error.what());
        return;
      }
      if (repository.selection == SyncRepository::Selection::by_regex) {
        say(Level::info, "Start filtering using the regular expression: " + repository.filter,
            fields);
      }
    }
    if (!end_source()) log_line(Level::warning, "No refs to sync found", fields);
  }

  // The same image for the same place counts once. skopeo copies it twice, and of two images for
  // one place the later over the earlier.
  void drop_duplicates() {
    if (request_.as_skopeo) return;
    std::map<std::string, ImageReference> known;
    images_.keep_only([&](const ImagePair& pair) {
      const auto [other, is_new] = known.emplace(pair.destination.str(), pair.source);
      if (!is_new && other->second != pair.source) {
        throw Error(ErrorKind::usage,
                    fmt::format("{} and {} would both go to {}", other->second.str(),
                                pair.source.str(), pair.destination.str()))
            .set_hint("--scoped keeps repositories apart");
      }
      return is_new;
    });
  }

  Context& context_;
  const SyncRequest& request_;
  SyncImages images_;
};

}  // namespace

std::size_t SyncImages::keep_only(const std::function<bool(const ImagePair&)>& wanted) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    if (!wanted(pairs[i])) {
      --sources[source_of[i]].images;
      continue;
    }
    if (kept != i) {
      pairs[kept] = std::move(pairs[i]);
      source_of[kept] = source_of[i];
    }
    ++kept;
  }
  const std::size_t dropped = pairs.size() - kept;
  pairs.erase(pairs.begin() + static_cast<std::ptrdiff_t>(kept), pairs.end());
  source_of.resize(kept);
  return dropped;
}

SyncImages find_sync_images(Context& context, const SyncRequest& request) {
  return Finder(context, request).find();
}

}  // namespace tug::cli
