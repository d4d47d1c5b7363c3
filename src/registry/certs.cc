#include "registry/certs.h"

#include "base/strings.h"

#include <tug/error.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

namespace tug::registry {
namespace {

namespace fs = std::filesystem;

// The names of the regular files in `directory`, sorted, so that every run loads the same first
// client certificate. A file that is gone again by now, or a link to nowhere, is left out.
std::vector<fs::path> files_in(const fs::path& directory, std::error_code& error) {
  std::vector<fs::path> files;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    std::error_code gone;
    if (it->is_regular_file(gone)) files.push_back(it->path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

fs::path partner_of(const std::vector<fs::path>& files, const fs::path& file,
                    const char* extension) {
  fs::path partner = file;
  partner.replace_extension(extension);
  if (std::find(files.begin(), files.end(), partner) == files.end()) {
    throw Error(ErrorKind::usage, file.string() + " is there without " + partner.string())
        .set_hint(
            "a client certificate is a pair NAME.cert and NAME.key; a CA's file ends in .crt");
  }
  return partner;
}

http::TlsConfig from_files(const std::vector<fs::path>& files, const Log& log) {
  http::TlsConfig tls;
  for (const fs::path& file : files) {
    const std::string extension = file.extension().string();
    if (extension == ".crt") {
      tls.ca_files.push_back(file.string());
    } else if (extension == ".cert") {
      tls.client_certificates.emplace_back(file.string(), partner_of(files, file, ".key").string());
    } else if (extension == ".key") {
      (void)partner_of(files, file, ".cert");
    } else {
      continue;
    }
    if (log.enabled()) log.debug("certificates: using " + file.string());
  }
  return tls;
}

// certs.d of containers, the user's first, and of docker.
std::vector<fs::path> default_directories(std::string_view registry) {
  std::vector<fs::path> directories;
  if (const auto home = env_nonempty("HOME")) {
    directories.push_back(fs::path(*home) / ".config/containers/certs.d" / registry);
  }
  directories.push_back(fs::path("/etc/containers/certs.d") / registry);
  directories.push_back(fs::path("/etc/docker/certs.d") / registry);
  return directories;
}

}  // namespace

http::TlsConfig load_certificates(std::string_view registry,
                                  const std::optional<std::string>& cert_dir, const Log& log,
                                  const std::function<void(std::string_view)>& note) {
  std::error_code error;
  if (cert_dir) {
    const std::vector<fs::path> files = files_in(*cert_dir, error);
    if (error == std::errc::no_such_file_or_directory) {
      if (note) note("the certificate directory " + *cert_dir + " is not there");
      return {};
    }
    if (error) {
      throw Error(ErrorKind::usage,
                  "cannot read the certificate directory " + *cert_dir + ": " + error.message());
    }
    return from_files(files, log);
  }
  for (const fs::path& directory : default_directories(registry)) {
    const std::vector<fs::path> files = files_in(directory, error);
    if (!error) return from_files(files, log);
    if (error == std::errc::permission_denied && log.enabled()) {
      log.debug("certificates: skipping " + directory.string() + ": " + error.message());
    }
  }
  return {};
}

}  // namespace tug::registry
