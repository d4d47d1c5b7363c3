#include "profiles.h"

#include <doctest/doctest.h>

#include <algorithm>

namespace tug::test {
namespace {

TEST_SUITE("quirks") {
  TEST_CASE("registries that are rented take a push, or refuse it clearly") {
    run_table(cloud_profiles());
  }
  TEST_CASE("registries that people run themselves do so too") { run_table(hosted_profiles()); }

  TEST_CASE("each product of section 7 has a profile") {
    std::vector<Case> all = cloud_profiles();
    for (Case& row : hosted_profiles()) all.push_back(std::move(row));
    for (const std::string product : {"Docker Hub",
                                      "GHCR",
                                      "ECR",
                                      "GCR",
                                      "ACR",
                                      "Quay",
                                      "Harbor",
                                      "Artifactory",
                                      "Nexus",
                                      "GitLab",
                                      "Gitea",
                                      "Forgejo",
                                      "distribution",
                                      "zot",
                                      "olareg",
                                      "DigitalOcean",
                                      "serverless-registry",
                                      "behind Cloudflare",
                                      "OpenShift",
                                      "Pulp",
                                      "nginx"}) {
      CAPTURE(product);
      CHECK(std::any_of(all.begin(), all.end(),
                        [&](const Case& row) { return row.id.starts_with(product); }));
    }
  }
}

}  // namespace
}  // namespace tug::test
