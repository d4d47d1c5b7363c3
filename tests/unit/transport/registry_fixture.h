// What the docker: transport needs in a test: a scripted registry on loopback, and a client's
// surroundings without any file.
#ifndef TUG_TESTS_UNIT_TRANSPORT_REGISTRY_FIXTURE_H_
#define TUG_TESTS_UNIT_TRANSPORT_REGISTRY_FIXTURE_H_

#include "base/log.h"
#include "http/client.h"
#include "registry/host.h"
#include "registry/registries_conf.h"
#include "support/http_server.h"

#include <tug/reference.h>
#include <tug/registry.h>

#include <map>
#include <string>
#include <utility>

namespace tug::test {

// Answers GET and HEAD of the paths in `content` (media type and bytes), /v2/, and 404 to the rest.
class ScriptedRegistry {
 public:
  std::map<std::string, std::pair<std::string, std::string>> content;

  ScriptedRegistry()
      : server_([this](const HttpRequest& request, HttpConnection& connection) {
          answer(request, connection);
        }) {}
  [[nodiscard]] const HttpServer& server() const { return server_; }
  [[nodiscard]] RegistryReference reference(const std::string& rest) const {
    return RegistryReference::parse(server_.authority() + "/" + rest);
  }

 private:
  void answer(const HttpRequest& request, HttpConnection& connection) const {
    const HeaderList version{{"Docker-Distribution-Api-Version", "registry/2.0"}};
    if (request.path() == "/v2/") return connection.send({200, version, "{}"});
    const auto found = content.find(request.path());
    if (found == content.end()) {
      return connection.send({404,
                              {{"Content-Type", "application/json"}},
                              R"({"errors":[{"code":"MANIFEST_UNKNOWN"}]})"});
    }
    connection.send({200, {{"Content-Type", found->second.first}}, found->second.second});
  }

  HttpServer server_;
};

// A process without configuration files, that speaks http and tries everything once.
class ClientFixture {
 public:
  ClientFixture() {
    access.tls_verify = false;
    access.anonymous = true;
  }
  Log log;
  http::Client http{http::Client::Options{}, log};
  registry::RegistriesConf registries_conf;
  registry::Hosts hosts{registry::Environment{http, registries_conf, try_once(), log, nullptr}};
  RegistryAccess access;

 private:
  static RetryPolicy try_once() {
    RetryPolicy policy;
    policy.attempts = 1;
    return policy;
  }
};

}  // namespace tug::test

#endif  // TUG_TESTS_UNIT_TRANSPORT_REGISTRY_FIXTURE_H_
