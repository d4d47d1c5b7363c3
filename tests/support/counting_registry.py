"""A registry in this process, which counts: how often something is asked for, and how many bodies are under way at once."""

import collections
import hashlib
import re
import threading

from .loopback_server import Handler, LoopbackServer


class CountingRegistry(LoopbackServer):
    """Takes every push, as a registry without authentication does. `fail_with` (a status) answers every request but GET /v2/ with it.

    A body is held until `gather` of them are under way (or nobody comes for two seconds): then `most_bodies` is what the client had in
    flight at once, and `body_order` the digests in the order in which bodies began.
    """

    def __init__(self, *, fail_with=None, gather=1):
        self.fail_with, self.gather = fail_with, gather
        self.requests = collections.Counter()
        self.most_bodies = 0
        self.body_sizes = []
        self._bodies = 0
        self._blobs = {}
        self._manifests = {}
        self._changed = threading.Condition()
        registry = self

        class Counting(Handler):
            def handle_any(self):
                registry.requests[self.command] += 1
                body = self.body()
                if registry.fail_with and self.path != "/v2/":
                    return self.answer(registry.fail_with)
                return registry.serve(self, body)

            do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = do_DELETE = handle_any

            def body(self):
                length = int(self.headers.get("Content-Length") or 0)
                if length == 0:
                    return b""
                # This registry takes none by POST: what comes so is a trial, and comes again.
                is_blob = "/blobs/uploads/" in self.path and self.command != "POST"
                if is_blob:
                    registry.body_begins(length)
                try:
                    return self.rfile.read(length)
                finally:
                    if is_blob:
                        registry.body_ends()

        super().__init__(Counting)

    # ---- bodies

    def body_begins(self, length):
        with self._changed:
            self._bodies += 1
            self.most_bodies = max(self.most_bodies, self._bodies)
            self.body_sizes.append(length)
            self._changed.notify_all()
            if not self._changed.wait_for(lambda: self.most_bodies >= self.gather, timeout=2):
                self.gather = 0  # there are no more: let everything through

    def body_ends(self):
        with self._changed:
            self._bodies -= 1

    # ---- the protocol

    def serve(self, handler, body):
        path, _, query = handler.path.partition("?")
        if path == "/v2/":
            return handler.answer(200, body=b"{}")
        found = re.fullmatch(r"/v2/(.+)/(manifests|blobs)/(?:(uploads)/)?(.*)", path)
        name, kind, uploads, reference = found.groups()
        if kind == "manifests":
            return self.serve_manifest(handler, name, reference, body)
        if uploads:
            return self.serve_upload(handler, name, query, body)
        known = self._blobs.get(reference)
        if known is None:
            return handler.answer(404)
        return handler.answer(200, [("Content-Length", str(len(known))), ("Docker-Content-Digest", reference)], known)

    def serve_manifest(self, handler, name, reference, body):
        if handler.command == "PUT":
            digest = "sha256:" + hashlib.sha256(body).hexdigest()
            self._manifests[name, reference] = self._manifests[name, digest] = (handler.headers["Content-Type"], body)
            return handler.answer(201, [("Location", handler.path), ("Docker-Content-Digest", digest)])
        if (name, reference) not in self._manifests:
            return handler.answer(404)
        media_type, content = self._manifests[name, reference]
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        return handler.answer(200, [("Content-Type", media_type), ("Content-Length", str(len(content))), ("Docker-Content-Digest", digest)], content)

    def serve_upload(self, handler, name, query, body):
        location = [("Location", f"/v2/{name}/blobs/uploads/session-{id(body)}")]
        if handler.command == "POST":
            return handler.answer(202, location)
        if handler.command == "PATCH":
            self._blobs["sha256:" + hashlib.sha256(body).hexdigest()] = body
            return handler.answer(202, [*location, ("Range", f"0-{len(body) - 1}")])
        if handler.command == "PUT":
            digest = re.search(r"digest=sha256(?::|%3A)([0-9a-f]+)", query).group(1)
            if body:
                self._blobs["sha256:" + digest] = body
            return handler.answer(201, [("Location", f"/v2/{name}/blobs/sha256:{digest}"), ("Docker-Content-Digest", f"sha256:{digest}")])
        return handler.answer(204)
