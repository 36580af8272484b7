"""Run each Postman collection of the examples with newman, against the service it is for, with a new database.

A collection goes with the environment of its name. That of the links is handed the key of an app that is made for it.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NEWMAN = ROOT / "tests/postman/node_modules/.bin/newman"
EXAMPLES = ("example_blog", "example_timetracker")
PATIENCE = 30  # seconds for a service to answer


def main() -> int:
    """Return 0 if every assertion of every collection held."""
    return max(run_all(example) for example in EXAMPLES)


def run_all(example: str) -> int:
    """Run the collections of one example, each with the environment of its name, if there is one."""
    files = sorted((ROOT / example / "postman").glob("*.json"))
    kinds = {file: set(json.loads(file.read_text("utf-8"))) for file in files}
    collections = [file for file, keys in kinds.items() if "item" in keys]
    environments = {_name_of(file): file for file, keys in kinds.items() if "values" in keys}
    if not collections:
        print(f"Postman: skipped, {example}/postman holds no collection yet")
        return 0
    return max(run(example, collection, environments.get(_name_of(collection))) for collection in collections)


def _name_of(file: Path) -> str:
    return file.name.partition(".")[0]


def run(example: str, collection: Path, environment: Path | None) -> int:
    """Run one collection; the address of the service replaces `base_url` of its environment."""
    with tempfile.TemporaryDirectory() as folder:
        port = _free_port()
        flask = Flask(example, Path(folder), port)
        flask.run("db", "upgrade")
        flask.run("seed")
        variables = {"base_url": flask.address}
        if _name_of(collection) == "links":
            variables["key"] = make_linked_app(flask)
        command = [str(NEWMAN), "run", str(collection), "--color", "off"]
        for name, value in variables.items():
            command += ["--env-var", f"{name}={value}"]
        command += [] if environment is None else ["--environment", str(environment)]
        with serving(flask):
            return subprocess.run(command, check=False, stdin=subprocess.DEVNULL).returncode


def make_linked_app(flask: Flask) -> str:
    """Make the app for which the collection speaks, as the README of the time tracker says; its key."""
    key = secrets.token_hex(64)
    asked = ["--required", "read:tracks", "--optional", "write:tracks", "--name", "Postman"]
    uses = ["--use", "link_in", "--use", "signature_in"]
    flask.run("linked-auth", "scopes", "set", "example_timetracker/scopes.toml")
    flask.run("linked-auth", "app", "create", "postman", *asked)
    named = ["--algorithm", "HS256", "--id", "postman-1"]
    flask.run("linked-auth", "app", "set-key", "postman", *uses, *named, given=key)
    flask.run("linked-auth", "people", "link", "postman", "maren@example.com", "41")
    return key


@dataclass(frozen=True)
class Flask:
    """`flask` for one example, whose database is in `folder`."""

    example: str
    folder: Path
    port: int

    @property
    def address(self) -> str:
        """Where it is served. Signed requests name it, so it must be the one that the service knows of itself."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environ(self) -> dict[str, str]:
        """What its processes are told."""
        database = f"sqlite:///{self.folder / 'test.db'}"
        given = {"APP_ENV": "development", "DATABASE_URL": database, "LINKED_AUTH_ISSUER": self.address}
        return os.environ | given

    def command(self, *words: str) -> list[str]:
        """The words of a command."""
        return [sys.executable, "-m", "flask", "--app", self.example, *words]

    def run(self, *words: str, given: str = "") -> None:
        """Run a command; the end of everything if it fails."""
        done = subprocess.run(
            self.command(*words),
            check=False,
            cwd=ROOT,
            env=self.environ,
            input=given,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            sys.exit(f"flask {' '.join(words)} failed:\n{done.stdout}{done.stderr}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


@contextlib.contextmanager
def serving(flask: Flask) -> Iterator[None]:
    """The example, while the block runs. Its log is printed if it does not start."""
    with (flask.folder / "server.log").open("w+") as log:
        command = flask.command("run", "--port", str(flask.port), "--no-reload")
        server = subprocess.Popen(command, cwd=ROOT, env=flask.environ, stdout=log, stderr=log)
        try:
            if not answers(f"{flask.address}/health", server):
                log.seek(0)
                sys.exit(f"{flask.example} did not start:\n{log.read()}")
            yield
        finally:
            server.terminate()
            server.wait(10)


def answers(address: str, server: subprocess.Popen[bytes]) -> bool:
    """Whether the address answers in time; False as soon as the server has ended."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(address, timeout=2).close()
            return True
        time.sleep(0.1)
    return False


if __name__ == "__main__":
    sys.exit(main())
