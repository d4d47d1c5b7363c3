"""Proxies in front of a registry, for what no real registry does when one wants it.

A TCP proxy that stops once, in the middle of an upload, and lets the test do something:

    with PausingProxy(registry.address, after_bytes=1 << 20, action=truncate_the_file) as proxy:
        tug copy ... docker://{proxy.address}/...

`trigger` is looked for in what the client sends on one connection; once `after_bytes` more have passed, `action` runs (once, while
nothing that the client sends is forwarded on that connection) and the stream goes on. With `hold_back` it runs before the trigger passes;
with `lose_answer` it holds nothing, but nothing that the registry says on that connection reaches the client any more. `proxy.cut` as the
action breaks it off. The registry answers with URLs for the host that the client named, so the whole push stays on the proxy.

A TCP proxy that resets its connections:

    with FlakyProxy(registry.address, limits=itertools.repeat((100_000, True))) as proxy: ...

A TCP proxy for what is to be seen while an upload lasts:

    with SlowProxy(registry.address, hold_at=300_000) as proxy: ... proxy.release() or proxy.stop()

An HTTP proxy whose answers say something else than the registry's:

    with AlteringProxy(registry.address, alter=lambda method, path, headers: {**headers, "Docker-Content-Digest": other}) as proxy: ...
"""

import http.client
import socket
import struct
import threading
import time

from .loopback_server import Handler, LoopbackServer


class _TcpProxy:
    """Forwards every connection to `target`. A subclass says in pass_on() what it does about it."""

    def __init__(self, target):
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._lock = threading.Lock()
        self._connections = []
        self._threads = []
        self._client_bytes = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]

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
            connections, self._connections = self._connections, []
        for each in connections:
            each.close()

    def opened(self, connection):
        """A connection is about to be forwarded."""

    def pass_on(self, connection, data, from_client):
        """What came from one end; OSError breaks the connection."""
        (connection.server if from_client else connection.client).sendall(data)
        if from_client:
            with self._lock:
                self._client_bytes += len(data)

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
            # A small buffer: what a test changes while nothing is forwarded must not have been read already.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            try:
                server = socket.create_connection(self._target)
            except OSError:
                _close(client)
                continue
            connection = _Connection(client, server)
            self.opened(connection)
            with self._lock:
                self._connections.append(connection)
            self._start(self._forward, connection, True)
            self._start(self._forward, connection, False)

    def _forward(self, connection, from_client):
        source, sink = (connection.client, connection.server) if from_client else (connection.server, connection.client)
        try:
            while data := source.recv(65536):
                self.pass_on(connection, data, from_client)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            connection.close()


class _Connection:
    def __init__(self, client, server):
        self.client, self.server = client, server

    def close(self):
        _close(self.client)
        _close(self.server)

    def reset(self):
        """Both ends see a reset (RST), and what they have not read yet is lost."""
        for each in (self.client, self.server):
            try:
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                each.shutdown(socket.SHUT_RD)  # says nothing to the peer, but wakes the thread that reads here
            except OSError:
                pass
            each.close()


class PausingProxy(_TcpProxy):
    def __init__(self, target, *, action, trigger=b"PATCH ", after_bytes=0, hold_back=False, lose_answer=False):
        super().__init__(target)
        self._hold_back = hold_back
        self._lose_answer = lose_answer
        self._action = action
        self._trigger = trigger
        self._after_bytes = after_bytes
        self._fired = threading.Event()

    @property
    def fired(self):
        return self._fired.is_set()

    def opened(self, connection):
        connection.seen, connection.countdown, connection.is_mute = b"", None, False

    def pass_on(self, connection, data, from_client):
        if not from_client and connection.is_mute:
            return
        is_due = from_client and not self.fired and self._is_due(connection, data)
        connection.is_mute = connection.is_mute or (is_due and self._lose_answer)
        if is_due and self._hold_back:
            self._fire()
        super().pass_on(connection, data, from_client)
        if is_due and self._lose_answer:
            self._start(self._fire)  # the rest of the request has to pass
        elif is_due and not self._hold_back:
            self._fire()

    def _is_due(self, connection, data):
        if connection.countdown is None:
            connection.seen = connection.seen[-len(self._trigger):] + data
            if self._trigger in connection.seen:
                connection.countdown = self._after_bytes
        else:
            connection.countdown -= len(data)
        return connection.countdown is not None and connection.countdown <= 0

    def _fire(self):
        with self._lock:
            if self._fired.is_set():
                return
            self._fired.set()
        self._action()


class FlakyProxy(_TcpProxy):
    """`limits`: an iterator of (bytes, from_client), one for each connection: it is reset once so many bytes have passed in that
    direction."""

    def __init__(self, target, *, limits):
        super().__init__(target)
        self._limits = limits
        self.resets = 0

    def opened(self, connection):
        connection.left, connection.limits_client = next(self._limits)

    def pass_on(self, connection, data, from_client):
        if from_client != connection.limits_client:
            return super().pass_on(connection, data, from_client)
        super().pass_on(connection, data[:connection.left], from_client)
        connection.left -= len(data)
        if connection.left <= 0:
            with self._lock:
                self.resets += 1
            connection.reset()
            raise ConnectionResetError


class SlowProxy(_TcpProxy):
    """What a client sends passes at `rate` bytes per second on each connection, and each is held once `hold_at` bytes have passed, until
    release() or stop()."""

    def __init__(self, target, *, rate=None, hold_at=None):
        super().__init__(target)
        self._rate, self._hold_at = rate, hold_at
        self._released = threading.Event()
        self._held = threading.Event()

    def __exit__(self, *details):
        self.stop()
        super().__exit__(*details)

    def release(self):
        self._released.set()

    def stop(self):
        """Breaks all connections, and takes no more."""
        _close(self._listener)
        self.cut()
        self.release()

    def opened(self, connection):
        connection.passed = 0

    def pass_on(self, connection, data, from_client):
        super().pass_on(connection, data, from_client)
        if not from_client:
            return
        connection.passed += len(data)
        if self._rate:
            time.sleep(len(data) / self._rate)
        if self._hold_at and connection.passed >= self._hold_at:
            self._held.set()
            self._released.wait()

    def wait_until_held(self, seconds=100):
        """Until a first connection is held."""
        if not self._held.wait(seconds):
            raise TimeoutError("nothing is held")


def _close(each):
    try:
        each.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    each.close()


class AlteringProxy(LoopbackServer):
    """`alter`: (method, path, {header of the answer: value}) → the headers to send on."""

    def __init__(self, target, *, alter):
        class Forwarding(Handler):
            def _forward(self):
                upstream = http.client.HTTPConnection(target, timeout=30)
                upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() not in ("transfer-encoding", "content-length", "connection", "expect"):
                        upstream.putheader(name, value)
                body = b"".join(self.pieces())
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

            do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = _forward

        super().__init__(Forwarding)
