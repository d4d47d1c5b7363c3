"""A token server that docker-registry really verifies (distribution's token authentication), for as long as a `with` block lasts.

Answers GET (Basic credentials or none) and POST (refresh token or password grant) at its realm with RS256 JWTs, grants what
`users` allows of what was asked, and remembers every request:

    with TokenServer(directory, {"alice": User("secret", {"team/*": "pull,push"})}) as tokens:
        with Registry(directory, tokens=tokens) as registry: ...
        tokens.requests    # [TokenRequest(method="GET", user="alice", asked=["repository:team/a:pull,push"], ...), ...]
"""

import base64
import dataclasses
import fnmatch
import hashlib
import json
import re
import ssl
import subprocess
import threading
import time
import urllib.parse

from . import pki
from .loopback_server import Handler, LoopbackServer

# What docker-registry forgives in a token's times; a token that shall really end after N seconds must be dated back by this.
REGISTRY_LEEWAY = 60


@dataclasses.dataclass
class User:
    """`repositories`: {pattern: actions}, e.g. {"team/*": "pull,push"}. `identity_token`: accepted as refresh token."""
    password: str
    repositories: dict
    identity_token: str = ""


@dataclasses.dataclass
class TokenRequest:
    method: str
    user: str            # "" when anonymous
    grant: str           # "basic", "anonymous", "refresh_token", "password"
    asked: list          # scopes as sent
    granted: list        # [(repository, actions)]
    parameters: dict     # all of them, secrets included
    status: int = 200
    token: str = ""      # what was issued


class TokenServer(LoopbackServer):
    """`users`: {name: User}; name "" is what everybody may do. `lifetime`: seconds that a token lives, for the registry too.
    `announce`: whether expires_in is told. `certificate`: (crt, key) for https."""

    service = "tug-test-registry"
    issuer = "tug-test-tokens"

    def __init__(self, directory, users, *, lifetime=300, announce=True, certificate=None):
        self.users = users
        self.lifetime = lifetime
        self.announce = announce
        self.requests = []
        self._key, self.certificate = pki.signing_key(directory)
        der = ssl.PEM_cert_to_DER_cert(self.certificate.read_text())
        self._header = _base64url(json.dumps({"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}).encode())
        self._serial = 0
        self._lock = threading.Lock()
        owner = self

        class Granting(Handler):
            def do_GET(self):
                query = urllib.parse.urlsplit(self.path).query
                self._answer(owner.serve("GET", urllib.parse.parse_qs(query), self.headers.get("Authorization", "")))

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                self._answer(owner.serve("POST", urllib.parse.parse_qs(body), self.headers.get("Authorization", "")))

            def _answer(self, answer):
                status, document = answer
                challenge = [("WWW-Authenticate", 'Basic realm="tokens"')] if status == 401 else []
                self.answer(status, [("Content-Type", "application/json"), *challenge], json.dumps(document).encode())

        super().__init__(Granting)
        scheme = "http"
        if certificate:
            scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*map(str, certificate))
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.realm = f"{scheme}://{self.address}/token"

    # ---- the protocol

    def serve(self, method, parameters, authorization):
        """One request: (status, JSON document)."""
        flat = {key: values[0] for key, values in parameters.items()}
        asked = [scope for value in parameters.get("scope", []) for scope in value.split(" ") if scope]
        user, grant, allowed = self._authenticate(method, flat, authorization)
        record = TokenRequest(method, user, grant, asked, [], flat)
        with self._lock:
            self.requests.append(record)
        if not allowed or flat.get("service") != self.service:
            record.status = 401 if not allowed else 400
            return record.status, {"errors": [{"code": "UNAUTHORIZED", "message": "access to the requested resource is refused"}]}
        record.granted = [granted for granted in (self._grant(user, scope) for scope in asked) if granted[1]]
        record.token = self._sign(user, record.granted)
        document = {"access_token" if method == "POST" else "token": record.token}
        if self.announce:
            document["expires_in"] = self.lifetime
        return 200, document

    def _authenticate(self, method, parameters, authorization):
        if method == "POST":
            grant = parameters.get("grant_type", "")
            if grant == "refresh_token":
                secret = parameters.get("refresh_token", "")
                for name, user in self.users.items():
                    if user.identity_token and user.identity_token == secret:
                        return name, grant, True
                return "", grant, False
            user = self.users.get(parameters.get("username", ""))
            return parameters.get("username", ""), grant, bool(user) and user.password == parameters.get("password")
        if authorization.startswith("Basic "):
            name, _, password = base64.b64decode(authorization[6:]).decode().partition(":")
            user = self.users.get(name)
            return name, "basic", bool(user) and user.password == password
        return "", "anonymous", True

    def _grant(self, name, scope):
        """(repository, [action]): what of `scope` the user may do."""
        match = re.fullmatch(r"repository:([^:]+(?::\d+/[^:]+)?):([a-z,*]+)", scope)
        if not match:
            return scope, []
        repository, actions = match.group(1), match.group(2).split(",")
        allowed = set()
        for who in {"", name}:
            for pattern, granted in (self.users[who].repositories if who in self.users else {}).items():
                if fnmatch.fnmatchcase(repository, pattern):
                    allowed.update(granted.split(","))
        return repository, [action for action in actions if action in allowed]

    def _sign(self, user, granted):
        now = int(time.time())
        end = now + self.lifetime - REGISTRY_LEEWAY
        with self._lock:
            self._serial += 1
            serial = self._serial
        claims = {"iss": self.issuer, "sub": user, "aud": self.service, "exp": end, "nbf": min(now, end) - 600, "iat": now,
                  "jti": hashlib.sha256(f"{serial}".encode()).hexdigest(),
                  "access": [{"type": "repository", "name": repository, "actions": actions} for repository, actions in granted]}
        text = self._header + "." + _base64url(json.dumps(claims).encode())
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", str(self._key)], input=text.encode(), check=True,
                                   stdout=subprocess.PIPE).stdout
        return text + "." + _base64url(signature)

    # ---- what tests ask

    def pushes(self):
        """The requests that asked to push something."""
        return [request for request in self.requests if any("push" in scope.rpartition(":")[2] for scope in request.asked)]


def _base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
