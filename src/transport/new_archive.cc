#include "transport/new_archive.h"

#include "base/strings.h"
#include "stream/archive.h"

#include <tug/error.h>
#include <tug/manifest.h>

namespace tug {
namespace {

// What is written at the end: manifest.json and repositories, index.json and oci-layout.
constexpr std::size_t kLastMembers = 2;

}  // namespace

void NewArchive::begin_image(const std::vector<std::string>& names) {
  require_whole();
  for (const std::string& name : names) {
    if (!names_.contains(name)) continue;
    throw Error(ErrorKind::usage, file_.path() + " has an image of the name " + name + " already");
  }
  begin_ = file_.position();
  new_names_ = names;
}

void NewArchive::keep_image() {
  names_.insert(new_names_.begin(), new_names_.end());
  new_names_.clear();
  new_members_.clear();
  begin_ = file_.position();
}

void NewArchive::drop_image() noexcept {
  try {
    for (const std::string& member : new_members_) members_.erase(member);
    new_members_.clear();
    new_names_.clear();
    if (!file_.rewind(begin_)) is_broken_ = true;
  } catch (const Error&) {
    is_broken_ = true;
  }
}

std::optional<std::uint64_t> NewArchive::size_of(std::string_view member) const {
  const auto found = members_.find(member);
  return found == members_.end() ? std::nullopt : std::optional(found->second);
}

bool NewArchive::claim(const std::string& member, std::uint64_t size) {
  if (has(member, size)) return false;
  members_.emplace(member, size);
  new_members_.push_back(member);
  if (members_.size() + kLastMembers > kMaxArchiveMembers) {
    throw Error(ErrorKind::limit, file_.path() + " would have more than " +
                                      std::to_string(kMaxArchiveMembers) + " members")
        .set_hint("use another archive for more images");
  }
  return true;
}

bool NewArchive::has(std::string_view member, std::uint64_t size) const {
  const auto found = size_of(member);
  if (found && *found != size) {
    throw Error(ErrorKind::integrity, std::string(member) + " has " + std::to_string(*found) +
                                          " bytes, not " + std::to_string(size) +
                                          " as the manifest says");
  }
  return found.has_value();
}

void NewArchive::require_whole() const {
  if (!is_broken_) return;
  throw Error(ErrorKind::local, file_.path() + ": the part of an image that broke off is in it");
}

void WrittenArchive::check_list(std::string_view member, std::size_t bytes) const {
  if (bytes <= kMaxManifestBytes) return;
  throw Error(ErrorKind::limit, std::string(member) + " of " + members_.path() +
                                    " would be longer than " + human_bytes(kMaxManifestBytes))
      .set_hint("use another archive for more images");
}

ArchivedImage::ArchivedImage(std::shared_ptr<WrittenArchive> archive, Images images,
                             const std::vector<std::string>& names)
    : archive_(std::move(archive)), images_(images) {
  members().begin_image(names);
}

void ArchivedImage::finish(std::stop_token stop) {
  keep();
  members().keep_image();
  is_kept_ = true;
  if (images_ == Images::only) archive_->finish(std::move(stop));
}

}  // namespace tug
