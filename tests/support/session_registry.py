"""A registry in this process that keeps what arrived of a body that broke off, says how much it has, and takes the rest: what
distribution v3, zot and olareg do, and Debian's docker-registry (2.8) does not (it forgets such a session).

    with SessionRegistry() as registry:
        registry.at(40_000_000, action)       # once so many bytes of bodies have come
        registry.body_bytes                   # all that came
"""

import hashlib
import json
import re
import threading
import uuid

from .layouts import digest_of
from .loopback_server import Handler, LoopbackServer
from .registry import Request


class SessionRegistry(LoopbackServer):
    def __init__(self):
        self.body_bytes = 0
        self._requests = []
        self._sessions = {}    # (repository, id): bytearray
        self._blobs = {}       # (repository, digest): bytes
        self._manifests = {}   # (repository, tag or digest): (media type, bytes)
        self._lock = threading.Lock()
        self._bodies = 0
        self._no_bodies = threading.Condition(self._lock)
        self._trigger = None
        registry = self

        class Serving(Handler):
            def handle_any(self):
                registry._serve(self)

            do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = do_DELETE = handle_any

            def answer(self, status, headers=(), body=b""):
                registry._requests.append(Request(self.command, self.path, status))
                super().answer(status, headers, body)

        super().__init__(Serving)

    # ---- for the test

    def at(self, body_bytes, action):
        """Calls `action` once, when so many more bytes of bodies have come in; the connection that brought them waits for it."""
        with self._lock:
            self._trigger = (self.body_bytes + body_bytes, action)

    def wait_for_bodies(self):
        """Until nothing more comes of those that are under way: what a dead client sent may still be in the socket's buffer."""
        with self._no_bodies:
            if not self._no_bodies.wait_for(lambda: self._bodies == 0, timeout=60):
                raise TimeoutError("a body neither ends nor breaks off")

    def session_sizes(self):
        """What is in each session that is open."""
        return [len(content) for content in self._sessions.values()]

    def forget_sessions(self):
        self._sessions.clear()

    def forget_blobs(self):
        """And the manifests and sessions."""
        for each in (self._blobs, self._manifests, self._sessions):
            each.clear()

    @staticmethod
    def hang_up():
        """An action for at()."""
        raise ConnectionError

    def requests(self):
        return list(self._requests)

    # The same questions as Registry answers.
    def tags(self, repository):
        return {ref: digest_of(content) for (name, ref), (_, content) in self._manifests.items() if name == repository and ":" not in ref}

    def stored_blob(self, digest):
        contents = [content for (_, known), content in self._blobs.items() if known == digest]
        contents += [content for (_, ref), (_, content) in self._manifests.items() if ref == digest]
        return contents[0] if contents else None

    def has_blob_link(self, repository, digest):
        return (repository, digest) in self._blobs

    def open_uploads(self, repository):
        return sorted(session for name, session in self._sessions if name == repository)

    # ---- the protocol

    def _serve(self, handler):
        try:
            path, _, query = handler.path.partition("?")
            found = re.fullmatch(r"/v2/(.+)/(manifests|blobs)/(uploads/)?(.*)", path)
            if path == "/v2/":
                handler.answer(200, body=b"{}")
            elif found.group(2) == "manifests":
                self._serve_manifest(handler, found.group(1), found.group(4))
            elif found.group(3):
                self._serve_session(handler, found.group(1), found.group(4), query)
            else:
                self._serve_content(handler, self._blobs.get((found.group(1), found.group(4))), "application/octet-stream")
        except (ConnectionError, ValueError):
            handler.close_connection = True

    @staticmethod
    def _serve_content(handler, content, media_type):
        if content is None:
            return handler.answer(404)
        handler.answer(200, [("Content-Type", media_type), ("Content-Length", str(len(content))), ("Docker-Content-Digest", digest_of(content))],
                       content)

    def _serve_manifest(self, handler, name, reference):
        if handler.command != "PUT":
            media_type, content = self._manifests.get((name, reference), ("", None))
            return self._serve_content(handler, content, media_type)
        content = b"".join(handler.pieces())
        document = json.loads(content)
        missing = [blob["digest"] for blob in [document["config"], *document["layers"]] if (name, blob["digest"]) not in self._blobs]
        if missing:
            return handler.answer(400, body=json.dumps({"errors": [{"code": "MANIFEST_BLOB_UNKNOWN", "detail": missing[0]}]}).encode())
        for known_as in (reference, digest_of(content)):
            self._manifests[name, known_as] = (handler.headers["Content-Type"], content)
        handler.answer(201, [("Location", handler.path), ("Docker-Content-Digest", digest_of(content))])

    def _serve_session(self, handler, name, session, query):
        if handler.command == "POST":
            for _ in handler.pieces():  # a blob that a registry may take so; this one does not
                pass
            session = uuid.uuid4().hex
            self._sessions[name, session] = bytearray()
            return handler.answer(202, self._state(name, session))
        content = self._sessions.get((name, session))
        if content is None:
            return handler.answer(404, body=b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}')
        if handler.command == "DELETE":
            del self._sessions[name, session]
            return handler.answer(204)
        if handler.command == "GET":
            return handler.answer(204, self._state(name, session))
        start = handler.headers.get("Content-Range", f"{len(content)}-").partition("-")[0]
        if int(start) != len(content):
            handler.close_connection = True
            return handler.answer(416, self._state(name, session))
        with self._lock:
            self._bodies += 1
        try:
            for piece in handler.pieces():
                content += piece
                self._count(len(piece))
        finally:
            with self._no_bodies:
                self._bodies -= 1
                self._no_bodies.notify_all()
        if handler.command == "PATCH":
            return handler.answer(202, self._state(name, session))
        del self._sessions[name, session]
        digest = "sha256:" + re.search(r"digest=sha256(?::|%3A)([0-9a-f]{64})", query).group(1)
        if "sha256:" + hashlib.sha256(content).hexdigest() != digest:
            return handler.answer(400, body=b'{"errors":[{"code":"DIGEST_INVALID","message":"not the digest of the content"}]}')
        self._blobs[name, digest] = bytes(content)
        handler.answer(201, [("Location", f"/v2/{name}/blobs/{digest}"), ("Docker-Content-Digest", digest)])

    def _state(self, name, session):
        return [("Location", f"/v2/{name}/blobs/uploads/{session}"), ("Range", f"0-{len(self._sessions[name, session]) - 1}")]

    def _count(self, size):
        with self._lock:
            self.body_bytes += size
            if not self._trigger or self.body_bytes < self._trigger[0]:
                return
            action, self._trigger = self._trigger[1], None
        action()
