// One blob upload (registry-protocol.md 5): the three modes, and the way on after whatever goes
// wrong. The decisions are in upload_rules.h, the bytes in upload_content.h, and what is said about
// the session in upload_session.h.
#ifndef TUG_REGISTRY_UPLOAD_H_
#define TUG_REGISTRY_UPLOAD_H_

#include "registry/attempts.h"
#include "registry/host.h"
#include "registry/upload_content.h"
#include "registry/upload_rules.h"
#include "registry/upload_session.h"

#include <tug/descriptor.h>
#include <tug/error.h>
#include <tug/transport.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string_view>

namespace tug::registry {

// One upload; used once, by one thread (`sent` comes on the HTTP loop's).
class Upload {
 public:
  Upload(const UploadTarget& target, UploadContent& content, SentCallback sent,
         std::stop_token stop);
  Upload(const Upload&) = delete;
  Upload& operator=(const Upload&) = delete;

  // Continues a session that a refused mount opened (5.3).
  void adopt(UploadSession session) { session_ = std::move(session); }
  // Uploads and commits. Throws Error; the session is cancelled then.
  Descriptor run();
  // Bytes of body sent, repeats included, but for a trial of mode D that was not taken.
  [[nodiscard]] std::uint64_t bytes_sent() const noexcept { return total_sent_; }

 private:
  // What one request came to.
  struct Outcome {
    Step step;
    Remedy remedy;
    std::optional<Error> error;  // set unless remedy is proceed: what to throw if it does not help
    bool broken = false;         // the connection broke: no answer
    std::optional<std::chrono::milliseconds> retry_after;
    StoredRange stored;
    [[nodiscard]] bool done() const noexcept { return remedy == Remedy::proceed; }
  };

  // The story: one try in the present mode, and the way on if it failed.
  void continue_earlier();
  void attempt();
  bool may_post_whole();
  void try_post_whole();
  UploadHabits::OnePost post_whole();
  Outcome send_in_mode();
  Outcome send_whole();
  Outcome send_chunks();
  Outcome send_chunk(const UploadContent::Piece& chunk);
  Outcome put_whole();
  Outcome commit();
  void choose_mode();
  void adapt_to_session();

  [[nodiscard]] std::uint64_t usual_chunk() const;
  [[nodiscard]] ChunkRule rule() const;

  // Requests.
  Outcome request(Step step, http::Method method, const http::Url& url, http::Headers headers,
                  const std::function<UploadContent::Piece()>& piece);
  http::RequestBody body_of(const UploadContent::Piece& piece);
  Outcome read_answer(Step step, const Answer& answer);

  // The ways on. They leave the state from which attempt() can go on, or throw.
  void recover(const Outcome& outcome);
  void try_again(const Outcome& outcome);
  void switch_mode(const Outcome& outcome);
  void make_smaller(const Outcome& outcome);
  void give_length(const Outcome& outcome);
  void measure();
  void restart_once(const Outcome& outcome);
  void reauthorise(const Outcome& outcome);
  bool resume(const Outcome& outcome);
  void continue_at(std::uint64_t offset);
  bool accept_receipt(const Outcome& outcome, std::uint64_t end);
  void note_progress();
  void count_resend(const Outcome& outcome, std::uint64_t offset);
  void start_over();
  void save_session() noexcept;
  void leave(const Error& error) noexcept;
  void cancel() noexcept;
  bool confirmed();
  bool is_there();
  void debug(std::string_view what) const;

  const UploadTarget& target_;
  UploadContent& content_;
  const SentCallback sent_;
  const std::stop_token stop_;
  Attempts attempts_;

  UploadMode mode_ = UploadMode::patch;
  std::uint64_t chunk_;          // preferred size in mode chunks
  std::uint64_t offset_ = 0;     // mode chunks: the registry has everything before it
  std::uint64_t furthest_ = 0;   // the largest offset_ so far
  std::uint64_t last_body_ = 0;  // size of the body last tried, for the step to a smaller one
  std::optional<UploadSession> session_;
  std::optional<Descriptor> descriptor_;  // of the blob, once it is known
  bool committed_ = false;
  bool posted_ = false;  // mode D was thought of

  int restarts_ = 0;
  int reauthorised_ = 0;
  int smaller_steps_ = 0;
  bool mode_switched_ = false;
  bool has_broken_ = false;
  bool resumed_ = false;  // mode chunks only because a whole body broke off
  std::unique_ptr<ResumeState::Claim> claim_;
  bool is_earlier_ = false;  // the session is another process's
  std::uint64_t resend_offset_ = UINT64_MAX;
  int resends_ = 0;

  std::atomic<std::uint64_t> in_flight_{0};   // bytes of the present body that were sent
  std::atomic<std::uint64_t> in_session_{0};  // bytes that were sent in the present session
  std::uint64_t total_sent_ = 0;
};

}  // namespace tug::registry

#endif  // TUG_REGISTRY_UPLOAD_H_
