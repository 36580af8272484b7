"""What a signed call costs: `python benchmarks/service.py` prints the table that docs/services.md explains.

Calls go over loopback to a server in another process, which answers at once and does nothing else. All cases have
their turn in each round, next to the plain call that they are held against.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import platform
import random
import socket
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing.connection import Connection
from time import perf_counter, time
from typing import Any

import jwt
import requests

from flask_linked_auth.links.client import Service
from flask_linked_auth.links.keys import LinkKey, generate_key
from flask_linked_auth.links.link import Dialect, Link

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
SECRET = "a-secret-for-measuring-only-0123456789"
BATCH = 5  # calls of one case in one round
BODY = {"text": "A body such as calls have. " * 8}


# The other service: as cheap as it can be, so that what is measured is the client.


def serve(told: Connection) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    told.send(listener.getsockname()[1])
    import threading

    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_answer_all, args=(connection,), daemon=True).start()


def _answer_all(connection: socket.socket) -> None:
    data = b""
    while True:
        head, end, rest = data.partition(b"\r\n\r\n")
        if end:
            found = head.lower().partition(b"content-length: ")[2]
            length = int(found.partition(b"\r\n")[0] or 0)
            if len(rest) >= length:
                connection.sendall(ANSWER)
                data = rest[length:]
                continue
        more = connection.recv(65536)
        if not more:
            return
        data += more


@contextmanager
def other_service() -> Iterator[str]:
    """The address of the server, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.kill()
        process.join()


# What is measured.


@dataclass
class Case:
    """A call, and the plain call over which its time is a ratio."""

    name: str
    call: Callable[[], Any]
    over: Callable[[], Any]


def link_by(address: str, key: LinkKey, dialect: Dialect) -> Link:
    return Link("shop", "billing", address, key, dialect=dialect, issuer="http://shop.example")


def cases(address: str, session: requests.Session) -> list[Case]:
    def plain() -> None:
        session.get(f"{address}/x")

    def plain_post() -> None:
        session.post(f"{address}/x", json=BODY)

    def without_session() -> None:
        requests.get(f"{address}/x", timeout=30)

    def calling(link: Link, *, post: bool = False) -> Callable[[], None]:
        def call() -> None:
            with Service(link, 7) as billing:
                billing.post("/x", json=BODY) if post else billing.get("/x")

        return call

    jwt_link = link_by(address, generate_key("HS256"), "link")
    signed = link_by(address, generate_key("HS256"), "signature")
    ed25519 = link_by(address, generate_key("EdDSA"), "signature")
    found = [
        Case("GET, JWT", calling(jwt_link), plain),
        Case("GET, signed, HMAC", calling(signed), plain),
        Case("GET, signed, Ed25519", calling(ed25519), plain),
        Case("POST, JWT", calling(jwt_link, post=True), plain_post),
        Case("POST, signed, HMAC", calling(signed, post=True), plain_post),
    ]
    return [
        *found,
        *(Case(f"{each.name}, over `requests.get`", each.call, without_session) for each in found[:2]),
    ]


def timed(deed: Callable[[], Any], times: int) -> float:
    begin = perf_counter()
    for _ in range(times):
        deed()
    return (perf_counter() - begin) / times


def measure(found: Sequence[Case], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Seconds of each case and of what it is held against, in each round."""
    times: dict[str, list[tuple[float, float]]] = {each.name: [] for each in found}
    for each in found:  # warms up, and opens the connections
        each.call()
        each.over()
    turns = list(found)
    gc.collect()
    gc.disable()
    for _ in range(rounds):
        random.shuffle(turns)
        for each in turns:
            times[each.name].append((timed(each.call, BATCH), timed(each.over, BATCH)))
    gc.enable()
    return times


def signing(rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Seconds of making the headers of one call, and of one raw PyJWT HS256 decode."""
    claims = {
        "sub": "7",
        "iss": "http://shop.example",
        "app": "shop",
        "iat": int(time()),
        "exp": int(time()) + 3600,
    }
    token = jwt.encode(claims, SECRET, algorithm="HS256")

    def decode() -> None:
        jwt.decode(token, SECRET, algorithms=["HS256"])

    def sign(link: Link, body: bytes | None = None) -> Callable[[], Any]:
        return lambda: link.sign("POST", "https://billing.example/x?y=1", body=body, subject="7")

    address = "https://billing.example"
    found = [
        Case("JWT, HS256", sign(link_by(address, generate_key("HS256"), "link")), decode),
        Case("JWT, EdDSA", sign(link_by(address, generate_key("EdDSA"), "link")), decode),
        Case("signed, HMAC", sign(link_by(address, generate_key("HS256"), "signature")), decode),
        Case(
            "signed, HMAC, with a body of 200 bytes",
            sign(link_by(address, generate_key("HS256"), "signature"), b"x" * 200),
            decode,
        ),
        Case("signed, Ed25519", sign(link_by(address, generate_key("EdDSA"), "signature")), decode),
    ]
    return measure(found, rounds)


def show(title: str, unit: str, times: dict[str, list[tuple[float, float]]]) -> None:
    """Print one table in Markdown."""
    print(f"\n| {title} | {unit} | middle half | at best | µs |")
    print("|---|---:|---:|---:|---:|")
    for name, pairs in times.items():
        low, middle, high = statistics.quantiles([one / other for one, other in pairs], n=4)
        best = min(one for one, _ in pairs) / min(other for _, other in pairs)
        cost = statistics.median(one for one, _ in pairs) * 1e6
        print(f"| {name} | {middle:.2f} | {low:.2f} to {high:.2f} | {best:.2f} | {cost:.0f} |")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    options = parser.parse_args(arguments)
    rounds = 100 if options.quick else 400
    print(
        f"PyJWT {version('pyjwt')}, Requests {version('requests')}, urllib3 {version('urllib3')},"
        f" Python {platform.python_version()}; medians of {rounds} rounds of {BATCH} calls"
    )
    with other_service() as address, requests.Session() as session:
        show("a call by `Service`", "of a plain call", measure(cases(address, session), rounds))
    show("the headers of one call", "of a decode", signing(rounds * 5))


if __name__ == "__main__":
    main()
