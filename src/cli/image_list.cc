#include "cli/image_list.h"

#include "base/strings.h"

#include <tug/digest.h>
#include <tug/error.h>

#include <fmt/format.h>

#include <cstddef>
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

ImagePair parse_pair(const std::vector<std::string>& words) {
  if (words.size() != 2) {
    throw Error(ErrorKind::usage, fmt::format("{} word{} where SOURCE DESTINATION is expected",
                                              words.size(), words.size() == 1 ? "" : "s"));
  }
  return {with_context("source", [&] { return ImageReference::parse(words[0]); }),
          with_context("destination", [&] { return ImageReference::parse(words[1]); })};
}

// A name without its registry.
std::string_view path_of(std::string_view name) {
  const std::size_t slash = name.find('/');
  if (slash == std::string_view::npos) return name;
  const std::string_view first = name.substr(0, slash);
  const bool is_host = first.find_first_of(".:") != std::string_view::npos || first == "localhost";
  return is_host ? name.substr(slash + 1) : name;
}

}  // namespace

std::vector<ImagePair> parse_image_list(std::string_view text, const std::string& name) {
  std::vector<ImagePair> pairs;
  struct Known {
    ImageReference source;
    std::size_t line;
  };
  std::map<std::string, Known> known;  // by destination
  std::size_t number = 0;
  for (const std::string_view line : split(text, '\n')) {
    ++number;
    with_context(fmt::format("{}, line {}", name, number), [&] {
      const std::vector<std::string> words = words_of(line);
      if (words.empty()) return;
      ImagePair pair = parse_pair(words);
      const auto [other, is_new] =
          known.emplace(place_of(pair.destination), Known{pair.source, number});
      if (!is_new && other->second.source != pair.source) {
        throw Error(ErrorKind::usage, fmt::format("{} gets another image in line {}",
                                                  pair.destination.str(), other->second.line));
      }
      if (is_new) pairs.push_back(std::move(pair));
    });
  }
  return pairs;
}

std::vector<ImagePair> pairs_below(const std::string& prefix, const ListedImages& images) {
  if (!prefix.starts_with(kDocker) || prefix.size() == kDocker.size() || prefix.ends_with('/')) {
    throw Error(ErrorKind::usage,
                fmt::format("\"{}\" is no place for many images", printable(prefix, 200)))
        .set_hint("docker://HOST[:PORT][/PATH] is");
  }
  const std::string below = prefix.substr(kDocker.size());
  const bool has_path = below.find('/') != std::string::npos;
  std::vector<ImagePair> pairs;
  std::map<std::string, std::string> names;  // by destination
  for (const ListedImages::Image& image : images.images) {
    const std::string shown = printable(image.name, 200);
    std::string destination;
    if (is_tag(image.name)) {
      if (!has_path) {
        throw Error(ErrorKind::usage, fmt::format("the image \"{}\" has a tag and no name, and {} "
                                                  "names no repository",
                                                  shown, prefix))
            .set_hint(prefix + "/REPOSITORY");
      }
      destination = below + ":" + image.name;
    } else {
      destination = below + "/" + std::string(path_of(image.name));
    }
    const RegistryReference reference = with_context(
        fmt::format("image \"{}\"", shown), [&] { return RegistryReference::parse(destination); });
    const auto [other, is_new] = names.emplace(reference.str(), image.name);
    if (!is_new) {
      throw Error(ErrorKind::usage,
                  fmt::format("the images \"{}\" and \"{}\" would both go to {}",
                              printable(other->second, 200), shown, reference.str()));
    }
    pairs.push_back({image.reference, {Transport::docker, reference.str()}});
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
  const Digest digest = Digest::of(place_of(destination));
  std::uint64_t hash = 0;
  for (const char digit : digest.hex().substr(0, kDigits))
    hash = hash * 16 + static_cast<std::uint64_t>(digit <= '9' ? digit - '0' : digit - 'a' + 10);
  return hash % count + 1 == number;
}

}  // namespace tug::cli
