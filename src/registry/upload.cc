#include "registry/upload.h"

#include "base/strings.h"
#include "registry/error_body.h"
#include "registry/retries.h"
#include "registry/write.h"
#include "stream/file_source.h"

#include <fmt/format.h>

#include <utility>

namespace tug::registry {
namespace {

using std::chrono::milliseconds;

constexpr std::chrono::seconds kTokenReserve{60};  // rule R3.9
constexpr int kMaxReauthorisations = 2;            // 3.5
constexpr int kMaxSmallerSteps = 5;                // 5.6
constexpr int kMaxResends = 3;                     // rule R5.1

http::Headers octet_stream() {
  http::Headers headers;
  headers.add("Content-Type", "application/octet-stream");
  return headers;
}

// The same failure, named differently.
Error as_kind(ErrorKind kind, const Error& error, std::string message) {
  Error changed(kind, std::move(message));
  if (error.http_status()) changed.set_http_status(*error.http_status());
  changed.set_registry_codes(error.registry_codes());
  if (!error.hint().empty()) changed.set_hint(error.hint());
  return changed;
}

bool is_write_of_part(Step step) noexcept { return step == Step::patch || step == Step::chunk; }

}  // namespace

Upload::Upload(const UploadTarget& target, UploadContent& content, SentCallback sent,
               std::stop_token stop)
    : target_(target),
      content_(content),
      sent_(std::move(sent)),
      stop_(std::move(stop)),
      attempts_(target.host.environment(), stop_),
      chunk_(usual_chunk()),
      descriptor_(content.descriptor()) {}

Descriptor Upload::run() {
  try {
    choose_mode();
    continue_earlier();
    while (!committed_) attempt();
  } catch (const Error& error) {
    leave(error);
    throw;
  } catch (...) {
    cancel();
    throw;
  }
  if (claim_) claim_->forget();
  if (sent_) sent_(descriptor_->size);  // whatever it took
  return *descriptor_;
}

// --- the story -----------------------------------------------------------------------------------

// What an earlier process left of this blob, if anything; and this one's place for leaving it.
void Upload::continue_earlier() {
  const auto& resume = target_.host.environment().resume;
  const std::string key = content_.resume_key();
  const bool is_large = content_.size().value_or(UINT64_MAX) >= target_.tuning.keep_from;
  if (!resume || !is_large || key.empty() || !rule().allowed) return;
  claim_ = resume->claim({target_.name.registry(), target_.name.repository(), key});
  if (!claim_ || !claim_->session()) return;
  auto found = find_session(target_, *claim_->session(), stop_);
  const bool fits = found && found->stored >= target_.tuning.small_blob &&
                    found->stored <= content_.size().value_or(UINT64_MAX);
  if (!fits) {
    if (found) cancel_sessions(target_, {std::move(found->session)}, stop_);
    claim_->forget();
    return;
  }
  debug(fmt::format("continuing an earlier upload at byte {}", found->stored));
  if (session_) cancel_sessions(target_, {*session_}, stop_);  // what a refused mount opened
  session_ = std::move(found->session);
  is_earlier_ = true;
  continue_at(found->stored);
}

void Upload::attempt() {
  if (!session_ && may_post_whole()) {
    try_post_whole();
    if (committed_) return;
  }
  if (!session_) {
    const auto digest = descriptor_ ? std::optional(descriptor_->digest) : std::nullopt;
    session_ = open_session(target_, digest, stop_);
  }
  save_session();
  adapt_to_session();
  const Outcome outcome = send_in_mode();
  if (!outcome.done()) recover(outcome);
}

// Once a blob; of those whose registry has not been tried yet, one tries it.
bool Upload::may_post_whole() {
  using OnePost = UploadHabits::OnePost;
  if (std::exchange(posted_, true) || mode_ != UploadMode::put || !descriptor_) return false;
  // Such a body goes without the pace of others.
  if (target_.host.environment().bytes_per_second) return false;
  const std::uint64_t size = descriptor_->size;
  const bool is_usual = descriptor_->digest.algorithm() == DigestAlgorithm::sha256;
  if (size == 0 || size > target_.tuning.one_post || !is_usual) return false;
  bool may = false;
  target_.habits.learn([&](UploadHabits::Values& values) {
    may = values.one_post == OnePost::taken;
    if (values.one_post != OnePost::untried || size > target_.tuning.one_post_trial) return;
    may = true;
    values.one_post = OnePost::trying;
  });
  return may;
}

// Mode D. Whatever goes wrong with the way itself, there are the other modes. Most registries do
// not know it and open a session, which is used.
void Upload::try_post_whole() {
  using OnePost = UploadHabits::OnePost;
  OnePost learnt = OnePost::untried;
  const auto learn = [&] {
    target_.habits.learn([&](UploadHabits::Values& values) { values.one_post = learnt; });
  };
  try {
    learnt = post_whole();
  } catch (...) {
    learn();
    throw;
  }
  learn();
}

// What it shows of the registry.
UploadHabits::OnePost Upload::post_whole() {
  using OnePost = UploadHabits::OnePost;
  const bool is_trial = target_.habits.get().one_post == OnePost::trying;
  content_.seek(0);
  std::string bytes = read_small(*content_.rest().source, descriptor_->size).value_or("");
  content_.finish();
  std::optional<Answer> answer;
  try {
    answer = registry::post_whole(target_, descriptor_->digest, std::move(bytes), stop_);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::interrupted) throw;
    debug(error.what());
    return OnePost::refused;
  }
  const int status = answer->response.status;
  if (status == 202) {
    session_ = session_from(target_.host, *answer);
    return OnePost::refused;
  }
  if (status == 403 || status == 404) {
    // Who may not write, or where there is nothing to write to: that is no matter of the way.
    const Error refusal = target_.host.failure(*answer, target_.scopes);
    if (refusal.has_registry_code("DENIED") || refusal.has_registry_code("NAME_UNKNOWN"))
      throw refusal;
  }
  const bool is_busy = http::is_retryable_status(status) && status != 500;
  if (is_busy) return is_trial ? OnePost::untried : OnePost::taken;
  // The first time somebody else is asked than who says so.
  committed_ = status == 201 && !contradicts(answer->response, descriptor_->digest) &&
               (!is_trial || is_there());
  if (!committed_) return OnePost::refused;
  total_sent_ += descriptor_->size;
  return OnePost::taken;
}

Upload::Outcome Upload::send_in_mode() {
  if (content_.size().value_or(UINT64_MAX) > target_.tuning.small_blob)
    target_.host.refresh_token(target_.scopes, kTokenReserve, stop_);
  if (mode_ == UploadMode::put) return put_whole();
  const Outcome outcome = mode_ == UploadMode::patch ? send_whole() : send_chunks();
  return outcome.done() ? commit() : outcome;
}

// Before there is a session: by size, and by what earlier blobs taught (5.5).
void Upload::choose_mode() {
  const UploadHabits::Values habits = target_.habits.get();
  const bool chunks_will_do = habits.length_needed && !habits.patch_refused && rule().allowed;
  if (!content_.size() && chunks_will_do) {
    mode_ = UploadMode::chunks;
    return;
  }
  if (!content_.size() && (habits.length_needed || habits.patch_refused)) measure();
  const bool small = content_.size().value_or(UINT64_MAX) <= target_.tuning.small_blob;
  mode_ =
      habits.patch_refused || (small && !habits.put_refused) ? UploadMode::put : UploadMode::patch;
}

// What the registry says of chunks, now or to an earlier blob, may rule out a single request.
void Upload::adapt_to_session() {
  if (mode_ == UploadMode::chunks || !rule().allowed) return;
  const std::uint64_t size = content_.size().value_or(UINT64_MAX);
  const std::uint64_t told =
      session_->max_chunk ? with_headers({}, {}, session_->max_chunk).max : UINT64_MAX;
  const auto learned = target_.habits.get().largest_body;
  const auto wanted = target_.host.environment().chunk_size;
  const std::uint64_t largest =
      std::min({told, learned.value_or(UINT64_MAX), wanted.value_or(UINT64_MAX)});
  if (size <= largest) return;
  mode_ = UploadMode::chunks;
  chunk_ = std::min(chunk_, learned.value_or(chunk_));
}

// Mode A, the wire pattern of docker, podman and crane.
Upload::Outcome Upload::send_whole() {
  last_body_ = content_.size().value_or(UINT64_MAX);
  return request(Step::patch, http::Method::patch, session_->url, octet_stream(), [this] {
    content_.seek(0);
    return content_.rest();
  });
}

// Mode B. The digest is checked before the last part of the body leaves (body_of).
Upload::Outcome Upload::put_whole() {
  if (descriptor_->size == 0) {
    content_.seek(0);
    content_.rest();
    return commit();
  }
  last_body_ = descriptor_->size;
  Outcome outcome = request(Step::put, http::Method::put,
                            commit_url(*session_, descriptor_->digest), octet_stream(), [this] {
                              content_.seek(0);
                              return content_.rest();
                            });
  if (outcome.remedy == Remedy::confirm && !confirmed()) throw *outcome.error;
  committed_ = outcome.done() || outcome.remedy == Remedy::confirm;
  if (committed_) outcome.remedy = Remedy::proceed;
  return outcome;
}

// Mode C, from offset_ on.
Upload::Outcome Upload::send_chunks() {
  for (;;) {
    content_.seek(offset_);
    const ChunkRule limits = rule();
    const UploadContent::Piece chunk =
        content_.chunk(chunk_size(chunk_, limits, content_.size()), limits.max);
    if (*chunk.length == 0) return {Step::chunk, Remedy::proceed, {}, false, {}, {}};
    const std::uint64_t end = offset_ + *chunk.length;
    Outcome outcome = send_chunk(chunk);
    if (!outcome.done()) return outcome;
    if (!accept_receipt(outcome, end)) {
      outcome.remedy = Remedy::restart_once;
      outcome.error = Error(ErrorKind::protocol,
                            fmt::format("{} says that it has {} bytes after it was sent {}",
                                        target_.name.registry(), outcome.stored.bytes, end));
      return outcome;
    }
    note_progress();
    save_session();
    if (chunk.last && offset_ == end) return outcome;
  }
}

Upload::Outcome Upload::send_chunk(const UploadContent::Piece& chunk) {
  last_body_ = *chunk.length;
  http::Headers headers = octet_stream();
  headers.add("Content-Range", fmt::format("{}-{}", offset_, offset_ + *chunk.length - 1));
  bool first = true;
  return request(Step::chunk, http::Method::patch, session_->url, std::move(headers), [&] {
    if (std::exchange(first, false)) return chunk;
    content_.seek(offset_);  // a redirected chunk is sent from its beginning
    return content_.chunk(*chunk.length, *chunk.length);
  });
}

// PUT without a body: cheap to repeat, which is why A and C end in it.
Upload::Outcome Upload::commit() {
  descriptor_ = content_.finish();
  for (bool repeated = false;;) {
    Outcome outcome = request(Step::commit, http::Method::put,
                              commit_url(*session_, descriptor_->digest), {}, nullptr);
    committed_ = outcome.done();
    if (committed_) return outcome;
    const bool answer_lost =
        outcome.broken || outcome.remedy == Remedy::confirm || outcome.remedy == Remedy::restart;
    committed_ = answer_lost ? confirmed() : outcome.remedy == Remedy::repeat && is_there();
    if (committed_) {
      outcome.remedy = Remedy::proceed;
      return outcome;
    }
    if (outcome.remedy == Remedy::confirm) throw *outcome.error;
    if (descriptor_->size == 0) outcome.error->set_hint("the registry refuses empty blobs");
    if (outcome.remedy != Remedy::repeat) return outcome;
    if (!outcome.broken) {
      attempts_.failed(*outcome.error, outcome.retry_after);
    } else if (std::exchange(repeated, true)) {
      outcome.remedy = Remedy::restart;
      return outcome;
    }
  }
}

std::uint64_t Upload::usual_chunk() const {
  return target_.host.environment().chunk_size.value_or(target_.tuning.chunk);
}

ChunkRule Upload::rule() const {
  ChunkRule rule = chunk_rule(target_.name.registry());
  if (session_) rule = with_headers(rule, session_->min_chunk, session_->max_chunk);
  if (content_.holds_chunks()) {
    if (rule.min > target_.tuning.max_held_chunk) rule.allowed = false;
    rule.max = std::min(rule.max, std::max(rule.min, target_.tuning.held_chunk));
  }
  return rule;
}

// --- requests ------------------------------------------------------------------------------------

Upload::Outcome Upload::request(Step step, http::Method method, const http::Url& url,
                                http::Headers headers,
                                const std::function<UploadContent::Piece()>& piece) {
  Call call;
  call.method = method;
  call.url = url;
  call.headers = std::move(headers);
  call.scopes = target_.scopes;
  call.retry = false;
  if (step == Step::commit) call.bytes_to_digest = descriptor_->size;
  const auto prepare = [&](Call& next) {
    total_sent_ += in_flight_.exchange(0);
    if (piece) next.body = body_of(piece());
  };
  std::optional<Outcome> outcome;
  try {
    const Answer answer =
        call_write(target_.host, std::move(call), RedirectTo::any_host, prepare, stop_);
    in_flight_ = answer.response.body_bytes_sent;
    outcome = read_answer(step, answer);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::network || !error.retryable()) throw;
    const Remedy remedy = step == Step::commit ? Remedy::repeat : Remedy::restart;
    outcome = Outcome{step, remedy, error, true, {}, {}};
    has_broken_ = true;
  }
  total_sent_ += in_flight_.exchange(0);
  return std::move(*outcome);
}

http::RequestBody Upload::body_of(const UploadContent::Piece& piece) {
  http::RequestBody body;
  body.source = piece.source;
  body.length = piece.length;
  // A server may close each connection silently after its answer (F24). Whether it does is seen too
  // late on the connection that brought the session, so that every try would meet the same end.
  body.on_new_connection = has_broken_;
  // Wrong content never becomes a complete body (5.12).
  if (piece.last) body.before_last = [this] { content_.finish(); };
  const std::uint64_t before = mode_ == UploadMode::chunks ? offset_ : 0;
  body.sent = [this, before](std::uint64_t bytes) {
    in_flight_ = bytes;
    in_session_ = before + bytes;
    if (sent_) sent_(before + bytes);
  };
  return body;
}

Upload::Outcome Upload::read_answer(Step step, const Answer& answer) {
  const http::Response& response = answer.response;
  const int status = response.status;
  Outcome outcome{step, Remedy::proceed, {}, false, {}, {}};
  outcome.stored = parse_range(response.headers.get("Range"));
  outcome.retry_after = retry_after(response);
  if (status >= 200 && status <= 299) {
    outcome.remedy = judge(step, status, {}, {});
    outcome.error = unexpected_success(answer, is_write_of_part(step) ? "PATCH" : "PUT of a blob");
    if (!response.body_sent_completely) {
      outcome.remedy = is_write_of_part(step) ? Remedy::restart : Remedy::confirm;
      outcome.error = unexpected_success(answer, "a request whose body it had not read");
    }
    if (is_write_of_part(step))
      keep_location(target_, *session_, answer);
    else if (contradicts(response, descriptor_->digest))
      throw Error(ErrorKind::integrity,
                  fmt::format("{} stored the blob as {}, not as {}", authority(answer.url),
                              printable(*response.headers.get("Docker-Content-Digest"), 100),
                              descriptor_->digest.str()))
          .set_http_status(status);
    return outcome;
  }
  outcome.error = target_.host.failure(answer, target_.scopes);
  outcome.remedy = judge(step, status, outcome.error->registry_codes(), response.body);
  if (status == 404 || outcome.error->has_registry_code("BLOB_UPLOAD_UNKNOWN"))
    session_->gone = true;
  if (status == 416) keep_location(target_, *session_, answer);
  return outcome;
}

// --- the ways on ---------------------------------------------------------------------------------

void Upload::recover(const Outcome& outcome) {
  debug(outcome.error->what());
  const bool is_out_of_step =
      outcome.remedy == Remedy::restart_once || outcome.remedy == Remedy::resync;
  // What the other process left was not what it seemed.
  if (is_out_of_step && is_earlier_) return start_over();
  switch (outcome.remedy) {
    case Remedy::restart:
    case Remedy::repeat:
      return try_again(outcome);
    case Remedy::restart_once:
      return restart_once(outcome);
    case Remedy::reauthorise:
      return reauthorise(outcome);
    case Remedy::use_put:
    case Remedy::use_patch:
      return switch_mode(outcome);
    case Remedy::smaller:
      return make_smaller(outcome);
    case Remedy::need_length:
      return give_length(outcome);
    case Remedy::resync:
      count_resend(outcome, offset_);
      if (!resume(outcome)) start_over();
      return;
    case Remedy::proceed:
    case Remedy::confirm:
    case Remedy::fail:
      break;
  }
  throw *outcome.error;
}

void Upload::try_again(const Outcome& outcome) {
  // What broke off may have been complete for the registry (5.8).
  const bool may_be_there = (outcome.broken || !is_write_of_part(outcome.step)) &&
                            outcome.error->kind() != ErrorKind::rate_limited;
  committed_ = may_be_there && is_there();
  if (committed_) return;
  attempts_.failed(*outcome.error, outcome.retry_after);
  if (!resume(outcome)) start_over();
}

void Upload::restart_once(const Outcome& outcome) {
  if (restarts_++ == 0) return start_over();
  for (const std::string_view code : {"DIGEST_INVALID", "SIZE_INVALID", "BLOB_UPLOAD_INVALID"}) {
    // The content was hashed on its way, so it is not the file that changed.
    if (outcome.error->has_registry_code(code))
      throw as_kind(ErrorKind::integrity, *outcome.error, outcome.error->message());
  }
  throw *outcome.error;
}

// A body was refused, and Host has dropped the token. A chunk goes out again in its session, so
// that a large blob outlives any number of short tokens; a whole body goes into a session of its
// own.
void Upload::reauthorise(const Outcome& outcome) {
  if (reauthorised_++ == kMaxReauthorisations) throw *outcome.error;
  if (outcome.step != Step::chunk) start_over();
}

void Upload::switch_mode(const Outcome& outcome) {
  if (std::exchange(mode_switched_, true)) throw *outcome.error;
  const bool to_put = outcome.remedy == Remedy::use_put;
  target_.habits.learn([to_put](UploadHabits::Values& values) {
    (to_put ? values.patch_refused : values.put_refused) = true;
  });
  start_over();
  if (to_put && !content_.size()) measure();
  mode_ = to_put ? UploadMode::put : UploadMode::patch;
}

void Upload::make_smaller(const Outcome& outcome) {
  const ChunkRule limits = rule();
  auto next = smaller_chunk(last_body_, target_.tuning);
  if (next && *next < limits.min)
    next = limits.min < last_body_ ? std::optional(limits.min) : std::nullopt;
  if (!next || !limits.allowed || ++smaller_steps_ > kMaxSmallerSteps) {
    const std::string size = last_body_ == UINT64_MAX ? "a stream" : human_bytes(last_body_);
    throw as_kind(ErrorKind::limit, *outcome.error,
                  fmt::format("the registry does not take {} in one request: {}", size,
                              outcome.error->message()));
  }
  target_.habits.learn([&](UploadHabits::Values& values) { values.largest_body = *next; });
  start_over();
  chunk_ = *next;
  mode_ = UploadMode::chunks;
}

void Upload::give_length(const Outcome& outcome) {
  if (content_.size()) throw *outcome.error;
  target_.habits.learn([](UploadHabits::Values& values) { values.length_needed = true; });
  const bool chunks_will_do = mode_ == UploadMode::patch && rule().allowed;
  start_over();
  if (!chunks_will_do) measure();
  mode_ = chunks_will_do ? UploadMode::chunks : UploadMode::patch;
}

// Neither a body of unknown length nor chunks: what is left is to make the stream twice.
void Upload::measure() {
  if (const auto& note = target_.host.environment().note)
    note(target_.name.registry() + " takes no body of unknown length: a layer is compressed twice");
  content_.measure();
  descriptor_ = content_.descriptor();
}

// Goes on in the same session, where the registry says that its content ends (5.8).
bool Upload::resume(const Outcome& outcome) {
  const bool chunked = mode_ == UploadMode::chunks;
  if (!is_write_of_part(outcome.step) || session_->gone || !rule().allowed) return false;
  if (!chunked && last_body_ < target_.tuning.resume_from) return false;
  const bool told =
      outcome.remedy == Remedy::resync && outcome.stored.kind == StoredRange::Kind::bytes;
  const StoredRange stored = told ? outcome.stored : ask_session(target_, *session_, stop_);
  if (stored.kind != StoredRange::Kind::bytes) return false;
  if (!chunked && stored.bytes < target_.tuning.resume_from) return false;
  const bool nothing = stored.bytes == 0 && offset_ != 0;
  const std::uint64_t most = last_body_ == UINT64_MAX ? content_.position() : offset_ + last_body_;
  const bool too_much = stored.bytes > most;
  if (nothing || too_much) return false;
  debug(fmt::format("resuming at byte {}", stored.bytes));
  continue_at(stored.bytes);
  return true;
}

// The rest goes in large chunks, for each costs a round trip; unless the user or the registry asked
// for others.
void Upload::continue_at(std::uint64_t offset) {
  if (mode_ != UploadMode::chunks) {
    resumed_ = true;
    mode_ = UploadMode::chunks;
    if (!target_.host.environment().chunk_size)
      chunk_ = std::max(chunk_, target_.tuning.resumed_chunk);
  }
  offset_ = offset;
  in_session_ = offset;
  note_progress();
}

// A large blob over a bad link must finish, but getting as far as before is no progress.
void Upload::note_progress() {
  if (offset_ <= furthest_) return;
  furthest_ = offset_;
  reauthorised_ = 0;
  attempts_.progress();
}

// Rule R5.1; false when the registry claims more than it was sent.
bool Upload::accept_receipt(const Outcome& outcome, std::uint64_t end) {
  switch (judge_receipt(outcome.stored, offset_, end)) {
    case ChunkReceipt::too_much:
      return false;
    case ChunkReceipt::complete:
      offset_ = end;
      return true;
    case ChunkReceipt::ask:
      break;
  }
  const StoredRange stored = ask_session(target_, *session_, stop_);
  const bool partly =
      stored.kind == StoredRange::Kind::bytes && stored.bytes > offset_ && stored.bytes < end;
  if (partly) count_resend(outcome, stored.bytes);
  offset_ = partly ? stored.bytes : end;
  return true;
}

void Upload::count_resend(const Outcome& outcome, std::uint64_t offset) {
  if (std::exchange(resend_offset_, offset) != offset) resends_ = 0;
  if (++resends_ <= kMaxResends) return;
  throw as_kind(ErrorKind::protocol, *outcome.error,
                fmt::format("the registry does not take the bytes from {} on: {}", offset,
                            outcome.error->message()));
}

void Upload::start_over() {
  cancel();
  offset_ = 0;
  is_earlier_ = false;
  if (std::exchange(resumed_, false)) {
    mode_ = UploadMode::patch;
    chunk_ = usual_chunk();
  }
  if (sent_) sent_(0);
}

// For another process, should this one be killed. A URL on another host is a credential: it stays
// in memory.
void Upload::save_session() noexcept {
  if (!claim_) return;
  if (session_->foreign) {
    claim_->forget();
  } else {
    claim_->save(session_->url.target());
  }
}

// The upload failed. If it is worth it and may be continued, the session stays at the registry.
void Upload::leave(const Error& error) noexcept {
  switch (error.kind()) {
    case ErrorKind::interrupted:
    case ErrorKind::network:
    case ErrorKind::server:
    case ErrorKind::rate_limited:
    case ErrorKind::auth:
      break;
    default:
      return cancel();
  }
  if (!session_) return;  // an earlier one, perhaps, that nobody could be asked about
  const bool is_kept =
      claim_ && claim_->session() && !session_->gone && in_session_ >= target_.tuning.keep_from;
  if (!is_kept) return cancel();
  claim_->keep(target_.host.environment().note);
  session_.reset();
}

// Best effort (5.15): the registry purges forgotten sessions by itself.
void Upload::cancel() noexcept {
  if (session_) cancel_sessions(target_, {*session_}, stop_);
  session_.reset();
  in_session_ = 0;
  if (claim_) claim_->forget();
}

bool Upload::confirmed() {
  for (const milliseconds pause : poll_pauses(target_.host.environment().retry)) {
    sleep(target_.host.environment().timing, pause, stop_);
    if (is_there()) return true;
  }
  return false;
}

bool Upload::is_there() {
  if (!descriptor_) return false;
  try {
    return blob_exists(target_, *descriptor_, false, stop_);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::interrupted) throw;
    debug(error.what());
    return false;
  }
}

void Upload::debug(std::string_view what) const {
  const Log& log = target_.host.environment().log;
  if (log.enabled()) log.debug(fmt::format("upload to {}: {}", target_.name.name(), what));
}

}  // namespace tug::registry
