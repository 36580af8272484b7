"""`make demo`: the blog and the time tracker, linked, with people in them; until Ctrl-C. `python -m example_blog.demo`.

What it types can be typed by hand as well: it prints each command.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

__all__ = ["Example", "Failed", "Server", "link", "main", "prepare", "serving", "two_examples"]

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 60  # seconds for a service to answer, on a busy machine
#: The two examples read the same variables, so those of whoever starts the demo would be wrong for one of them.
NOT_OURS = (
    "LINKED_AUTH_",
    "DATABASE_",
    "FLASK_",
    "MAIL_",
    "REDIS_",
    "JWT_",
    "CORS_",
    "PROXY_",
    "TIMETRACKER",
)


class Failed(Exception):
    """Something that was to be done was not; what is said is for whoever started the demo."""


@dataclass(frozen=True, eq=False)
class Example:
    """One of the two: its package, the port it shall have, and settings beside those of development."""

    package: str
    port: int
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What it calls itself."""
        return self.package.removeprefix("example_")

    @property
    def address(self) -> str:
        """Where it lives."""
        return f"http://localhost:{self.port}"

    @property
    def environ(self) -> dict[str, str]:
        """What its processes are told."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(NOT_OURS)}
        given = {"APP_ENV": "development", "PORT": str(self.port), "PYTHONUNBUFFERED": "1"}
        return kept | given | dict(self.settings)

    def run(self, *arguments: str, quietly: bool = False) -> str:
        """Run `flask` for it, and say so; what that printed. Raises Failed."""
        if not quietly:
            print(f"$ flask --app {self.package} {shlex.join(arguments)}", flush=True)
        command = [sys.executable, "-m", "flask", "--app", self.package, *arguments]
        done = subprocess.run(
            command, check=False, cwd=ROOT, env=self.environ, capture_output=True, text=True
        )
        if done.returncode:
            raise Failed(f"flask --app {self.package} {arguments[0]} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def facts_of(self, slug: str) -> dict[str, Any]:
        """The linked app of this name in it; nothing if there is none."""
        with contextlib.suppress(Failed):
            facts: dict[str, Any] = json.loads(
                self.run("linked-auth", "app", "show", slug, "--json", quietly=True)
            )
            return facts
        return {}


def two_examples(environ: Mapping[str, str] = os.environ) -> tuple[Example, Example]:
    """The blog on PORT (5000), the time tracker on TIMETRACKER_PORT (the next one). Raises Failed."""
    port = _port(environ, "PORT", 5000)
    other = _port(environ, "TIMETRACKER_PORT", port + 1)
    if port == other:
        raise Failed(
            "PORT and TIMETRACKER_PORT are the same: each of the two services needs a port of its own."
        )
    return Example("example_blog", port), Example("example_timetracker", other)


def _port(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise Failed(f"{name} must be a port, from 1 to 65535.")
    return int(text)


def check_port(example: Example, variable: str) -> None:
    """Raise Failed if somebody listens there already: on the address that browsers try first, too."""
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with contextlib.suppress(OSError), socket.socket(family) as probe:
            probe.settimeout(2)
            if probe.connect_ex((host, example.port)) == 0:
                raise Failed(
                    f"Port {example.port}, for {example.name}, is taken by another program."
                    f" Choose another: make demo {variable}={example.port + 10}"
                )


def prepare(example: Example) -> None:
    """Its tables, and people in them."""
    example.run("db", "upgrade")
    example.run("seed")


def link(blog: Example, tracker: Example) -> None:
    """Let the two, which must be running, know each other: where they live, their keys, and who is who."""
    tracker.run("linked-auth", "scopes", "set", "example_timetracker/scopes.toml")
    if not _are_linked(blog, tracker):
        wanted = ["--required", "read:tracks", "--agreement", "--join-by-email"]
        invitation = json.loads(tracker.run("linked-auth", "app", "invite", blog.name, *wanted, "--json"))
        # It may see who the blog's people are, to know whom of its own the blog speaks for; and nothing else.
        allowed = ["--no-agreement", "--ceiling", "read:user", "--replace"]
        blog.run("linked-auth", "link", tracker.address, "--code", invitation["code"], *allowed)
    told = [
        "--name",
        "The blog",
        "--description",
        "It shows you on your account page how your time was spent.",
    ]
    back = ["--redirect-url", f"{blog.address}/account"]
    tracker.run("linked-auth", "app", "change", blog.name, *told, *back)
    tracker.run("linked-auth", "people", "sync", blog.name)
    _link_staff(blog, tracker)


def _are_linked(blog: Example, tracker: Example) -> bool:
    there, here = blog.facts_of(tracker.name), tracker.facts_of(blog.name)
    found = (there.get("address"), here.get("address"))
    return found == (tracker.address, blog.address) and bool(there["keys"] and here["keys"])


def _link_staff(blog: Example, tracker: Example) -> None:
    """Say who the staff are: by an e-mail address alone nobody is taken for somebody with privileges."""
    known = json.loads(tracker.run("linked-auth", "people", "list", blog.name, "--json", quietly=True))
    done = {each["external_id"] for each in known}
    people = {example: _people_of(example) for example in (blog, tracker)}
    for email, (key, is_staff) in people[blog].items():
        if is_staff and key not in done and email in people[tracker]:
            tracker.run("linked-auth", "people", "link", blog.name, email, key)


def _people_of(example: Example) -> dict[str, tuple[str, bool]]:
    """The key, and whether they are staff, by e-mail address."""
    lines = example.run("linked-auth", "user", "list", quietly=True).splitlines()
    columns = [line.split("\t") for line in lines]
    return {each[1]: (each[0], "admin" in each[3:]) for each in columns}


@dataclass(eq=False)
class Server:
    """A served example, and what it says: kept until `follow`, printed from then on with its name in front."""

    example: Example
    process: subprocess.Popen[str]
    said: list[str] = field(default_factory=list)
    followed: threading.Event = field(default_factory=threading.Event)

    def follow(self) -> None:
        """Print what it says from now on: among that are the mails that it would send."""
        self.followed.set()

    def listen(self, lines: IO[str]) -> None:
        """Take in what it says; a pipe that nobody reads would stop it."""
        for line in lines:
            if self.followed.is_set():
                print(f"{self.example.name:<11} | {line}", end="", flush=True)
            else:
                self.said.append(line)


@contextlib.contextmanager
def serving(*examples: Example) -> Iterator[list[Server]]:
    """The examples, until the end of the block. Raises Failed if one does not start."""
    servers: list[Server] = []
    try:
        servers += [_start(example) for example in examples]
        for server in servers:
            if not _answers(f"{server.example.address}/health", server.process):
                raise Failed(f"{server.example.name} does not start:\n{''.join(server.said)}")
        yield servers
    finally:
        for server in servers:
            server.process.terminate()
        for server in servers:
            _end(server.process)


def _start(example: Example) -> Server:
    words = ["run", "--debug", "--no-reload", "--no-debugger", "--port", str(example.port)]
    process = subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", example.package, *words],
        cwd=ROOT,
        env=example.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # Ctrl-C is for us, who end both
    )
    server = Server(example, process)
    threading.Thread(target=server.listen, args=(process.stdout,), daemon=True).start()
    return server


def _answers(address: str, process: subprocess.Popen[str]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(address, timeout=5).close()
            return True
        time.sleep(0.1)
    return False


def _end(process: subprocess.Popen[str]) -> None:
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def where_to_look(blog: Example, tracker: Example) -> str:
    """What is where, and whom to log in as."""
    from .seed import read_people

    one = next(person for person in read_people() if person["name"].startswith("Maren"))
    return f"""
The blog            {blog.address}
  log in            {blog.address}/account/login
  your account      {blog.address}/account  (your tracked time stands there, once you allow it)
  the API           {blog.address}/auth/docs
The time tracker    {tracker.address}
  log in            {tracker.address}/account/login
  what you allowed  {tracker.address}/account/apps
  the API           {tracker.address}/auth/docs

Log in, on both, as {one["email"]} with the password: {one["password"]}
(the others are in example_blog/seed.toml). Mails are printed below. Ctrl-C stops both.
"""


def main() -> int:
    """Run the demo; 0 after Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        blog, tracker = two_examples()
        check_port(blog, "PORT")
        check_port(tracker, "TIMETRACKER_PORT")
        with ThreadPoolExecutor() as pool:
            list(pool.map(prepare, (blog, tracker)))
        with serving(blog, tracker) as servers:
            link(blog, tracker)
            print(where_to_look(blog, tracker), flush=True)
            for server in servers:
                server.follow()
            while all(server.process.poll() is None for server in servers):
                time.sleep(0.2)
            raise Failed("One of the two has ended, so the other is stopped as well.")
    except Failed as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped both.")
        return 0


if __name__ == "__main__":
    sys.exit(main())
