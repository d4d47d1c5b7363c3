#include "cli/image_list.h"

#include "base/strings.h"

#include <tug/digest.h>
#include <tug/error.h>

#include <fmt/format.h>

#include <charconv>
#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <set>

namespace tug::cli {
namespace {

constexpr std::string_view kDocker = "docker://";

bool is_blank(char c) noexcept { return c == ' ' || c == '\t' || c == '\r'; }

// The words of one line. Throws Error(usage) for a quote that is not closed.
std::vector<std::string> words_of(std::string_view line) {
  std::vector<std::string> words;
  std::optional<std::string> word;  // the one that is being read
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (is_blank(c)) {
      if (word) words.push_back(std::move(*word));
      word.reset();
      continue;
    }
    if (c == '#' && !word) break;
    if (!word) word.emplace();
    if (c == '\\') {
      if (++i == line.size()) throw Error(ErrorKind::usage, "nothing stands after the last \\");
      *word += line[i];
    } else if (c == '\'' || c == '"') {
      for (++i; i < line.size() && line[i] != c; ++i) {
        const bool escapes = c == '"' && line[i] == '\\' && i + 1 < line.size() &&
                             (line[i + 1] == '"' || line[i + 1] == '\\');
        if (escapes) ++i;
        *word += line[i];
      }
      if (i >= line.size())
        throw Error(ErrorKind::usage, fmt::format("the quote {} is not closed", c));
    } else {
      *word += c;
    }
  }
  if (word) words.push_back(std::move(*word));
  return words;
}

// What two destinations have in common when they are the same place.
std::string place_of(const ImageReference& destination) {
  if (destination.transport != Transport::docker) return destination.str();
  return std::string(kDocker) + RegistryReference::parse(destination.rest).str();
}

// The same of what goes there: images without a name stand beside each other in a docker-archive.
std::string place_of(const ImagePair& pair) {
  const std::optional<ArchivePlace> archive = archive_place(pair.destination);
  if (!archive) return place_of(pair.destination);
  const bool is_beside_others =
      archive->name.empty() && pair.destination.transport == Transport::docker_archive;
  return std::string(to_string(pair.destination.transport)) + ":" + archive->file + ":" +
         (is_beside_others ? " " + pair.source.str() : archive->name);
}

ImagePair parse_pair(const std::vector<std::string>& words) {
  if (words.size() != 2) {
    throw Error(ErrorKind::usage,
                counted(words.size(), "word") + " where SOURCE DESTINATION is expected");
  }
  return {with_context("source", [&] { return ImageReference::parse(words[0]); }),
          with_context("destination", [&] { return ImageReference::parse(words[1]); })};
}

// A name without its registry.
std::string_view path_of(std::string_view name) {
  const std::size_t slash = name.find('/');
  const bool has_registry =
      slash != std::string_view::npos && is_registry_component(name.substr(0, slash));
  return has_registry ? name.substr(slash + 1) : name;
}

// What --all-images copies to.
struct Prefix {
  std::string text;
  Transport transport;
  std::string file;   // "PATH:"; of a registry ""
  std::string below;  // what names go below of; "": they stay as they are

  // Throws Error(usage).
  static Prefix parse(const std::string& text) {
    if (text.starts_with(kDocker) && text.size() > kDocker.size() && !text.ends_with('/'))
      return {text, Transport::docker, "", text.substr(kDocker.size())};
    for (const Transport transport :
         {Transport::docker_archive, Transport::oci_archive, Transport::oci}) {
      const std::string name = std::string(to_string(transport)) + ":";
      if (!text.starts_with(name)) continue;
      const std::string rest = text.substr(name.size());
      const std::size_t colon = rest.find(':');
      const std::string below = colon == std::string::npos ? "" : rest.substr(colon + 1);
      if (colon == 0 || rest.empty() || rest.ends_with(':')) break;
      if (!below.empty() && (transport != Transport::docker_archive || !is_repository_name(below)))
        break;
      return {text, transport, rest.substr(0, colon) + ":", below};
    }
    throw Error(ErrorKind::usage,
                fmt::format("\"{}\" is no place for many images", printable(text, 200)))
        .set_hint(
            "docker://HOST[:PORT][/PATH] is, and oci:PATH, oci-archive:PATH, "
            "docker-archive:PATH[:NAME]");
  }

  // Throws Error(usage) for a name that no image can have there.
  [[nodiscard]] ImageReference destination(const std::string& name) const {
    if (transport == Transport::oci || transport == Transport::oci_archive)
      return {transport, file + name};
    const bool names_repository = !file.empty() ? !below.empty() : below.find('/') != below.npos;
    std::string whole = name;
    if (is_tag(name)) {
      if (!names_repository) {
        throw Error(ErrorKind::usage,
                    fmt::format("it has a tag and no name, and {} names no repository", text))
            .set_hint(text + (file.empty() ? "/REPOSITORY" : ":NAME"));
      }
      whole = below + ":" + name;
    } else if (!below.empty()) {
      whole = below + "/" + std::string(path_of(name));
    }
    return {transport, file + RegistryReference::parse(whole).str()};
  }
};

}  // namespace

std::vector<ImagePair> parse_image_list(std::string_view text, const std::string& name) {
  std::vector<ImagePair> pairs;
  struct Known {
    ImageReference source;
    std::size_t line;
  };
  std::map<std::string, Known> known;  // by destination
  std::size_t number = 0;
  const auto add = [&](const std::vector<std::string>& words) {
    if (words.empty()) return;
    ImagePair pair = parse_pair(words);
    const auto [other, is_new] = known.emplace(
        with_context("destination", [&] { return place_of(pair); }), Known{pair.source, number});
    if (!is_new && other->second.source != pair.source) {
      throw Error(ErrorKind::usage, fmt::format("{} gets another image in line {}",
                                                pair.destination.str(), other->second.line));
    }
    if (is_new) pairs.push_back(std::move(pair));
  };
  for (const std::string_view line : split(text, '\n')) {
    ++number;
    with_context([&] { return fmt::format("{}, line {}", name, number); },
                 [&] { add(words_of(line)); });
  }
  return pairs;
}

std::vector<ImagePair> pairs_below(const std::string& prefix, const ListedImages& images) {
  const Prefix place = Prefix::parse(prefix);
  std::vector<ImagePair> pairs;
  std::map<std::string, std::string> names;  // by destination
  for (const ListedImages::Image& image : images.images) {
    ImageReference destination =
        with_context([&] { return fmt::format("image \"{}\"", printable(image.name, 200)); },
                     [&] { return place.destination(image.name); });
    const auto [other, is_new] = names.emplace(destination.rest, image.name);
    if (!is_new) {
      throw Error(ErrorKind::usage, fmt::format("the images \"{}\" and \"{}\" would both go to {}",
                                                printable(other->second, 200),
                                                printable(image.name, 200), destination.rest));
    }
    pairs.push_back({image.reference, std::move(destination)});
  }
  return pairs;
}

Shard Shard::parse(std::string_view text) {
  constexpr std::uint64_t kMost = 1'000'000;
  const std::size_t slash = text.find('/');
  const auto number = parse_uint(text.substr(0, slash));
  const auto count =
      slash == std::string_view::npos ? std::nullopt : parse_uint(text.substr(slash + 1));
  if (!number || !count || *number == 0 || *number > *count || *count > kMost) {
    throw Error(
        ErrorKind::usage,
        fmt::format("--shard: \"{}\" is no part I/N of N, from 1/N to N/N", printable(text, 60)));
  }
  return {*number, *count};
}

bool Shard::has(const ImageReference& destination) const {
  constexpr std::size_t kDigits = 15;  // of hexadecimal: 60 bits
  std::string place = place_of(destination);
  if (const auto archive = archive_place(destination))
    place = std::filesystem::path(archive->path).lexically_normal().string();
  const Digest digest = Digest::of(place);
  std::uint64_t hash = 0;
  std::from_chars(digest.hex().data(), digest.hex().data() + kDigits, hash, 16);
  return hash % count + 1 == number;
}

}  // namespace tug::cli
