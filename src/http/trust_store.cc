#include "http/trust_store.h"

#include "base/fd.h"
#include "base/strings.h"

#include <tug/error.h>

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <system_error>

namespace tug::http {
namespace {

constexpr std::size_t kMaxCaFile = 8 << 20;
constexpr std::size_t kMaxNames = 8;

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* pointer) const noexcept {
    Free(pointer);
  }
};
using BioPtr = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using CertificatePtr = std::unique_ptr<X509, Deleter<X509_free>>;
using StorePtr = std::unique_ptr<X509_STORE, Deleter<X509_STORE_free>>;

void free_names(GENERAL_NAMES* names) noexcept { GENERAL_NAMES_free(names); }
using NamesPtr = std::unique_ptr<GENERAL_NAMES, Deleter<free_names>>;

// Adds every certificate of a PEM text; says how many.
std::size_t add_certificates(X509_STORE* store, const std::string& pem) {
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  std::size_t count = 0;
  while (const CertificatePtr certificate{
      PEM_read_bio_X509_AUX(bio.get(), nullptr, nullptr, nullptr)}) {
    if (X509_STORE_add_cert(store, certificate.get()) == 1) ++count;
  }
  ERR_clear_error();  // the end of the file is an error to the PEM reader
  return count;
}

// "2e5ac55d.0": a name that `openssl rehash` gives.
bool is_hash_name(std::string_view name) {
  return name.size() == 10 && name[8] == '.' &&
         name.substr(0, 8).find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string text_of(const ASN1_STRING* value) {
  const auto* data = reinterpret_cast<const char*>(ASN1_STRING_get0_data(value));
  return printable({data, static_cast<std::size_t>(ASN1_STRING_length(value))}, 100);
}

std::string address_of(const ASN1_OCTET_STRING* value) {
  const int family = ASN1_STRING_length(value) == 4 ? AF_INET : AF_INET6;
  std::array<char, INET6_ADDRSTRLEN> text{};
  const bool known = ASN1_STRING_length(value) == 4 || ASN1_STRING_length(value) == 16;
  if (known) inet_ntop(family, ASN1_STRING_get0_data(value), text.data(), text.size());
  return text.data();
}

std::string common_name(X509* certificate) {
  std::array<char, 128> text{};
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, text.data(),
                            static_cast<int>(text.size()));
  return printable(text.data(), 100);
}

std::vector<std::string> names_of(X509* certificate) {
  std::vector<std::string> names;
  const NamesPtr list(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; list && i < sk_GENERAL_NAME_num(list.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(list.get(), i);
    if (names.size() == kMaxNames) {
      names.emplace_back("…");
      break;
    }
    if (name->type == GEN_DNS) names.push_back(text_of(name->d.dNSName));
    if (name->type == GEN_IPADD) names.push_back(address_of(name->d.iPAddress));
  }
  if (names.empty()) names.push_back(common_name(certificate));
  return names;
}

extern "C" int tug_verify_and_note(X509_STORE_CTX* context, void* peer) {
  try {
    if (X509* leaf = X509_STORE_CTX_get0_cert(context)) {
      static_cast<PeerCertificate*>(peer)->names = names_of(leaf);
    }
  } catch (...) {  // the names only serve a message
  }
  return X509_verify_cert(context);
}

extern "C" void tug_free_peer(void*, void* peer, CRYPTO_EX_DATA*, int, long, void*) {
  delete static_cast<std::shared_ptr<PeerCertificate>*>(peer);
}

int peer_index() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, tug_free_peer);
  return index;
}

}  // namespace

struct TrustStore::Store {
  StorePtr x509;
  std::map<std::string, std::size_t> files;  // read so far, and the certificates found
};

TrustStore::TrustStore(const std::vector<std::string>& ca_files, const char* system_bundle)
    : store_(std::make_unique<Store>()) {
  store_->x509.reset(X509_STORE_new());
  if (!store_->x509) throw Error(ErrorKind::tls, "OpenSSL has no memory for a certificate store");
  // As Go and libcurl do: what is in the store is trusted, be it a root or not.
  X509_STORE_set_flags(store_->x509.get(), X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST);
  load_system(system_bundle);
  for (const std::string& path : ca_files) load_file(path, true);
  if (description_.empty()) description_ = "none found";
}

TrustStore::~TrustStore() = default;

void TrustStore::load_system(const char* system_bundle) {
  const auto file = env_nonempty("SSL_CERT_FILE");
  const auto directories = env_nonempty("SSL_CERT_DIR");
  if (directories) {
    for (const std::string_view path : split(*directories, ':')) load_directory(std::string(path));
  }
  if (file) {
    load_file(*file, true);
    return;
  }
  constexpr std::array<const char*, 6> kBundles{
      "/etc/ssl/certs/ca-certificates.crt",                 // Debian, Arch
      "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  // Fedora, RHEL
      "/etc/pki/tls/certs/ca-bundle.crt",
      "/etc/ssl/ca-bundle.pem",  // openSUSE
      "/etc/ssl/cert.pem",       // Alpine
      "/etc/pki/tls/cacert.pem"};
  if (system_bundle != nullptr && load_file(system_bundle, false)) return;
  for (const char* path : kBundles) {
    if (load_file(path, false)) return;
  }
  if (!directories) load_directory("/etc/ssl/certs");
}

// Every file of it is read, as Go does. But what `openssl rehash` prepared, links with hashed
// names, is left to OpenSSL, which opens what it needs: to read all of Debian's links takes 70 ms.
void TrustStore::load_directory(const std::string& path) {
  bool hashed = false;
  std::vector<std::string> files;
  std::vector<std::string> links;
  std::error_code error;
  for (std::filesystem::directory_iterator it(path, error), end; !error && it != end;
       it.increment(error)) {
    hashed = hashed || is_hash_name(it->path().filename().string());
    if (it->is_regular_file(error)) {
      (it->is_symlink(error) ? links : files).push_back(it->path().string());
    }
  }
  if (hashed) {
    hashed = X509_STORE_load_path(store_->x509.get(), path.c_str()) == 1;
  } else {
    files.insert(files.end(), links.begin(), links.end());
  }
  std::size_t count = hashed ? 1 : 0;
  for (const std::string& file : files) count += add_file(file);
  note(path, count == 0 ? "no certificate in it" : "");
}

// One unreadable file does not spoil the others of its directory.
std::size_t TrustStore::add_file(const std::string& path) {
  try {
    return add_pem(path, read_file(path, kMaxCaFile));
  } catch (const Error&) {
    return 0;
  }
}

// $SSL_CERT_FILE is often a file of $SSL_CERT_DIR: the second time costs nothing.
std::size_t TrustStore::add_pem(const std::string& path, const std::string& pem) {
  std::error_code error;
  const auto [place, fresh] =
      store_->files.try_emplace(std::filesystem::canonical(path, error).string(), 0);
  if (fresh || error) place->second = add_certificates(store_->x509.get(), pem);
  return place->second;
}

bool TrustStore::load_file(const std::string& path, bool required) {
  try {
    const std::optional<std::string> pem = read_file_if_exists(path, kMaxCaFile);
    if (!pem && !required) return false;
    const std::size_t count = pem ? add_pem(path, *pem) : 0;
    if (count == 0 && !required) return false;
    note(path, !pem ? "not found" : count == 0 ? "no certificate in it" : "");
    return count > 0;
  } catch (const Error&) {
    if (required) note(path, "not readable");
    return false;
  }
}

void TrustStore::note(const std::string& path, std::string_view problem) {
  if (!description_.empty()) description_ += ", ";
  description_ += printable(path, 200);
  if (!problem.empty()) description_ += " (" + std::string(problem) + ")";
}

void TrustStore::install(void* ssl_ctx, std::shared_ptr<PeerCertificate> peer) const {
  auto* context = static_cast<SSL_CTX*>(ssl_ctx);
  SSL_CTX_set1_cert_store(context, store_->x509.get());
  PeerCertificate* raw = peer.get();
  auto owner = std::make_unique<std::shared_ptr<PeerCertificate>>(std::move(peer));
  if (SSL_CTX_set_ex_data(context, peer_index(), owner.get()) != 1) return;
  owner.release();  // tug_free_peer deletes it
  SSL_CTX_set_cert_verify_callback(context, tug_verify_and_note, raw);
}

}  // namespace tug::http
