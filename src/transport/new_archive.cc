#include "transport/new_archive.h"

#include <tug/error.h>

namespace tug {

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
  return true;
}

void NewArchive::require_whole() const {
  if (!is_broken_) return;
  throw Error(ErrorKind::local, file_.path() + ": the part of an image that broke off is in it");
}

}  // namespace tug
