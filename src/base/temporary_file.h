// A file that appears whole or not at all.
#ifndef TUG_BASE_TEMPORARY_FILE_H_
#define TUG_BASE_TEMPORARY_FILE_H_

#include "base/fd.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace tug {

// A new file in `directory` that is removed again unless it gets its name. Where the system can, it
// has no name at all while it is written, so that a process which is killed leaves nothing behind.
// A resource; one thread at a time. Every method throws Error(local) naming `target`.
class TemporaryFile {
 public:
  // `directory` must stay open. `target`: what the file will be, for messages.
  TemporaryFile(int directory, std::string target, unsigned mode);
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() { remove(); }

  void write(std::span<const std::byte> bytes);
  void write(std::string_view bytes) { write(std::as_bytes(std::span(bytes))); }
  // At byte `offset`, wherever write() goes on.
  void write_at(std::uint64_t offset, std::span<const std::byte> bytes);
  // Ends the file at byte `size`.
  void truncate(std::uint64_t size);
  // On disk and in its place, where it replaces whatever has the name `name`: a single component,
  // in `directory`.
  void commit_as(const std::string& name);
  // The same where nothing has that name yet; false, and nothing is done, where something has.
  bool commit_as_new(const std::string& name);

  // Whether it is a name that such a file has while it is written.
  static bool is_temporary(std::string_view name) noexcept;

 private:
  template <typename Create>
  void take_name(Create create);
  [[noreturn]] void fail() const;
  [[nodiscard]] std::string own_path() const;
  [[nodiscard]] bool link_as(const char* name) const;
  void remove() const noexcept;

  int directory_;
  std::string target_;
  std::string name_;  // "" while it has none
  UniqueFd fd_;
};

// A file in `directory` that never has a name, for reading and writing: nothing is left of it when
// its descriptor is closed. Throws Error(local) naming the directory.
UniqueFd open_unnamed_file(const std::string& directory);
// Where such files go: $TMPDIR, or /var/tmp, as containers/image has it.
std::string temporary_directory();

}  // namespace tug

#endif  // TUG_BASE_TEMPORARY_FILE_H_
