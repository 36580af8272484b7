"""A mail server that takes any mail (RFC 5321, as little of it as there must be), with or without TLS."""

from __future__ import annotations

import base64
import contextlib
import socketserver
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

HOST = "127.0.0.1"


class Talk(socketserver.StreamRequestHandler):
    """One connection."""

    server: MailServer
    disable_nagle_algorithm = True

    def say(self, line: bytes) -> None:
        self.wfile.write(line + b"\r\n")
        self.wfile.flush()

    def handle(self) -> None:
        with contextlib.suppress(
            ConnectionError, ssl.SSLError
        ):  # they hang up, at a certificate they do not know
            if self.server.at_once:
                self.encrypt()
            self.say(b"220 ready")
            while (line := self.rfile.readline()) and self.obey(line):
                pass

    def encrypt(self) -> None:
        assert self.server.tls is not None
        self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb")

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()
        self.request.close()  # the encrypted one, of which the server does not know

    def obey(self, line: bytes) -> bool:
        word, _, rest = line.strip().partition(b" ")
        self.server.said.append(word.upper().decode())
        if word.upper() == b"EHLO":
            self.say(b"250-hello\r\n250-AUTH PLAIN\r\n250 STARTTLS" if self.server.tls else b"250 hello")
        elif word.upper() == b"STARTTLS":
            self.say(b"220 go on")
            self.encrypt()
        elif word.upper() == b"AUTH":
            self.server.logins.append(base64.b64decode(rest.split()[-1]).decode())
            self.say(b"235 ok")
        elif word.upper() == b"DATA":
            self.say(b"354 go on")
            self.server.taken.append(b"".join(iter(self.rfile.readline, b".\r\n")))
            self.say(b"250 ok")
        else:
            self.say(b"221 bye" if word.upper() == b"QUIT" else b"250 ok")
        return word.upper() != b"QUIT"


@dataclass(eq=False)
class MailServer(socketserver.ThreadingTCPServer):
    """What was said to it, who logged in, and the mails it got. With `tls` it offers STARTTLS, or begins by TLS."""

    tls: ssl.SSLContext | None = None
    at_once: bool = False
    said: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    taken: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__((HOST, 0), Talk)

    @property
    def port(self) -> str:
        return str(self.server_address[1])


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for HOST, signed by nobody but itself: its file, and the context of a server that has it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "certificate.pem", folder / "key.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return public, context
