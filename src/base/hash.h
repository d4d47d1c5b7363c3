// SHA-256 and SHA-512, running. The one file that knows OpenSSL's digest API is hash.cc.
#ifndef TUG_BASE_HASH_H_
#define TUG_BASE_HASH_H_

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tug {

class Hasher {
 public:
  enum class Kind { sha256, sha512 };
  explicit Hasher(Kind kind = Kind::sha256);
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  ~Hasher();

  void update(std::span<const std::byte> bytes);
  void update(std::string_view bytes);
  // The raw hash (32 or 64 bytes) of everything so far; the hasher may go on afterwards.
  [[nodiscard]] std::vector<std::byte> finish() const;

 private:
  struct Deleter {
    void operator()(void* context) const noexcept;
  };
  std::unique_ptr<void, Deleter> context_;
};

// Lower-case hex.
std::string to_hex(std::span<const std::byte> bytes);

}  // namespace tug

#endif  // TUG_BASE_HASH_H_
