"""A name server for one network namespace: A records from a table, and what was asked.

    with DnsServer({"registry.test": "127.0.0.1"}) as server:
        server.address       # for resolv.conf
        server.questions     # [("registry.test", "A"), ("registry.test", "AAAA"), ...]

It answers over UDP, port 53: the caller has a network of its own (see `own_network`).
"""

import ctypes
import fcntl
import os
import socket
import struct
import threading

_TYPES = {1: "A", 28: "AAAA"}
_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1


def own_network():
    """Puts the calling thread, and what it starts from now on, into a new network of nothing but loopback. OSError if the machine forbids it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWNET): " + os.strerror(ctypes.get_errno()))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP))


class DnsServer:
    address = "127.0.0.53"

    def __init__(self, hosts):
        self._hosts = hosts
        self.questions = []

    def __enter__(self):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((self.address, 53))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return self

    def __exit__(self, *_):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", (self.address, 53))
        self._thread.join()
        self._socket.close()

    def _serve(self):
        while True:
            query, client = self._socket.recvfrom(512)
            if not query:
                return
            self._socket.sendto(self._answer(query), client)

    def _answer(self, query):
        """RFC 1035 4: a header, the question repeated, and an A record whose name points at the question's."""
        labels, end = [], 12
        while query[end]:
            labels.append(query[end + 1:end + 1 + query[end]].decode())
            end += 1 + query[end]
        name, kind = ".".join(labels).lower(), struct.unpack(">H", query[end + 1:end + 3])[0]
        self.questions.append((name, _TYPES.get(kind, str(kind))))
        address = self._hosts.get(name)
        record = struct.pack(">HHHIH", 0xC00C, 1, 1, 60, 4) + socket.inet_aton(address) if address and kind == 1 else b""
        not_found = 0 if address else 3
        header = query[:2] + struct.pack(">HHHHH", 0x8180 | not_found, 1, 1 if record else 0, 0, 0)
        return header + query[12:end + 5] + record
