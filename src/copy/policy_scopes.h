// The scopes of policy.json: what names an image in it, and what may name one at all
// (containers-policy.json(5)).
#ifndef TUG_COPY_POLICY_SCOPES_H_
#define TUG_COPY_POLICY_SCOPES_H_

#include "transport/containers_storage.h"

#include <tug/reference.h>

#include <string>
#include <string_view>
#include <vector>

namespace tug {

// The scopes that name `source` in a policy, most specific first; "" (the whole transport) is the
// last. Paths are those of the real directories, as in containers/image, so that no link leads past
// a rule; for containers-storage: the store is read. Throws what opening the source would.
std::vector<std::string> policy_scopes(const ImageReference& source);

// Those of an image in a store, without "". Pure.
std::vector<std::string> storage_scopes(const StoredName& image);

// Whether `scope`, which is not "", can name images of the transport at all. A rule that never
// applies is a typing error, and not one to pass over. Pure.
bool is_policy_scope(std::string_view transport, std::string_view scope);

}  // namespace tug

#endif  // TUG_COPY_POLICY_SCOPES_H_
