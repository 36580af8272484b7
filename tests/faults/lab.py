"""What the tests of faults and attacks share: an app as in production, many at once, a cable to cut, real workers."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from flask import Flask, g

from flask_linked_auth import Auth, LinkedAuth

PASSWORD = "violet-kettle-harbour-93"
SECRET = "kG3v9xQ2-bTn7Lw0Zp5RfYs8HdJc4MaE1uVi6oXq"
T = TypeVar("T")


def make_app(
    url: str,
    *,
    engine: Mapping[str, Any] | None = None,
    mailer: Callable[[Any], Any] | None = None,
    **settings: Any,
) -> Flask:
    """An app as in production, but for the cost of hashes and the rate limits; `/guarded` is a view of the host's.

    Without a mailer there is no recovery, and no thread that works on the database beside the test.
    """
    app = Flask("lab")
    app.config.update(
        SQLALCHEMY_DATABASE_URI=url,
        SQLALCHEMY_ENGINE_OPTIONS={"pool_pre_ping": True, **(engine or {})},
        LINKED_AUTH_NAME="lab",
        LINKED_AUTH_ISSUER="https://lab.example",
        LINKED_AUTH_SECRET=SECRET,
        LINKED_AUTH_BCRYPT_COST=4,
        LINKED_AUTH_RATE_LIMITS=None,
        LINKED_AUTH_RECOVERY=mailer is not None,
    )
    app.config.update({f"LINKED_AUTH_{name.upper()}": value for name, value in settings.items()})
    auth = LinkedAuth(app, mailer=mailer)
    app.extensions["lab"] = auth

    @app.get("/guarded")
    @Auth.auth_required
    def guarded() -> Any:
        return {"id": g.user.id}

    @app.get("/named")
    @Auth.auth_required
    def named() -> Any:
        return {"email": g.user.email}

    @app.get("/open")
    def open_view() -> Any:
        return {"pid": os.getpid()}

    return app


def create_tables(app: Flask) -> Flask:
    """The same app, with its tables made."""
    db = app.extensions["lab"].db
    with app.app_context():
        db.metadata.create_all(db.engine)
        if db.engine.url.get_backend_name() != "sqlite":
            db.engine.dispose()
    return app


def dispose(app: Flask) -> None:
    """Close every connection of the app."""
    with app.app_context():
        app.extensions["lab"].db.engine.dispose()


@contextmanager
def running(url: str, **options: Any) -> Iterator[Flask]:
    """`make_app` with tables; its connections are closed at the end."""
    app = create_tables(make_app(url, **options))
    try:
        yield app
    finally:
        dispose(app)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def register(app: Flask, email: str = "ada@example.com", **more: Any) -> dict[str, Any]:
    """A new person: what the registration answered."""
    answer = app.test_client().post("/auth/register", json={"email": email, "password": PASSWORD, **more})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json
    return body


def log_in(app: Flask, email: str = "ada@example.com", password: str = PASSWORD) -> dict[str, Any]:
    """A new login of a person: what the login answered."""
    answer = app.test_client().post("/auth/login", json={"email": email, "password": password})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json
    return body


def at_once(count: int, deed: Callable[[int], T]) -> list[T]:
    """What `deed(0)` to `deed(count - 1)` return, in threads of their own that all start in the same moment."""
    start, results, errors = threading.Barrier(count), [None] * count, []

    def run(number: int) -> None:
        try:
            start.wait(30)
            results[number] = deed(number)  # type: ignore[call-overload]
        except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    if errors:
        raise errors[0]
    return results  # type: ignore[return-value]


def wait_until(condition: Callable[[], bool], seconds: float, *, every: float = 0.05) -> float:
    """After how many seconds the condition became true; AssertionError if it did not in time."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, f"not within {seconds} s"
        time.sleep(every)
    return time.monotonic() - start


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


class Cable:
    """A TCP proxy that can be cut (refuses and resets), frozen (accepts and never answers) and mended."""

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self.state = "whole"
        self._pairs: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._thawed = threading.Event()
        self._thawed.set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self.state == "cut":
                _reset(near)
                continue
            with self._lock:
                self._pairs.add(near)
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        self._thawed.wait()
        try:
            far = socket.create_connection(self.target, timeout=5)
            far.settimeout(None)
        except OSError:
            _reset(near)
            return
        with self._lock:
            self._pairs.add(far)
        threading.Thread(target=self._pump, args=(far, near), daemon=True).start()
        self._pump(near, far)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._thawed.wait()
                sink.sendall(data)
        for each in (source, sink):
            _reset(each)
            with self._lock:
                self._pairs.discard(each)

    def cut(self) -> None:
        """Reset every connection, and each new one as it comes."""
        self.state = "cut"
        self._thawed.set()
        self._drop()

    def freeze(self, *, keep: bool = False) -> None:
        """Accept and never answer; `keep` leaves the connections there are, just as silent, else they are reset."""
        self.state = "frozen"
        self._thawed.clear()
        if not keep:
            self._drop()

    def mend(self) -> None:
        """Let everything through again."""
        self.state = "whole"
        self._thawed.set()

    def _drop(self) -> None:
        with self._lock:
            pairs, self._pairs = list(self._pairs), set()
        for each in pairs:
            _reset(each)

    def close(self) -> None:
        self.cut()
        self._listener.close()


def _reset(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    with suppress(OSError):
        each.close()


@contextmanager
def cable(host: str, port: int) -> Iterator[Cable]:
    made = Cable(host, port)
    try:
        yield made
    finally:
        made.close()


@dataclass
class Answer:
    """What came back over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float = 0.0

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Server:
    """Real gunicorn workers; `log` is what they wrote to stderr."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path
    headers: dict[str, str] = field(default_factory=dict)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        timeout: float = 60,
        **headers: str,
    ) -> Answer:
        """One request on a connection of its own."""
        data = None if body is None else json.dumps(body).encode()
        sent = {**self.headers, **headers} | ({} if data is None else {"Content-Type": "application/json"})
        sent |= {} if token is None else bearer(token)
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, sent, method=method)
        start = time.monotonic()
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return Answer(answer.status, answer.headers, answer.read(), time.monotonic() - start)
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read(), time.monotonic() - start)

    def socket(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)


@contextmanager
def served(
    folder: Path, url: str, *, workers: int = 1, threads: int = 8, preload: str = "", **settings: Any
) -> Iterator[Server]:
    """The lab's app under gunicorn.

    `preload`: "" loads it in each worker, "app" before the fork, and a token is used before the fork as well.
    """
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    log = folder / f"gunicorn-{port}.log"
    lab = {"url": url, "preload": preload, "settings": settings}
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", str(workers)]
    command += ["--worker-class", "gthread", "--threads", str(threads), "--timeout", "60", "--backlog", "512"]
    command += ["--worker-tmp-dir", str(folder), "--no-control-socket"] if _has_control_socket() else []
    command += ["--preload"] if preload else []
    with log.open("wb") as err:
        process = subprocess.Popen(
            [*command, "served_app:app"],
            cwd=Path(__file__).parent,
            env={**os.environ, "LAB": json.dumps(lab), "PYTHONPATH": str(Path(__file__).parents[2])},
            stdout=err,
            stderr=err,
        )
        server = Server(port, process, log)
        try:
            wait_until(lambda: _answers(server), 30)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)


def _has_control_socket() -> bool:
    import gunicorn

    return gunicorn.version_info >= (25, 1)


def _answers(server: Server) -> bool:
    assert server.process.poll() is None, server.log.read_text()
    try:
        return server.call("GET", "/open", timeout=2).status == 200
    except OSError:
        return False


def at_once_over(server: Server, count: int, *call: Any, **options: Any) -> list[Answer]:
    """The same request from `count` connections in one moment."""
    return at_once(count, lambda _: server.call(*call, **options))


def raw(server: Server, request: bytes, *, patience: float = 10) -> bytes:
    """Every byte that the server answers to these bytes before it hangs up or says no more."""
    with server.socket() as wire:
        wire.settimeout(patience)
        with suppress(OSError):
            wire.sendall(request)
        answer = b""
        with suppress(OSError):
            while data := wire.recv(65536):
                answer += data
        return answer
