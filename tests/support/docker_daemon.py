"""A stand-in for a Docker daemon: images are loaded and saved through its API on a unix socket, and kept as the archives that they came as."""

import http.server
import io
import json
import pathlib
import socketserver
import tarfile
import threading
import urllib.parse

from .loopback_server import Handler


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    address_family = socketserver.socket.AF_UNIX
    daemon_threads = True

    def server_bind(self):
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "docker", 0

    def get_request(self):
        connection, _ = super().get_request()
        return connection, ("local", 0)


class DockerDaemon:
    """`with` starts and ends it. images: name or ID to archive; refuse: what to say of the next image instead of loading it."""

    def __init__(self, directory):
        self.socket = pathlib.Path(directory) / "docker.sock"
        self.host = f"unix://{self.socket}"
        self.images = {}
        self.requests = []
        self.broken = []  # uploads that broke off
        self.refuse = None
        self.break_after = None  # bytes of a saved image after which the connection ends
        daemon = self

        class Api(Handler):
            def do_GET(self):
                daemon.requests.append(f"GET {self.path}")
                url = urllib.parse.urlparse(self.path)
                if not url.path.endswith("/images/get"):
                    return self.answer(404, body=b'{"message":"page not found"}')
                (name,) = urllib.parse.parse_qs(url.query)["names"]
                if name not in daemon.images:
                    return self.answer(404, body=json.dumps({"message": f"No such image: {name}"}).encode())
                archive = daemon.images[name]
                self.send_response(200)
                self.send_header("Content-Type", "application/x-tar")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                cut = daemon.break_after if daemon.break_after is not None else len(archive)
                for start in range(0, cut, 100_000):
                    piece = archive[start : min(start + 100_000, cut)]
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                if cut == len(archive):
                    self.wfile.write(b"0\r\n\r\n")
                else:
                    self.close_connection = True

            def do_POST(self):
                daemon.requests.append(f"POST {self.path}")
                try:
                    body = b"".join(self.pieces())
                except (ConnectionError, ValueError):
                    daemon.broken.append(self.path)
                    self.close_connection = True
                    return
                if daemon.refuse is not None:
                    lines = [{"stream": "Loading"}, {"errorDetail": {"message": daemon.refuse}, "error": daemon.refuse}]
                    return self.answer(200, body="".join(json.dumps(line) + "\r\n" for line in lines).encode())
                daemon.load(body)
                try:
                    self.answer(200, body=b'{"stream":"Loaded image"}\r\n')
                except BrokenPipeError:  # skopeo does not wait for it
                    self.close_connection = True

        self._server = _Server(str(self.socket), Api)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self.socket.unlink()

    def load(self, archive):
        """Each image by its names and by its ID; what an item names has to be there."""
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            items = json.load(tar.extractfile("manifest.json"))
            for item in items:
                for member in (item["Config"], *(item["Layers"] or [])):
                    tar.extractfile(member).close()
        for item in items:
            for name in item["RepoTags"] or []:
                self.images[name.removeprefix("docker.io/").removeprefix("library/")] = archive
            self.images["sha256:" + item["Config"].removesuffix(".json")] = archive
