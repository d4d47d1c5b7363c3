// The referrers fallback of registries without the referrers API (registry-protocol.md 6.7; OCI
// distribution spec, "Referrers Tag Schema"). Pure.
#ifndef TUG_REGISTRY_REFERRERS_H_
#define TUG_REGISTRY_REFERRERS_H_

#include <tug/descriptor.h>
#include <tug/digest.h>

#include <optional>
#include <string>
#include <string_view>

namespace tug::registry {

// A manifest that refers to another, as the fallback index lists it.
struct Referrer {
  Digest subject;
  Descriptor descriptor;  // with artifactType and annotations
};

// nullopt when the manifest has no subject. Throws Error(integrity) when it cannot be parsed.
std::optional<Referrer> referrer_of(const std::string& bytes, const Descriptor& descriptor);

// The tag under which the referrers of `subject` are listed: "sha256-<hex>".
std::string referrers_tag(const Digest& subject);

// The index `existing` ("": none yet) with `referrer` added; nullopt when it has it already. Throws
// Error(protocol) when `existing` is no OCI index.
std::optional<std::string> with_referrer(std::string_view existing, const Descriptor& referrer);

}  // namespace tug::registry

#endif  // TUG_REGISTRY_REFERRERS_H_
