#include "http/spare_sockets.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace tug::http {
namespace {

constexpr std::size_t kMaxSpares = 8;

const sockaddr* as_sockaddr(std::span<const std::byte> address) {
  return reinterpret_cast<const sockaddr*>(address.data());
}

// Readable means that the other end has closed it, for nobody has asked anything yet.
bool is_usable(const UniqueFd& socket) {
  pollfd state{socket.get(), POLLIN | POLLOUT, 0};
  return ::poll(&state, 1, 0) == 1 && state.revents == POLLOUT;
}

}  // namespace

void SpareSockets::open(std::span<const std::byte> address) {
  if (spares_.size() == kMaxSpares) spares_.erase(spares_.begin());
  UniqueFd fd(
      ::socket(as_sockaddr(address)->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return;
  const int status =
      ::connect(fd.get(), as_sockaddr(address), static_cast<socklen_t>(address.size()));
  if (status == 0 || errno == EINPROGRESS)
    spares_.push_back({{address.begin(), address.end()}, std::move(fd)});
}

UniqueFd SpareSockets::take(std::span<const std::byte> address) {
  const auto is_for_it = [&](const Spare& spare) {
    return std::ranges::equal(spare.address, address);
  };
  UniqueFd fd;
  while (!fd) {
    const auto found = std::ranges::find_if(spares_, is_for_it);
    if (found == spares_.end()) break;
    if (is_usable(found->fd)) fd = std::move(found->fd);
    spares_.erase(found);
  }
  return fd;
}

}  // namespace tug::http
