#include "cli/report.h"

#include "base/strings.h"
#include "oci/json.h"

#include <fmt/format.h>

namespace tug::cli {
namespace {

Json descriptor_json(const Descriptor& descriptor) {
  Json json = Json::object({{"digest", descriptor.digest.str()},
                            {"size", descriptor.size},
                            {"mediaType", descriptor.media_type}});
  if (descriptor.platform) json.set("platform", descriptor.platform->str());
  return json;
}

Json ends_json(const std::string& source, const std::string& destination) {
  return Json::object({{"source", source}, {"destination", destination}});
}

std::string_view plan_word(BlobOutcome outcome) {
  switch (outcome) {
    case BlobOutcome::uploaded:
      return "send";
    case BlobOutcome::mounted:
      return "mount";
    case BlobOutcome::existed:
      return "exists";
    case BlobOutcome::skipped:
      break;
  }
  return "skip";
}

}  // namespace

std::string copy_report_json(const std::string& source, const std::string& destination,
                             const CopyReport& report, bool dry_run) {
  Json json = ends_json(source, destination);
  if (dry_run) json.set("dryRun", true);
  json.set("digest", report.digest_is_final ? Json(report.manifest.digest.str()) : Json());
  json.set("mediaType", report.manifest.media_type);
  json.set("skipped", report.skipped);
  Json::Array tags(report.tags.begin(), report.tags.end());
  json.set("tags", std::move(tags));
  Json::Array blobs;
  for (const BlobReport& blob : report.blobs) {
    Json item = descriptor_json(blob.descriptor);
    item.set("outcome", to_string(blob.outcome));
    item.set("sent", blob.bytes_sent);
    blobs.push_back(std::move(item));
  }
  json.set("blobs", std::move(blobs));
  Json::Array instances;
  for (const Descriptor& instance : report.instances)
    instances.push_back(descriptor_json(instance));
  json.set("instances", std::move(instances));
  if (!report.attached.empty()) {
    Json::Array attached;
    for (const Descriptor& each : report.attached) attached.push_back(descriptor_json(each));
    json.set("attached", std::move(attached));
  }
  json.set("bytesSent", report.bytes_sent);
  json.set("seconds", report.elapsed.count());
  return json.dump();
}

std::string copy_error_json(const std::string& source, const std::string& destination,
                            const Error& error) {
  Json details = Json::object({{"class", to_string(error.kind())}, {"message", error.what()}});
  if (!error.hint().empty()) details.set("hint", error.hint());
  if (error.http_status()) details.set("httpStatus", *error.http_status());
  if (!error.registry_codes().empty())
    details.set("codes", Json::Array(error.registry_codes().begin(), error.registry_codes().end()));
  Json json = ends_json(source, destination);
  json.set("error", std::move(details));
  return json.dump();
}

std::string dry_run_text(const std::string& source, const std::string& destination,
                         const CopyReport& report) {
  std::string text = fmt::format("Would copy {} to {}\n", source, destination);
  std::string attached;
  for (const Descriptor& each : report.attached)
    attached += fmt::format("  beside  manifest {}\n", each.digest.str());
  if (report.skipped)
    return text +
           fmt::format("  nothing to do: {} is there already\n", report.manifest.digest.str()) +
           attached;
  std::uint64_t to_send = 0;
  for (const BlobReport& blob : report.blobs) {
    text += fmt::format("  {:<7} blob {} {}\n", plan_word(blob.outcome),
                        blob.descriptor.digest.str(), human_bytes(blob.descriptor.size));
    if (blob.outcome == BlobOutcome::uploaded) to_send += blob.descriptor.size;
  }
  for (const Descriptor& instance : report.instances)
    text += fmt::format("  write   manifest {}\n", instance.digest.str());
  text += fmt::format("  write   manifest {}{}{}\n",
                      report.digest_is_final ? report.manifest.digest.str()
                                             : "(its digest is known once layers are compressed)",
                      report.tags.empty() ? "" : " as ", join(report.tags, ", "));
  text += attached;
  return text + fmt::format("{} to send{}\n", human_bytes(to_send),
                            report.digest_is_final ? "" : ", before compression");
}

}  // namespace tug::cli
