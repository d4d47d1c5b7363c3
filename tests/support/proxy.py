"""Proxies in front of a registry, for what no real registry does when one wants it.

A TCP proxy that stops once, in the middle of an upload, and lets the test do something:

    with PausingProxy(registry.address, after_bytes=1 << 20, action=truncate_the_file) as proxy:
        tug copy ... docker://{proxy.address}/...

`trigger` is looked for in what the client sends on one connection; once `after_bytes` more have passed, `action` runs (once, while
nothing is forwarded on that connection) and the stream goes on. `proxy.cut` as the action breaks it off. The registry answers with URLs for the host that the client named, so
the whole push stays on the proxy.

An HTTP proxy whose answers say something else than the registry's:

    with AlteringProxy(registry.address, alter=lambda method, path, headers: {**headers, "Docker-Content-Digest": other}) as proxy: ...
"""

import http.client
import http.server
import socket
import threading

from .loopback_server import LoopbackServer


class PausingProxy:
    def __init__(self, target, *, action, trigger=b"PATCH ", after_bytes=0):
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._action = action
        self._trigger = trigger
        self._after_bytes = after_bytes
        self._fired = threading.Event()
        self._lock = threading.Lock()
        self._sockets = []
        self._threads = []
        self._client_bytes = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]

    @property
    def fired(self):
        return self._fired.is_set()

    @property
    def client_bytes(self):
        """What clients have sent so far, all connections together."""
        with self._lock:
            return self._client_bytes

    def __enter__(self):
        self._start(self._accept)
        return self

    def __exit__(self, *_):
        _close(self._listener)
        self.cut()
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(30)

    def cut(self):
        """Breaks all connections that are open now."""
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for each in sockets:
            _close(each)

    def _start(self, function, *args):
        thread = threading.Thread(target=function, args=args, daemon=True)
        with self._lock:
            self._threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            # A small buffer: what the action changes on disk must not have been read already.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            try:
                server = socket.create_connection(self._target)
            except OSError:
                _close(client)
                continue
            with self._lock:
                self._sockets += [client, server]
            self._start(self._forward, client, server, True)
            self._start(self._forward, server, client, False)

    def _forward(self, source, sink, watch):
        seen, countdown = b"", None
        try:
            while data := source.recv(65536):
                sink.sendall(data)
                if not watch:
                    continue
                with self._lock:
                    self._client_bytes += len(data)
                if self._fired.is_set():
                    continue
                if countdown is None:
                    seen = seen[-len(self._trigger):] + data
                    if self._trigger in seen:
                        countdown = self._after_bytes
                else:
                    countdown -= len(data)
                if countdown is not None and countdown <= 0:
                    self._fire()
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            _close(source)
            _close(sink)

    def _fire(self):
        with self._lock:
            if self._fired.is_set():
                return
            self._fired.set()
        self._action()


def _close(each):
    try:
        each.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    each.close()


class AlteringProxy(LoopbackServer):
    """`alter`: (method, path, {header of the answer: value}) → the headers to send on."""

    def __init__(self, target, *, alter):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _forward(self):
                upstream = http.client.HTTPConnection(target, timeout=30)
                upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() not in ("transfer-encoding", "content-length", "connection", "expect"):
                        upstream.putheader(name, value)
                body = self._body()
                upstream.putheader("Content-Length", str(len(body)))
                upstream.endheaders(body)
                answer = upstream.getresponse()
                content = answer.read()
                headers = {name: value for name, value in answer.getheaders()
                           if name.lower() not in ("transfer-encoding", "content-length", "connection")}
                if self.command == "HEAD" and answer.getheader("Content-Length"):
                    length = answer.getheader("Content-Length")
                else:
                    length = str(len(content))
                self.send_response_only(answer.status)
                for name, value in alter(self.command, self.path, headers).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", length)
                self.end_headers()
                self.wfile.write(content)
                upstream.close()

            def _body(self):
                if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                    return self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = _forward

            def log_message(self, *_):
                pass

        super().__init__(Handler)
