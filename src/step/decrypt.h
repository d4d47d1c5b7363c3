// Encrypted values and what must not be printed (step-contract 2.5).
#ifndef TUG_STEP_DECRYPT_H_
#define TUG_STEP_DECRYPT_H_

#include "step/value.h"

#include <tug/secret.h>

#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace tug::step {

// The secrets met so far, and text without them. Filled while settings are read, on one thread;
// then read-only.
class SecretMask {
 public:
  // Shorter ones are not looked for in text: masking every "u" would hide nothing and spoil the
  // rest.
  static constexpr std::size_t kShortest = 4;
  static constexpr std::string_view kMask = "********";

  void add(std::string_view secret);
  // `text` with every secret replaced by kMask, the longest first. For messages and log lines; not
  // for data such as artifacts, which hold no secret.
  [[nodiscard]] std::string mask(std::string_view text) const;

 private:
  std::vector<Secret> secrets_;  // longest first
};

// True when a key on the way to the value contains "password" or "username" in any case. That is
// what ObfuscationDefaults claims, and what we never print.
bool is_confidential(const Place* place);
// One entry of config-decryptors.
struct Decryptor {
  enum class Kind { sops, obfuscation_defaults } kind = Kind::sops;
  std::vector<std::string> arguments;  // additional_sops_args
};
// Reads the list config-decryptors. Throws StepError(invalid_config): no list, an unknown
// implementer.
std::vector<Decryptor> read_decryptors(const Value& list);

// The registered decryptors, in order, and the mask that what they claim goes to. One thread.
class Decryptors {
 public:
  explicit Decryptors(std::vector<Decryptor> decryptors = {})
      : decryptors_(std::move(decryptors)) {}

  // `value` with every scalar in it read through the first decryptor that claims it. Runs sops.
  // Passwords are added to the mask, claimed or not; usernames when a decryptor claims them. Throws
  // StepError(fatal): sops is missing or fails; a value to decrypt that comes from no file.
  Value read(const Value& value, const std::stop_token& stop);

  // Whether some decryptor claims the scalar `value`, or claimed it when read() read it: then it is
  // not printed at all.
  [[nodiscard]] bool claims(const Value& value) const;
  // Every secret met so far: for what is said in words.
  [[nodiscard]] const SecretMask& mask() const noexcept { return mask_; }
  // Those that a decryptor claims: also for data on stdout, which upstream masks too.
  [[nodiscard]] const SecretMask& claimed() const noexcept { return claimed_; }

 private:
  [[nodiscard]] const Decryptor* claimant(const Value& value) const;
  Value read_scalar(const Value& value, const std::stop_token& stop);

  std::vector<Decryptor> decryptors_;
  SecretMask mask_;
  SecretMask claimed_;
  // What was read from where: a setting is looked up more than once, and sops may be slow.
  std::map<std::shared_ptr<const Place>, Value> read_;
};

}  // namespace tug::step

#endif  // TUG_STEP_DECRYPT_H_
