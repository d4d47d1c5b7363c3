// F73-F83: commits that were done though it was not said, mounts, and HEADs that lie.
#include "rows.h"

namespace tug::test {
namespace {

const std::string kMount = "mount=";

Case mount_refused(std::string id, const std::string& title, Fault refusal) {
  return {.id = std::move(id),
          .title = title,
          .registry = one_request_per_connection(),
          .faults = {std::move(refusal)},
          .mountable = true,
          .check = [](Lab& lab) {
            lab.expect(lab.requests("PATCH").size() == 1, "what could not be mounted is sent");
            lab.expect(lab.requests("POST", kMount).size() <= 4, "mounts are not insisted on");
          }};
}
Case mount_refused(std::string id, int status) {
  return mount_refused(std::move(id), "mounts are answered " + std::to_string(status),
                       answers("POST", kMount, answer(status), kAlways));
}

std::vector<Case> mounts() {
  std::vector<Case> rows{
      {.id = "F75",
       .title = "mounts are answered 202: a session instead",
       .mountable = true,
       .arrange =
           [](Lab& lab) {
             for (const std::string& blob : lab.image.blobs())
               lab.registry.remove_blob("team/base", Digest::of(blob));
           },
       .check =
           [](Lab& lab) {
             lab.expect(lab.requests("POST", kMount).size() == 2, "both layers are mounted");
             lab.expect(lab.requests("POST").size() == 3, "one POST for each blob");
           }},
      mount_refused("F76a", 400),
      mount_refused("F76b", 401),
      mount_refused("F76c", 403),
      mount_refused("F76d", 404),
      mount_refused("F76e", 405),
      mount_refused("F76f", 500),
      mount_refused("F76g", "mounts are cut off", resets("POST", kMount, 0, kAlways)),
      mount_refused("F77", "mounts are answered 201 with another digest",
                    [] {
                      Fault liar =
                          answers("POST", kMount,
                                  answer(201, "",
                                         {{"Location", "/v2/team/app/blobs/x"},
                                          {"Docker-Content-Digest", Digest::of("else").str()}}),
                                  kAlways);
                      return liar;
                    }()),
      {.id = "F78",
       .title = "mounts are answered 201, but nothing is mounted",
       .faults = {answers("POST", kMount, answer(201, "", {{"Location", "/v2/team/app/blobs/x"}}),
                          kAlways)},
       .mountable = true,
       .check =
           [](Lab& lab) {
             lab.expect(lab.requests("PUT", kManifests).size() == 2, "the manifest is put again");
             lab.expect(lab.requests("POST", kMount).size() == 2, "no second mount");
           }},
  };
  return rows;
}

// HEAD of the large layer is answered so; nothing is there.
Fault lying_head(const Lab& lab, int status, HeaderList headers = {}) {
  headers.emplace_back("Transfer-Encoding", "chunked");  // else the length would tell
  return answers("HEAD", Digest::of(lab.image.layer(1)).str(), {status, std::move(headers), ""},
                 kAlways);
}

Case head_fails(std::string id, int status) {
  return {.id = std::move(id),
          .title = "HEAD of a blob is answered " + std::to_string(status),
          .faults = {answers("HEAD", kBlobs, answer(status), kAlways)},
          .check = [](Lab& lab) { lab.expect(whole_patches(lab) == 1, "POST decides"); }};
}

std::vector<Case> heads() {
  return {
      {.id = "F79a",
       .title = "HEAD says that a blob is there, the manifest's PUT that it is not",
       .arrange = [](Lab& lab) { lab.registry.script(lying_head(lab, 200)); },
       .check =
           [](Lab& lab) {
             lab.expect(lab.requests("PUT", kManifests).size() == 2, "the manifest is put again");
             lab.expect(whole_patches(lab) == 1, "the blob is sent");
           }},
      {.id = "F79b",
       .title = "the manifest's PUT misses a blob for ever",
       .arrange =
           [](Lab& lab) {
             const std::string layer = Digest::of(lab.image.layer(1)).str();
             lab.registry.script(
                 answers("PUT", kManifests,
                         answer(400, error_body("BLOB_UNKNOWN", "blob unknown", layer)), kAlways));
           },
       .ends = fails("protocol|denied|not-found|integrity", "sha256:[0-9a-f]{64}"),
       .check =
           [](Lab& lab) {
             lab.expect(lab.requests("PUT", kManifests).size() == 3, "two more rounds");
           }},
      head_fails("F80a", 403),
      head_fails("F80b", 405),
      head_fails("F80c", 500),
      {.id = "F81",
       .title = "HEAD leads to storage that refuses HEAD, and the blob is not there",
       .registry = with_basic(),
       .faults = {answers("HEAD", "^/storage", answer(403), kAlways)},
       .arrange =
           [](Lab& lab) {
             lab.registry.script(
                 lying_head(lab, 307, {{"Location", lab.registry.other_url("/storage?sig=x")}}));
           },
       .check =
           [](Lab& lab) {
             lab.expect(lab.requests("PUT", kManifests).size() == 2, "the manifest is put again");
             lab.expect(!lab.registry.other_requests().empty(), "storage was asked");
           }},
      {.id = "F82",
       .title = "a blob that was stored cannot be seen for a while",
       .arrange =
           [](Lab& lab) {
             const std::string layer = Digest::of(lab.image.layer(1)).str();
             lab.registry.script(answers("HEAD", layer, answer(404), {2}));
             lab.registry.script(
                 answers("PUT", kManifests,
                         answer(404, error_body("MANIFEST_BLOB_UNKNOWN", "unknown", layer))));
           },
       .check = [](Lab& lab) { lab.expect(whole_patches(lab) == 1, "it is not sent again"); }},
      {.id = "F83",
       .title = "empty blobs are refused",
       .faults = {answers("PUT", "digest=sha256(:|%3A)e3b0c442",
                          answer(400, error_body("EMPTY_UPLOAD", "layer is empty")), kAlways)},
       .image = {.layers = {0}},
       .ends = fails("protocol|denied", "refuses empty blobs")},
  };
}

}  // namespace

std::vector<Case> blob_presence_cases() {
  std::vector<Case> rows{
      {.id = "F73",
       .title = "500 for a commit that was done",
       .faults = {answers_after("PUT", kCommit, answer(500))},
       .check = [](Lab& lab) { lab.expect(whole_patches(lab) == 1, "no second body"); }},
      {.id = "F74",
       .title = "500 on the commit, always",
       .faults = {answers("PUT", kCommit, answer(500), kAlways)},
       .ends = fails("server", "500"),
       .check = [](Lab& lab) { lab.expect(whole_patches(lab) == 1, "no second body"); }},
  };
  for (auto more : {mounts(), heads()})
    for (Case& row : more) rows.push_back(std::move(row));
  return rows;
}

}  // namespace tug::test
