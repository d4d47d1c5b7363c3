#include "transport/new_archive.h"

#include "stream/archive.h"

#include <tug/error.h>

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
  if (!members_.emplace(member, size).second) return false;
  new_members_.push_back(member);
  if (members_.size() + kLastMembers > kMaxArchiveMembers) {
    throw Error(ErrorKind::limit, file_.path() + " would have more than " +
                                      std::to_string(kMaxArchiveMembers) + " members")
        .set_hint("use another archive for more images");
  }
  return true;
}

void NewArchive::require_whole() const {
  if (!is_broken_) return;
  throw Error(ErrorKind::local, file_.path() + ": the part of an image that broke off is in it");
}

}  // namespace tug
