"""Debian's docker-registry on a free loopback port, for as long as a `with` block lasts.

    with Registry(directory, htpasswd={"alice": "secret"}) as registry:
        registry.address          # "127.0.0.1:41234"
        registry.requests()       # what clients asked: [Request("PUT", "/v2/a/manifests/1", 201), ...]
        registry.stored_blob(d)   # the bytes on the registry's disk

The registry itself picks the port (it is told port 0 and logs what it got), so there is no race for it. After stop() it can be
started again at the same address, which nobody else can take meanwhile. It is ended by its process id, and by the kernel should this
process die.
"""

import collections
import ctypes
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request

Request = collections.namedtuple("Request", "method path status")

MANIFEST_TYPES = ", ".join((
    "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json", "application/vnd.docker.distribution.manifest.list.v2+json"))

_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def die_with_parent(by=signal.SIGTERM):
    """For Popen's preexec_fn: the child gets this signal when the thread that started it ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, by)


def kept_port(port=0):
    """A bound socket that does not listen: nobody is given its port (0: a free one), but a server that says SO_REUSEADDR as well may have it."""
    keeper = socket.socket()
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeper.bind(("127.0.0.1", port))
    return keeper


class Registry:
    """`htpasswd`: {user: password}. `tokens`: a TokenServer. `certificate`: (crt, key) for https. `client_ca`: clients must have
    a certificate that it signed. `environment`: further REGISTRY_... settings."""

    def __init__(self, directory, *, htpasswd=None, tokens=None, certificate=None, client_ca=None, environment=None):
        self.directory = directory
        self.storage = directory / "storage"
        self._access_log = directory / "access.log"
        self._error_log = directory / "error.log"
        self._port_keeper = None
        self.scheme = "https" if certificate else "http"
        self._certificate = certificate
        self._environment = environment or {}
        self._config = {
            "version": "0.1",
            "log": {"level": "info", "formatter": "json"},
            "storage": {"filesystem": {"rootdirectory": str(self.storage)}, "delete": {"enabled": True}},
            "http": {"addr": "127.0.0.1:0", "secret": "not one"},
            # Without this, manifests with foreign layers are refused whatever their URLs are.
            "validation": {"manifests": {"urls": {"allow": ["^https?://"]}}},
        }
        if certificate:
            self._config["http"]["tls"] = {"certificate": str(certificate[0]), "key": str(certificate[1])}
            if client_ca:
                self._config["http"]["tls"]["clientcas"] = [str(client_ca)]
        if htpasswd:
            self._htpasswd(htpasswd)
        if tokens:
            self._config["auth"] = {"token": {"realm": tokens.realm, "service": tokens.service, "issuer": tokens.issuer,
                                              "rootcertbundle": str(tokens.certificate)}}

    def _htpasswd(self, users):
        path = self.directory / "htpasswd"
        self.directory.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        for user, password in users.items():
            subprocess.run(["htpasswd", "-iBC4", str(path), user], input=password.encode(), check=True, stderr=subprocess.DEVNULL)
        self._config["auth"] = {"htpasswd": {"realm": "tug tests", "path": str(path)}}

    # ---- life

    def __enter__(self):
        self.directory.mkdir(parents=True, exist_ok=True)
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        self._release_port()

    def start(self):
        """Starts it, after stop() at the address that it had."""
        config = self.directory / "config.yml"
        config.write_text(json.dumps(self._config))  # YAML is a superset of JSON
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.directory), "OTEL_TRACES_EXPORTER": "none", **self._environment}
        with open(self._access_log, "ab") as out, open(self._error_log, "ab") as err:
            said_before = err.tell()
            self._process = subprocess.Popen(["docker-registry", "serve", str(config)], stdin=subprocess.DEVNULL, stdout=out,
                                             stderr=err, env=environment, preexec_fn=die_with_parent)
        try:
            self.address = self._wait_for_address(said_before)
        except BaseException:
            self.stop()
            raise
        self._config["http"]["addr"] = self.address
        self._release_port()

    def stop(self):
        """Ends it. Connections to its address are refused from now on."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._keep_port()

    def _keep_port(self):
        self._release_port()
        port = int(self._config["http"]["addr"].rpartition(":")[2])
        if port:
            self._port_keeper = kept_port(port)

    def _release_port(self):
        if self._port_keeper:
            self._port_keeper.close()
            self._port_keeper = None

    def _wait_for_address(self, said_before):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = re.search(r"listening on (127\.0\.0\.1:\d+)", self.log()[said_before:])
            if found:
                return found.group(1)
            if self._process.poll() is not None:
                break
            time.sleep(0.01)
        raise RuntimeError("docker-registry did not start:\n" + self.log())

    @property
    def pid(self):
        return self._process.pid

    # ---- what it saw

    def log(self):
        """Its own log: for the output of a failing test."""
        return self._error_log.read_text(errors="replace")

    def requests(self):
        """All requests so far. The registry writes an access line before it sends the response out."""
        lines = re.findall(r'"([A-Z]+) (\S+) HTTP/[\d.]+" (\d+)', self._access_log.read_text(errors="replace"))
        return [Request(method, path, int(status)) for method, path, status in lines]

    # ---- what it holds, read from its disk

    def stored_blob(self, digest):
        path = self.blob_path(digest)
        return path.read_bytes() if path.is_file() else None

    def blob_path(self, digest):
        algorithm, encoded = digest.split(":")
        return self.storage / "docker/registry/v2/blobs" / algorithm / encoded[:2] / encoded / "data"

    def blob_size(self, digest):
        path = self.blob_path(digest)
        return path.stat().st_size if path.is_file() else None

    def has_blob_link(self, repository, digest):
        """Whether clients of `repository` can see the blob."""
        algorithm, encoded = digest.split(":")
        link = self._repository(repository) / "_layers" / algorithm / encoded / "link"
        return link.is_file() and link.read_text() == digest

    def tags(self, repository):
        """{tag: digest}"""
        names = sorted(path.parent.parent.name for path in self._tags(repository).glob("*/current/link"))
        return {name: self.tag_path(repository, name).read_text() for name in names}

    def tag_path(self, repository, tag):
        """The file that says which digest it has."""
        return self._tags(repository) / tag / "current/link"

    def _tags(self, repository):
        return self._repository(repository) / "_manifests/tags"

    def open_uploads(self, repository):
        """The upload sessions that were neither committed nor cancelled. (The directory of a cancelled one stays behind.)"""
        return sorted(path.parent.name for path in (self._repository(repository) / "_uploads").glob("*/startedat"))

    def _repository(self, name):
        return self.storage / "docker/registry/v2/repositories" / name

    # ---- a client of our own, to look at what others see

    def get(self, path, *, accept=MANIFEST_TYPES, authorization=None, ca=None, client=None):
        """(status, headers, body) of a GET; `client` is a (crt, key) pair."""
        context = None
        if self._certificate:
            context = ssl.create_default_context(cafile=str(ca)) if ca else ssl._create_unverified_context()
            if client:
                context.load_cert_chain(*map(str, client))
        request = urllib.request.Request(f"{self.scheme}://{self.address}{path}", headers={"Accept": accept})
        if authorization:
            request.add_header("Authorization", authorization)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
        try:
            with opener.open(request, timeout=30) as response:
                return response.status, response.headers, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def __str__(self):
        return f"registry at {self.address}, its log:\n{self.log()}" if os.path.exists(self._error_log) else "registry"
