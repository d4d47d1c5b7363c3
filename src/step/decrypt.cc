#include "step/decrypt.h"

#include "base/strings.h"
#include "base/subprocess.h"
#include "step/step_error.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

namespace tug::step {
namespace {

// A key service far away may take its time; a sops that waits for a passphrase nobody types may
// not.
constexpr std::chrono::minutes kSopsTimeout{2};
constexpr std::size_t kMaxDecrypted = std::size_t{1024} * 1024;

bool names_confidential(std::string_view key) {
  const std::string lower = to_lower(key);
  return lower.find("password") != std::string::npos || lower.find("username") != std::string::npos;
}

bool is_password(const Place* place) {
  for (const Place* at = place; at != nullptr && at->parent; at = at->parent.get())
    if (to_lower(at->part).find("password") != std::string::npos) return true;
  return false;
}

// ^ENC\[.*\]$, in which Python's $ allows for a last line break.
bool is_sops_text(std::string_view text) noexcept {
  if (text.ends_with('\n')) text.remove_suffix(1);
  return text.starts_with("ENC[") && text.ends_with(']') &&
         text.find('\n') == std::string_view::npos;
}

bool is_scalar(const Value& value) noexcept {
  return !value.is_null() && !value.is_list() && !value.is_map();
}

// As it is pasted, as it goes to the registry, and as it was written.
void hide(SecretMask& mask, const Value& secret) {
  const std::string text = secret.str();
  mask.add(text);
  mask.add(trim(text));
  mask.add(secret.written());
}

Value run_sops(const Value& value, const Decryptor& sops, const std::stop_token& stop) {
  const Place* place = value.place().get();
  const std::string what = "decrypting " + value.where();
  if (place == nullptr || place->file() == kStepConfigSource)
    throw StepError(StepStatus::fatal,
                    what + ": sops decrypts values of files only; put it into one given with -c");
  std::vector<std::string> argv = {"sops", "--decrypt", "--extract=" + place->sops_path(),
                                   place->file()};
  argv.insert(argv.end(), sops.arguments.begin(), sops.arguments.end());
  std::optional<ProcessResult> result;
  try {
    result = run_process(argv, "", kSopsTimeout, kMaxDecrypted, stop);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::interrupted) throw;
    throw StepError(StepStatus::fatal, what + ": " + error.what());
  }
  if (!result) throw StepError(StepStatus::fatal, what + ": there is no program sops on PATH");
  if (result->exit_status != 0)
    throw StepError(StepStatus::fatal, what + ": sops failed with exit status " +
                                           std::to_string(result->exit_status) +
                                           " (it says why above)");
  Value decrypted(std::move(result->output));
  decrypted.set_place(value.place());
  return decrypted;
}

std::vector<std::string> sops_arguments(const Value* config) {
  std::vector<std::string> arguments;
  const Value* list = config == nullptr ? nullptr : config->find("additional_sops_args");
  if (list == nullptr || list->is_null()) return arguments;
  if (!list->is_list())
    throw StepError(
        StepStatus::invalid_config,
        list->where() + " is " + std::string(list->type_name()) + ", not a list of arguments");
  for (const Value& item : *list->as_list()) arguments.push_back(item.str());
  return arguments;
}

Decryptor read_decryptor(const Value& entry) {
  const Value* implementer = entry.find("implementer");
  if (implementer == nullptr || !implementer->is_string())
    throw StepError(StepStatus::invalid_config,
                    entry.where() + " is missing the key implementer: SOPS or ObfuscationDefaults");
  const std::string& name = *implementer->as_string();
  const std::string_view short_name = std::string_view(name).substr(name.rfind('.') + 1);
  if (short_name == "SOPS") return {Decryptor::Kind::sops, sops_arguments(entry.find("config"))};
  if (short_name == "ObfuscationDefaults") return {Decryptor::Kind::obfuscation_defaults, {}};
  throw StepError(StepStatus::invalid_config, implementer->where() + ": no decryptor is called " +
                                                  python_repr(name) +
                                                  "; there are SOPS and ObfuscationDefaults");
}

}  // namespace

// --- masks ---

void SecretMask::add(std::string_view secret) {
  if (secret.size() < kShortest) return;
  const auto longer_than = [](const Secret& known, std::string_view text) {
    return known.reveal().size() > text.size();
  };
  const auto at = std::lower_bound(secrets_.begin(), secrets_.end(), secret, longer_than);
  for (auto known = at; known != secrets_.end() && known->reveal().size() == secret.size(); ++known)
    if (known->reveal() == secret) return;
  secrets_.insert(at, Secret(std::string(secret)));
}

std::string SecretMask::mask(std::string_view text) const {
  std::string masked(text);
  for (const Secret& secret : secrets_) {
    std::size_t at = masked.find(secret.reveal());
    while (at != std::string::npos) {
      masked.replace(at, secret.reveal().size(), kMask);
      at = masked.find(secret.reveal(), at + kMask.size());
    }
  }
  return masked;
}

bool is_confidential(const Place* place) {
  for (const Place* at = place; at != nullptr && at->parent; at = at->parent.get())
    if (at->is_text && names_confidential(at->part)) return true;
  return false;
}

// --- decryptors ---

std::vector<Decryptor> read_decryptors(const Value& list) {
  if (!list.is_list())
    throw StepError(
        StepStatus::invalid_config,
        list.where() + " is " + std::string(list.type_name()) + ", not a list of decryptors");
  std::vector<Decryptor> decryptors;
  for (const Value& entry : *list.as_list()) decryptors.push_back(read_decryptor(entry));
  return decryptors;
}

const Decryptor* Decryptors::claimant(const Value& value) const {
  for (const Decryptor& decryptor : decryptors_) {
    const bool claims = decryptor.kind == Decryptor::Kind::sops
                            ? is_sops_text(value.str())
                            : is_confidential(value.place().get());
    if (claims) return &decryptor;
  }
  return nullptr;
}

bool Decryptors::claims(const Value& value) const {
  if (value.place() && read_.count(value.place()) > 0) return true;
  return is_scalar(value) && claimant(value) != nullptr;
}

Value Decryptors::read(const Value& value, const std::stop_token& stop) {
  Value result = value;
  if (Value::List* items = result.as_list()) {
    for (Value& item : *items) item = read(item, stop);
  } else if (Value::Map* entries = result.as_map()) {
    for (auto& [key, content] : *entries) content = read(content, stop);
  } else if (is_scalar(value)) {
    result = read_scalar(value, stop);
  }
  return result;
}

Value Decryptors::read_scalar(const Value& value, const std::stop_token& stop) {
  const Decryptor* decryptor = claimant(value);
  if (decryptor == nullptr) {
    if (is_password(value.place().get())) hide(mask_, value);
    return value;
  }
  const auto known = read_.find(value.place());
  if (value.place() && known != read_.end()) return known->second;
  Value result =
      decryptor->kind == Decryptor::Kind::sops ? run_sops(value, *decryptor, stop) : value;
  hide(mask_, result);
  hide(claimed_, result);
  read_[value.place()] = result;
  return result;
}

}  // namespace tug::step
