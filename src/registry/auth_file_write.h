// Changing an auth file (registry-protocol.md 4.5): merged into what is there, at once or not at
// all, and one at a time.
#ifndef TUG_REGISTRY_AUTH_FILE_WRITE_H_
#define TUG_REGISTRY_AUTH_FILE_WRITE_H_

#include "oci/json.h"
#include "registry/credentials.h"

#include <functional>
#include <stop_token>
#include <string>
#include <string_view>

namespace tug::registry {

// Throws what edit_auth_file() would refuse for, before a password has gone anywhere: a file that
// is no JSON object, a named file in a directory that does not exist, one of docker's oldest form.
void check_auth_file(const AuthFile& file);

// Runs `edit` on the file's document (an empty object if there is no file) and, when it returns
// true, replaces the file: tab-indented JSON without a final newline, mode 0600, other members and
// their order untouched. The default file's directory is made if need be, with mode 0700; a named
// file's is not, since a typing error would become a directory. `note` hears of a file that others
// could read until now. Throws as check_auth_file(), Error(local) when it cannot be written, and
// what `edit` throws; then the file is as it was.
void edit_auth_file(const AuthFile& file, const std::function<bool(Json& document)>& edit,
                    const std::function<void(std::string_view)>& note, const std::stop_token& stop);

// The document's member `auths`, made if it is not there. Throws Error(auth) when it is no object.
Json& auths_of(Json& document, const AuthFile& file);

}  // namespace tug::registry

#endif  // TUG_REGISTRY_AUTH_FILE_WRITE_H_
