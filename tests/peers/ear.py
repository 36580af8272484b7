"""A server that hears: it remembers each request byte for byte, and answers what it is told to, or a little JSON."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@dataclass(frozen=True)
class Heard:
    """A request: its target is the one of the request line, neither decoded nor cut."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> str:
        return urlsplit(self.target).query

    @property
    def authorization(self) -> tuple[str, str]:
        """The scheme, and the rest of the header."""
        scheme, _, rest = self.headers["authorization"].partition(" ")
        return scheme, rest


@dataclass
class Ear:
    address: str
    heard: list[Heard] = field(default_factory=list)
    #: The JSON for a path; any other is answered `{"heard": true}`.
    answers: dict[str, Any] = field(default_factory=dict)
    status: int = 200

    @property
    def last(self) -> Heard:
        return self.heard[-1]


@contextmanager
def listening() -> Iterator[Ear]:
    """A server on a free port of this machine."""
    ear = Ear("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            ear.heard.append(Heard(self.command, self.path, headers, body))
            self.send_response(ear.status)
            told = ear.answers.get(urlsplit(self.path).path, {"heard": True})
            answer = b"" if self.command == "HEAD" else json.dumps(told).encode()
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *arguments: Any) -> None:
            """Say nothing: what was heard is remembered."""

    for method in METHODS:
        setattr(Handler, f"do_{method}", Handler.handle_any)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    ear.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield ear
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
