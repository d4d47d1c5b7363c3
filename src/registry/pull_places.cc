#include "registry/pull_places.h"

namespace tug::registry {

PullPlaces::Place::Place(const Hosts::ReadPlace& place, bool is_last)
    : is_last_(is_last),
      reference_(place.reference),
      repository_(place.host, place.reference.without_identifier(), /*writable=*/false) {}

PullPlaces::PullPlaces(Hosts& hosts, const RegistryReference& reference,
                       const RegistryAccess& access) {
  const auto places = hosts.places_to_read(reference, access);
  for (const Hosts::ReadPlace& place : places)
    places_.emplace_back(place, /*is_last=*/&place == &places.back());
}

Error PullPlaces::with_failures(const Error& error, const std::string& failures) {
  if (failures.empty()) return error;
  Error all(error.kind(), error.message() + failures);
  all.set_hint(error.hint()).set_retryable(error.retryable());
  all.set_registry_codes(error.registry_codes());
  if (error.http_status()) all.set_http_status(*error.http_status());
  return all;
}

}  // namespace tug::registry
