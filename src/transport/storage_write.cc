#include "transport/storage_write.h"

#include "base/stop.h"
#include "base/strings.h"
#include "transport/storage_store.h"

#include <tug/error.h>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <utility>

namespace tug {
namespace {

constexpr std::chrono::milliseconds kLockPause{20};

UniqueFd open_lock_file(const std::string& path) {
  for (int attempt = 0;; ++attempt) {
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (fd) return fd;
    if (errno != ENOENT || attempt == 3) throw_errno("open the lock", path);
    fd = UniqueFd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_CREAT | O_EXCL, 0600));
    if (fd && ::fchmod(fd.get(), 0644) != 0) throw_errno("make the lock", path);
    if (fd) return fd;
    if (errno != EEXIST) throw_errno("make the lock", path);
  }
}

// The bytes of `value`, least significant first.
template <typename T>
void put(std::array<unsigned char, 64>& bytes, std::size_t at, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i)
    bytes[at + i] = static_cast<unsigned char>(value >> (8 * i));
}

timespec now() {
  timespec time{};
  ::clock_gettime(CLOCK_REALTIME, &time);
  return time;
}

}  // namespace

StorageLock::StorageLock(const std::string& path, const std::stop_token& stop)
    : path_(path), fd_(open_lock_file(path)) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  while (::fcntl(fd_.get(), F_OFD_SETLK, &lock) != 0) {
    if (errno != EAGAIN && errno != EACCES && errno != EINTR) throw_errno("lock", path_);
    sleep_for(kLockPause, stop);
  }
}

void StorageLock::touch() const {
  static std::atomic<std::uint64_t> counter{0};
  std::array<unsigned char, 64> bytes{};
  const timespec time = now();
  put(bytes, 0,
      static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
          static_cast<std::uint64_t>(time.tv_nsec));
  put(bytes, 8, ++counter);
  put(bytes, 16, static_cast<std::uint32_t>(::getpid()));
  if (::getrandom(bytes.data() + 20, bytes.size() - 20, 0) < 0) throw_errno("write", path_);
  if (::pwrite(fd_.get(), bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    throw_errno("write", path_);
}

StorageRecords StorageRecords::read(const std::string& path) {
  StorageRecords records;
  records.path_ = path;
  const std::string text = detail::read_record_file(path);
  records.records_ = with_context(path, [&] { return detail::parse_records(text); });
  return records;
}

Json* StorageRecords::find(std::string_view id) noexcept {
  for (Json& record : records_) {
    const Json* found = record.find("id");
    if (found != nullptr && found->as_string() != nullptr && *found->as_string() == id)
      return &record;
  }
  return nullptr;
}

void StorageRecords::erase(std::string_view id) {
  const Json* record = find(id);
  if (record != nullptr) records_.erase(records_.begin() + (record - records_.data()));
}

void StorageRecords::write() const {
  write_file_atomically(path_, Json(records_).dump({.escape_html = true}), 0600);
}

std::string storage_time() {
  const timespec time = now();
  tm parts{};
  ::gmtime_r(&time.tv_sec, &parts);
  std::string fraction = fmt::format(".{:09}", time.tv_nsec);
  while (fraction.back() == '0') fraction.pop_back();
  if (fraction == ".") fraction.clear();
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{}Z", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     fraction);
}

void make_store(const std::string& root, const std::string& driver) {
  make_directories(root, 0700);
  for (const std::string& directory :
       {std::string("mounts"), std::string("tmp"), driver + "-layers", driver + "-images",
        driver + "-containers", driver}) {
    make_directories(root + "/" + directory, 0700);
  }
  if (driver == "vfs") make_directories(root + "/vfs/dir", 0700);
  if (driver == "overlay") make_directories(root + "/overlay/l", 0755);
  for (const std::string& lock :
       {std::string("storage.lock"), std::string("userns.lock"), driver + "-layers/layers.lock",
        driver + "-images/images.lock", driver + "-containers/containers.lock"}) {
    (void)open_lock_file(root + "/" + lock);
  }
}

void write_new_file(int directory, const std::string& name, std::string_view text, unsigned mode,
                    const std::string& path) {
  const UniqueFd fd(::openat(directory, name.c_str(),
                             O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_CREAT | O_EXCL, 0600));
  if (!fd) throw_errno("make", path);
  write_fully(fd.get(), std::as_bytes(std::span(text)), path);
  if (::fchmod(fd.get(), mode) != 0) throw_errno("set the mode of", path);
}

void refuse_option(const StorageConfig& config, const std::string& option,
                   const std::string& hint) {
  throw Error(ErrorKind::usage, "the store " + config.graph_root + " is configured with " + option +
                                    ", with which tug cannot write it")
      .set_hint(hint);
}

void require_one_root(const StorageConfig& config, const std::string& hint) {
  if (config.image_store.empty() || config.image_store == config.graph_root) return;
  refuse_option(config, "a separate imagestore (" + config.image_store + ")", hint);
}

void require_known_driver(const std::string& root, const std::string& driver,
                          const std::string& hint) {
  if (driver == "overlay" || driver == "vfs") return;
  throw Error(ErrorKind::usage, "the store " + root + " uses the driver " + printable(driver, 100) +
                                    ", which tug cannot write")
      .set_hint(hint);
}

void require_root_user(const std::string& hint) {
  if (::geteuid() == 0) return;
  throw Error(ErrorKind::usage,
              "containers-storage: can only be written as root, or as its owner in his user "
              "namespace: a layer's files have many owners")
      .set_hint(hint);
}

}  // namespace tug
