// A secret string: a password, a token, a private key's passphrase.
//
// It has no stream operator, no implicit conversion and no comparison that leaks, and wipes its
// memory when it ends, so that printing one takes a deliberate reveal(). A value.
#ifndef TUG_SECRET_H_
#define TUG_SECRET_H_

#include <string>
#include <string_view>

namespace tug {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value);
  Secret(const Secret&) = default;
  Secret(Secret&& other) noexcept;
  Secret& operator=(const Secret& other);
  Secret& operator=(Secret&& other) noexcept;
  ~Secret();

  // The text itself, for the one place that puts it on the wire or into a helper's stdin.
  [[nodiscard]] std::string_view reveal() const noexcept { return value_; }
  [[nodiscard]] bool empty() const noexcept { return value_.empty(); }
  friend bool operator==(const Secret& a, const Secret& b) noexcept { return a.value_ == b.value_; }

 private:
  std::string value_;
};

}  // namespace tug

#endif  // TUG_SECRET_H_
