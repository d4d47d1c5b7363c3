// TCP connections that are opened before anybody needs them, so that whoever does has not to wait a
// round trip for the handshake. Nothing is sent on them.
#ifndef TUG_HTTP_SPARE_SOCKETS_H_
#define TUG_HTTP_SPARE_SOCKETS_H_

#include "base/fd.h"

#include <sys/socket.h>

#include <span>
#include <vector>

namespace tug::http {

// One thread's.
class SpareSockets {
 public:
  // Begins to connect to `address`. Whatever fails: then there is no spare one.
  void open(std::span<const std::byte> address);
  // One that is connected to `address` by now and was not closed by the other end; or none.
  UniqueFd take(std::span<const std::byte> address);

 private:
  struct Spare {
    std::vector<std::byte> address;
    UniqueFd fd;
  };
  std::vector<Spare> spares_;
};

}  // namespace tug::http

#endif  // TUG_HTTP_SPARE_SOCKETS_H_
