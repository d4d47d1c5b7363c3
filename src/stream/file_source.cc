#include "stream/file_source.h"

#include "base/hash.h"

#include <tug/error.h>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

namespace tug {
namespace {

class MemorySource : public ByteSource {
 public:
  MemorySource(std::string bytes, std::uint64_t offset)
      : bytes_(std::move(bytes)),
        position_(static_cast<std::size_t>(std::min<std::uint64_t>(offset, bytes_.size()))) {}

  std::size_t read(std::span<std::byte> buffer) override {
    const std::size_t size = std::min(buffer.size(), bytes_.size() - position_);
    std::memcpy(buffer.data(), bytes_.data() + position_, size);
    position_ += size;
    return size;
  }

 private:
  const std::string bytes_;
  std::size_t position_;
};

// What must stay as it is while a file is read (registry-protocol.md 5.12).
bool is_same(const struct stat& a, const struct stat& b) {
  const auto same_time = [](const timespec& x, const timespec& y) {
    return x.tv_sec == y.tv_sec && x.tv_nsec == y.tv_nsec;
  };
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size &&
         same_time(a.st_mtim, b.st_mtim) && same_time(a.st_ctim, b.st_ctim);
}

class FileSource : public ByteSource {
 public:
  // `begin`: where in the file the source's first byte stands.
  FileSource(std::shared_ptr<const UniqueFd> fd, std::string name, std::uint64_t begin,
             std::uint64_t size, std::uint64_t offset)
      : fd_(std::move(fd)), name_(std::move(name)), begin_(begin), size_(size), position_(offset) {
    opened_ = status();
    if (!S_ISREG(opened_.st_mode)) throw Error(ErrorKind::local, name_ + " is not a regular file");
    if (position_ > size_)
      throw Error(ErrorKind::local, fmt::format("{} ends before byte {}", name_, position_));
    posix_fadvise(fd_->get(), static_cast<off_t>(begin_ + position_),
                  static_cast<off_t>(size_ - position_), POSIX_FADV_SEQUENTIAL);
  }

  // Of the whole file.
  void require_file_size(std::uint64_t expected) const {
    const auto found = static_cast<std::uint64_t>(opened_.st_size);
    if (found == expected) return;
    throw Error(ErrorKind::local,
                found < expected
                    ? fmt::format("{} is truncated: {} of {} bytes", name_, found, expected)
                    : fmt::format("{} has {} bytes, not {}", name_, found, expected));
  }

  std::size_t read(std::span<std::byte> buffer) override {
    if (position_ == size_) return 0;
    const auto wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), size_ - position_));
    const std::size_t got = read_some(buffer.first(wanted));
    if (got == 0)
      throw Error(ErrorKind::local,
                  fmt::format("{} changed while it was read: it ends at byte {} of {}", name_,
                              position_, size_));
    position_ += got;
    // Before the last bytes are handed on, so that content that changed is never completed.
    if (position_ == size_ && !is_same(opened_, status()))
      throw Error(ErrorKind::local, name_ + " changed while it was read");
    return got;
  }

 private:
  std::size_t read_some(std::span<std::byte> buffer) const {
    for (;;) {
      const ssize_t got =
          pread(fd_->get(), buffer.data(), buffer.size(), static_cast<off_t>(begin_ + position_));
      if (got >= 0) return static_cast<std::size_t>(got);
      if (errno != EINTR)
        throw Error(ErrorKind::local,
                    fmt::format("reading {} at byte {}: {}", name_, position_, errno_text(errno)));
    }
  }

  [[nodiscard]] struct stat status() const {
    struct stat result {};
    if (fstat(fd_->get(), &result) != 0)
      throw Error(ErrorKind::local, name_ + ": " + errno_text(errno));
    return result;
  }

  const std::shared_ptr<const UniqueFd> fd_;
  const std::string name_;
  const std::uint64_t begin_;
  const std::uint64_t size_;
  std::uint64_t position_;
  struct stat opened_ {};
};

class SkippingSource : public ByteSource {
 public:
  SkippingSource(std::unique_ptr<ByteSource> inner, std::uint64_t skip)
      : inner_(std::move(inner)), skip_(skip) {}

  std::size_t read(std::span<std::byte> buffer) override {
    while (skip_ > 0) {
      const std::size_t got = inner_->read(
          buffer.first(static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), skip_))));
      if (got == 0) return 0;
      skip_ -= got;
    }
    return inner_->read(buffer);
  }

 private:
  const std::unique_ptr<ByteSource> inner_;
  std::uint64_t skip_;
};

class BoundedSource : public ByteSource {
 public:
  BoundedSource(std::unique_ptr<ByteSource> inner, std::uint64_t max_bytes, std::string name)
      : inner_(std::move(inner)), max_bytes_(max_bytes), name_(std::move(name)) {}

  std::size_t read(std::span<std::byte> buffer) override {
    const std::size_t got = inner_->read(buffer);
    passed_ += got;
    if (passed_ > max_bytes_)
      throw Error(ErrorKind::limit, fmt::format("{} is longer than {} bytes", name_, max_bytes_));
    return got;
  }

 private:
  const std::unique_ptr<ByteSource> inner_;
  const std::uint64_t max_bytes_;
  const std::string name_;
  std::uint64_t passed_ = 0;
};
Hasher hasher_for(const Digest& digest) {
  return Hasher(digest.algorithm() == DigestAlgorithm::sha256 ? Hasher::Kind::sha256
                                                              : Hasher::Kind::sha512);
}

// Hashes what it hands on; the last piece goes out only after the whole was checked.
class VerifyingSource : public ByteSource {
 public:
  VerifyingSource(std::unique_ptr<ByteSource> inner, Digest digest, std::uint64_t size,
                  std::string name)
      : inner_(std::move(inner)),
        digest_(std::move(digest)),
        size_(size),
        name_(std::move(name)),
        hasher_(hasher_for(digest_)) {}

  std::size_t read(std::span<std::byte> buffer) override {
    if (checked_) return 0;
    const auto wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), size_ - handed_on_));
    const std::size_t got = wanted == 0 ? 0 : inner_->read(buffer.first(wanted));
    if (got == 0 && wanted != 0) {
      throw Error(ErrorKind::integrity,
                  fmt::format("{} ends after {} bytes of {}", name_, handed_on_, size_));
    }
    hasher_.update(std::span<const std::byte>(buffer.first(got)));
    if (handed_on_ + got == size_) check();
    handed_on_ += got;
    return got;
  }

 private:
  void check() {
    std::byte more{};
    if (inner_->read(std::span(&more, 1)) != 0)
      throw Error(ErrorKind::integrity, fmt::format("{} is longer than {} bytes", name_, size_));
    const Digest found = Digest::from_bytes(digest_.algorithm(), hasher_.finish());
    if (found != digest_)
      throw Error(ErrorKind::integrity,
                  fmt::format("{} has the digest {}, not {}", name_, found.str(), digest_.str()));
    checked_ = true;
  }

  const std::unique_ptr<ByteSource> inner_;
  const Digest digest_;
  const std::uint64_t size_;
  const std::string name_;
  Hasher hasher_;
  std::uint64_t handed_on_ = 0;
  bool checked_ = false;
};

// The same where nobody knows the size: it is checked when there is nothing more.
class HashingSource : public DigestingSource {
 public:
  HashingSource(std::unique_ptr<ByteSource> inner, Digest digest, std::string name,
                std::uint64_t skip)
      : inner_(std::move(inner)),
        digest_(std::move(digest)),
        name_(std::move(name)),
        hasher_(hasher_for(digest_)),
        skip_(skip) {}

  std::size_t read(std::span<std::byte> buffer) override {
    while (!ended_) {
      const std::size_t got = inner_->read(buffer);
      if (got == 0) {
        check();
        break;
      }
      hasher_.update(std::span<const std::byte>(buffer.first(got)));
      size_ += got;
      const auto skipped = static_cast<std::size_t>(std::min<std::uint64_t>(skip_, got));
      skip_ -= skipped;
      if (skipped == got) continue;
      std::copy(buffer.begin() + static_cast<std::ptrdiff_t>(skipped),
                buffer.begin() + static_cast<std::ptrdiff_t>(got), buffer.begin());
      return got - skipped;
    }
    return 0;
  }

  [[nodiscard]] Descriptor result() const override { return {"", digest_, size_}; }

 private:
  void check() {
    const Digest found = Digest::from_bytes(digest_.algorithm(), hasher_.finish());
    if (found != digest_)
      throw Error(ErrorKind::integrity,
                  fmt::format("{} has the digest {}, not {}", name_, found.str(), digest_.str()));
    ended_ = true;
  }

  const std::unique_ptr<ByteSource> inner_;
  const Digest digest_;
  const std::string name_;
  Hasher hasher_;
  std::uint64_t skip_;
  std::uint64_t size_ = 0;
  bool ended_ = false;
};

}  // namespace

std::optional<std::string> read_small(ByteSource& source, std::uint64_t max_bytes) {
  std::string bytes;
  std::array<std::byte, 16 * 1024> buffer{};
  while (const std::size_t size = source.read(buffer)) {
    bytes.append(reinterpret_cast<const char*>(buffer.data()), size);
    if (bytes.size() > max_bytes) return std::nullopt;
  }
  return bytes;
}

std::unique_ptr<ByteSource> memory_source(std::string bytes, std::uint64_t offset) {
  return std::make_unique<MemorySource>(std::move(bytes), offset);
}

std::unique_ptr<ByteSource> file_source(UniqueFd fd, std::string name, std::uint64_t expected_size,
                                        std::uint64_t offset) {
  auto source = std::make_unique<FileSource>(std::make_shared<const UniqueFd>(std::move(fd)),
                                             std::move(name), 0, expected_size, offset);
  source->require_file_size(expected_size);
  return source;
}

std::unique_ptr<ByteSource> file_part_source(std::shared_ptr<const UniqueFd> fd, std::string name,
                                             std::uint64_t begin, std::uint64_t size,
                                             std::uint64_t offset) {
  return std::make_unique<FileSource>(std::move(fd), std::move(name), begin, size, offset);
}

std::unique_ptr<ByteSource> skipping_source(std::unique_ptr<ByteSource> inner, std::uint64_t skip) {
  if (skip == 0) return inner;
  return std::make_unique<SkippingSource>(std::move(inner), skip);
}

std::unique_ptr<ByteSource> bounded_source(std::unique_ptr<ByteSource> inner,
                                           std::uint64_t max_bytes, std::string name) {
  return std::make_unique<BoundedSource>(std::move(inner), max_bytes, std::move(name));
}

std::unique_ptr<ByteSource> verifying_source(std::unique_ptr<ByteSource> inner,
                                             const Digest& digest, std::uint64_t size,
                                             std::string name) {
  return std::make_unique<VerifyingSource>(std::move(inner), digest, size, std::move(name));
}

std::unique_ptr<DigestingSource> hashing_source(std::unique_ptr<ByteSource> inner,
                                                const Digest& digest, std::string name,
                                                std::uint64_t skip) {
  return std::make_unique<HashingSource>(std::move(inner), digest, std::move(name), skip);
}

}  // namespace tug
