"""Another service on loopback: a real HTTP server that keeps what arrived, as it stood on the line."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from flask_linked_auth.links.keys import LinkKey, generate_key
from flask_linked_auth.links.link import SIGNATURE_HEADERS, Link
from flask_linked_auth.links.signatures import (
    Target,
    authority_of,
    check_body,
    read_signature,
    verify_request,
)
from flask_linked_auth.links.wire import (
    form_of,
    legacy_body,
    read_legacy,
    read_link,
    verify_jwt,
    verify_legacy,
)

Answer = tuple[int, Mapping[str, str], bytes]


@dataclass(frozen=True)
class Arrived:
    """One request: the target as it stood on its first line, its headers by lower-case name, its decoded body."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    port: int  # of the client: the same for two requests means the same connection
    pairs: tuple[tuple[str, str], ...] = ()  # the headers as they came, doubles included

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]


def fine(arrived: Arrived) -> Answer:
    body = json.dumps({"path": arrived.target, "method": arrived.method}).encode()
    return 200, {"Content-Type": "application/json"}, body


@dataclass
class Neighbour:
    """The server: `answer` says what is answered, `arrived` has all that came."""

    answer: Callable[[Arrived], Answer] = fine
    arrived: list[Arrived] = field(default_factory=list)
    address: str = ""

    @property
    def last(self) -> Arrived:
        return self.arrived[-1]

    @property
    def authority(self) -> str:
        return self.address.partition("://")[2]

    def answers(self, *answers: Answer) -> None:
        """Give these answers, one after the other, and the last one ever after."""
        left = list(answers)
        self.answer = lambda arrived: left.pop(0) if len(left) > 1 else left[0]


def _handler(neighbour: Neighbour) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body, pairs = self.body(headers), tuple(self.headers.items())
            seen = Arrived(self.command, self.path, headers, body, self.client_address[1], pairs)
            neighbour.arrived.append(seen)
            status, told, body = neighbour.answer(seen)
            self.send_response(status)
            for name, value in told.items():
                self.send_header(name, value)
            if "Content-Length" not in told and "Transfer-Encoding" not in told:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def body(self, headers: Mapping[str, str]) -> bytes:
            if "transfer-encoding" not in headers:
                return self.rfile.read(int(headers.get("content-length", 0)))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def log_message(self, *args: Any) -> None:
            pass

    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        setattr(Handler, f"do_{method}", Handler.do)
    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, neighbour: Neighbour, certificate: Path | None) -> None:
        self.open: list[socket.socket] = []
        self.context: ssl.SSLContext | None = None
        if certificate is not None:
            certify(certificate)
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate)
        super().__init__(("127.0.0.1", 0), _handler(neighbour))

    def get_request(self) -> Any:
        connection, address = super().get_request()
        if self.context is not None:
            connection = self.context.wrap_socket(connection, server_side=True)
        return connection, address

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.append(request)
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # the client has gone


def certify(file: Path) -> None:
    """Write a key, and a certificate by itself for 127.0.0.1."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))


@contextmanager
def running(neighbour: Neighbour | None = None, *, certificate: Path | None = None) -> Iterator[Neighbour]:
    """A neighbour at an address of its own, until the end of the block; over TLS with a certificate, made there."""
    neighbour = neighbour or Neighbour()
    server = _Server(neighbour, certificate)
    neighbour.address = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield neighbour
    finally:
        server.shutdown()
        thread.join()
        for each in server.open:
            hang_up(each)
        server.server_close()


def hang_up(connection: socket.socket) -> None:
    """Close a connection that may be closed."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
    connection.close()


@contextmanager
def raw(*scripts: Callable[[socket.socket], None]) -> Iterator[str]:
    """The address of a server that does with each connection what the next of `scripts` says, the last ever after."""
    listener = socket.create_server(("127.0.0.1", 0))
    left, threads = list(scripts), []

    def serve(connection: socket.socket, script: Callable[[socket.socket], None]) -> None:
        with connection:
            try:
                script(connection)
            except OSError:
                return

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            script = left.pop(0) if len(left) > 1 else left[0]
            threads.append(threading.Thread(target=serve, args=(connection, script), daemon=True))
            threads[-1].start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        hang_up(listener)
        listener.close()
        acceptor.join(5)


def read_head(connection: socket.socket) -> bytes:
    """The request line and headers."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            break
        data += more
    return data


KEYS: dict[str, LinkKey] = {
    "HS256": generate_key("HS256"),
    "HS512": generate_key("HS512"),
    "EdDSA": generate_key("EdDSA"),
}


def link_to(address: str, **more: Any) -> Link:
    """Our link, as the shop, to a service called billing at this address."""
    given: dict[str, Any] = {"key": KEYS["HS256"], "issuer": "http://shop.example"} | more
    return Link("shop", "billing", address, **given)


def said_by(arrived: Arrived, link: Link) -> str | None:
    """For whom a request of this link is, after all of it was verified as its receiver does; None for nobody."""
    headers, named = arrived.headers, [name.lower() for name, _ in arrived.pairs]
    assert all(named.count(name) <= 1 for name in SIGNATURE_HEADERS), named
    scheme, _, credential = headers.get("authorization", "").partition(" ")
    if scheme == "Link":
        app, token = read_link(credential)
        claims = verify_jwt(app, token, [link.key_for("link")], receiver="billing")
        assert (app, claims.iss) == ("shop", link.issuer)
        return claims.sub
    if scheme == "Signature":
        claims = verify_legacy(
            read_legacy(credential),
            [link.key_for("legacy-signature")],
            method=arrived.method,
            params=form_of(arrived.query),
            body=legacy_body(arrived.body, headers.get("content-type", "")),
            headers=headers,
        )
        return claims.sub
    received = read_signature(headers.get("signature-input"), headers.get("signature"))
    assert received is not None, headers
    declared = int(headers.get("content-length", 0)) > 0 or "transfer-encoding" in headers
    digest, subject = headers.get("content-digest"), headers["linked-subject"]
    sent_to = arrived.target.removeprefix(link.address)  # a proxy is sent the whole address
    path, _, query = sent_to.partition("?")
    target = Target(arrived.method, authority_of(headers["host"], "http"), path, query)
    verify_request(received, link.key_for("signature"), target, subject=subject, digest=digest)
    check_body(digest, arrived.body, declared=declared)
    return headers["linked-subject"] or None


def nonce_of(arrived: Arrived) -> str:
    """What tells one signed request from another."""
    received = read_signature(arrived.headers.get("signature-input"), arrived.headers.get("signature"))
    assert received is not None
    return received.nonce


def unsigned(arrived: Arrived) -> bool:
    """Whether nothing of a signature is in the request."""
    return not SIGNATURE_HEADERS & arrived.headers.keys()
