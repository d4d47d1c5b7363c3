"""An HTTP server in this process, on a free loopback port: what the servers of this folder are made of."""

import http.server
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    """What the handlers of these servers share: connections are kept, nothing is logged, a body comes in pieces, an answer is one call."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def pieces(self):
        """The body as it comes in. Raises ConnectionError when it breaks off."""
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(self._line(), 16):
                yield from self._some(size)
                self._line()
            self._line()
        else:
            yield from self._some(int(self.headers.get("Content-Length") or 0))

    def _line(self):
        line = self.rfile.readline()
        if not line:
            raise ConnectionError("the body broke off")
        return line

    def _some(self, size):
        while size > 0:
            piece = self.rfile.read1(min(size, 65536))
            if not piece:
                raise ConnectionError("the body broke off")
            size -= len(piece)
            yield piece

    def answer(self, status, headers=(), body=b""):
        """Content-Length is added unless it is among `headers`. The body of an answer to HEAD is only measured."""
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if not any(name == "Content-Length" for name, _ in headers):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class LoopbackServer:
    """`with` starts and ends it. Each request has a thread of its own."""

    def __init__(self, handler):
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.address = "127.0.0.1:%d" % self._server.server_address[1]

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
