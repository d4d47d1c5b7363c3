"""A private CA and the certificates it signs, by the openssl program."""

import subprocess


def _openssl(*args):
    subprocess.run(["openssl", *args], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


class Pki:
    """A directory with ca.crt and, on demand, NAME.crt + NAME.key signed by it (for 127.0.0.1 and localhost)."""

    def __init__(self, directory):
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.ca = directory / "ca.crt"
        self._ca_key = directory / "ca.key"
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                 "-subj", "/CN=tug test CA", "-keyout", self._ca_key, "-out", self.ca,
                 "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def issue(self, name, names="IP:127.0.0.1,DNS:localhost"):
        """Returns (certificate, key) files for a server or a client."""
        key, request, certificate, extensions = (self.directory / f"{name}.{end}" for end in ("key", "csr", "crt", "ext"))
        _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                 "-keyout", key, "-out", request)
        extensions.write_text(f"subjectAltName={names}\nextendedKeyUsage=serverAuth,clientAuth\n")
        _openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self._ca_key, "-CAcreateserial", "-days", "30",
                 "-extfile", extensions, "-out", certificate)
        return certificate, key


def signing_key(directory):
    """An RSA key and its self-signed certificate, for a token server: what a registry takes as rootcertbundle."""
    key, certificate = directory / "token.key", directory / "token.crt"
    directory.mkdir(parents=True, exist_ok=True)
    _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=tug test tokens",
             "-keyout", key, "-out", certificate)
    return key, certificate
