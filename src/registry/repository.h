// The protocol's verbs on one repository (registry-protocol.md 5 and 6). Straight-line code whose
// steps bear the protocol's names. Any thread.
#ifndef TUG_REGISTRY_REPOSITORY_H_
#define TUG_REGISTRY_REPOSITORY_H_

#include "registry/host.h"
#include "registry/referrers.h"
#include "registry/upload_rules.h"
#include "registry/upload_session.h"

#include <tug/blob.h>
#include <tug/descriptor.h>
#include <tug/reference.h>
#include <tug/transport.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace tug::registry {

class Repository {
 public:
  // `writable`: ask for pull,push scopes; else pull. `host` must outlive this.
  Repository(Host& host, RegistryReference name, bool writable, UploadTuning tuning = {});
  Repository(const Repository&) = delete;
  Repository& operator=(const Repository&) = delete;
  ~Repository();

  [[nodiscard]] const RegistryReference& name() const noexcept { return name_; }
  [[nodiscard]] Host& host() noexcept { return host_; }

  // HEAD …/manifests/<identifier>. nullopt: not there, or not to be told (4xx: some registries
  // answer 403 for missing tags). Size 0 / a digest computed from a GET when the registry does not
  // tell them.
  std::optional<Descriptor> head_manifest(const std::string& identifier,
                                          const std::stop_token& stop);
  // The same for who may PUT it next: nullopt also when the registry failed over it (500), as
  // Distribution does when a write that was broken off left an empty file. Manifests that are PUT
  // after that are read back.
  std::optional<Descriptor> manifest_to_replace(const std::string& identifier,
                                                const std::stop_token& stop);
  // GET …/manifests/<identifier>, at most 4 MiB. Throws Error(not_found). With a digest as
  // identifier the bytes are checked against it. `retry` false: another place can be asked.
  RawManifest get_manifest(const std::string& identifier, const std::stop_token& stop,
                           bool retry = true);
  // PUT …/manifests/<identifier>; returns when it counts as stored (6.4), after recovery from lost
  // answers, after which it is read back: Error(integrity) when it cannot be; a manifest with a
  // subject is then listed among the subject's referrers (6.7), or a note says that the registry
  // does not allow it. Throws MissingBlobsError when the registry says that something it names is
  // not there (6.6).
  void put_manifest(const std::string& identifier, const Descriptor& descriptor,
                    const std::string& bytes, const std::stop_token& stop);

  // The manifests that have `subject` as their subject (6.7): the referrers API, all pages, or the
  // referrers tag of registries that do not have it. Empty when neither is there.
  std::vector<Descriptor> referrers(const Digest& subject, const std::stop_token& stop);

  // DELETE …/manifests/<digest>: all its tags go with it. Throws Error(not_found) when it is not
  // there, unless an earlier try of this call may have deleted it; Error(denied) with a hint when
  // the registry deletes nothing (405).
  void delete_manifest(const Digest& digest, const std::stop_token& stop);

  // HEAD …/blobs/<digest> (5.2). Trouble of the registry means false: POST decides.
  bool has_blob(const Descriptor& descriptor, const std::stop_token& stop);
  // The same for a blob of which only the digest is known: its size, or nullopt when it is not
  // there or the size is not told.
  std::optional<std::uint64_t> blob_size(const Digest& digest, const std::stop_token& stop);
  // GET …/blobs/<digest>, redirects followed without credentials; for small blobs: at most
  // `max_bytes`, checked against the descriptor.
  std::string get_blob(const Descriptor& descriptor, std::size_t max_bytes,
                       const std::stop_token& stop);
  // The same for a blob of any size, as it comes in, from `offset` on: what breaks off is continued
  // by Range. Not checked against the digest: that is for who takes it. Ends with `stop`; must not
  // outlive this repository.
  std::unique_ptr<ByteSource> open_blob(const Descriptor& descriptor, std::uint64_t offset,
                                        const std::stop_token& stop);
  // POST …/uploads/?mount=&from= (5.3). False: not mounted; a session that the registry opened
  // instead (202) is kept for the next put_blob of this digest, or for any put_stream.
  // `from_repository` may be this one.
  bool mount_blob(const Descriptor& descriptor, const std::string& from_repository,
                  const std::stop_token& stop);

  // Uploads and commits; returns the bytes of body sent, repeats included (5.5-5.13).
  std::uint64_t put_blob(const Blob& blob, const SentCallback& sent, const std::stop_token& stop);
  Descriptor put_stream(const StreamedBlob& blob, const SentCallback& sent,
                        const std::stop_token& stop);
  // Cancels what refused mounts opened and no upload needed: best effort, within seconds (5.15),
  // and after a stop within what the uploads' own cancelling left of them.
  void cancel_sessions(const std::stop_token& stop) noexcept;

  // All tags, in the server's order, pages followed. Throws Error(limit) when they would fill the
  // memory.
  std::vector<std::string> list_tags(const std::stop_token& stop);
  // The same a page at a time, so that there may be any number of them. `retry` false: another
  // place can be asked, as long as there is no page.
  void list_tags(const std::function<void(const std::vector<std::string>&)>& page,
                 const std::stop_token& stop, bool retry = true);
  // Those of the first page, by one request that is not tried again: for a hint.
  std::vector<std::string> first_tags(const std::stop_token& stop);

 private:
  struct Uploads;
  [[nodiscard]] std::string path(std::string_view rest) const;
  [[nodiscard]] Call read_call(std::string_view rest) const;
  [[nodiscard]] Call tags_call() const;
  [[nodiscard]] UploadTarget upload_target() const;
  Answer read_all(const Call& call, const std::stop_token& stop);
  Answer fetch_manifest(const std::string& identifier, bool retry, const std::stop_token& stop);

  std::optional<Descriptor> look_up_manifest(const std::string& identifier, bool retry,
                                             const std::stop_token& stop);
  bool names(const std::string& identifier, const Digest& digest, bool retry,
             const std::stop_token& stop);
  std::optional<Answer> store_manifest(const std::string& identifier, const Descriptor& descriptor,
                                       const std::string& bytes, const std::stop_token& stop);
  void check_stored(const Answer& answer, const std::string& identifier, const Digest& digest,
                    const std::stop_token& stop);
  void check_readable(const Digest& digest, const std::stop_token& stop);
  std::vector<Descriptor> tagged_referrers(const Digest& subject, const std::stop_token& stop);
  bool has_referrers_api(const Digest& subject, const std::stop_token& stop);
  void list_or_note(const Referrer& referrer, const std::stop_token& stop);
  void list_referrer(const Referrer& referrer, const std::stop_token& stop);

  Host& host_;
  const RegistryReference name_;
  const std::vector<std::string> scopes_;
  const std::unique_ptr<Uploads> uploads_;
  std::atomic<bool> reads_back_ = false;  // the registry failed over a manifest that it has
};

}  // namespace tug::registry

#endif  // TUG_REGISTRY_REPOSITORY_H_
