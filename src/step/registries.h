// container-registries: who to log in to, and how (step-contract section 4).
#ifndef TUG_STEP_REGISTRIES_H_
#define TUG_STEP_REGISTRIES_H_

#include "step/decrypt.h"
#include "step/lookup.h"
#include "step/value.h"

#include <tug/secret.h>

#include <stop_token>
#include <string>
#include <vector>

namespace tug::step {

struct Login {
  std::string uri;       // as configured, for messages
  std::string registry;  // the auth file's key: the uri without http:// or https://; a path is kept
  std::string username;
  bool hide_username = false;  // a decryptor claims it
  Secret password;
  bool tls_verify = true;

  // "host[:port]": where /v2/ is asked.
  [[nodiscard]] std::string host() const;
};

// Reads the three shapes of 4.1. `found` holds the setting, `dest_tls_verify` is the truth of
// setting 8 (4.2). Appends to `warnings`. Throws StepError(not_successful) with upstream's message,
// the secrets in it masked, for a malformed entry; StepError(fatal) for one that upstream's login
// tool refuses: a uri that is no registry, a tls-verify that is no flag, a password of more than
// one line.
std::vector<Login> read_registries(const Value& registries, bool dest_tls_verify,
                                   const Decryptors& decryptors,
                                   std::vector<std::string>& warnings);

}  // namespace tug::step

#endif  // TUG_STEP_REGISTRIES_H_
