"""Run each Postman collection of the examples with newman, against the service it is for, with a new database."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NEWMAN = ROOT / "tests/postman/node_modules/.bin/newman"
EXAMPLES = ("example_blog", "example_timetracker")
PATIENCE = 30  # seconds for a service to answer


def main() -> int:
    """Return 0 if every assertion of every collection held."""
    return max(run_all(example) for example in EXAMPLES)


def run_all(example: str) -> int:
    """Run the collections of one example, each with the first of its environments."""
    files = sorted((ROOT / example / "postman").glob("*.json"))
    kinds = {file: set(json.loads(file.read_text("utf-8"))) for file in files}
    collections = [file for file, keys in kinds.items() if "item" in keys]
    environments = [file for file, keys in kinds.items() if "values" in keys]
    if not collections:
        print(f"Postman: skipped, {example}/postman holds no collection yet")
        return 0
    return max(run(example, collection, environments[:1]) for collection in collections)


def run(example: str, collection: Path, environments: list[Path]) -> int:
    """Run one collection; the address of the service replaces `base_url` of its environment."""
    with tempfile.TemporaryDirectory() as folder, serving(example, Path(folder)) as address:
        command = [str(NEWMAN), "run", str(collection), "--color", "off", "--env-var", f"base_url={address}"]
        for environment in environments:
            command += ["--environment", str(environment)]
        return subprocess.run(command, check=False, stdin=subprocess.DEVNULL).returncode


@contextlib.contextmanager
def serving(example: str, folder: Path) -> Iterator[str]:
    """The example, migrated and seeded, on a free port: its address. Its log is printed if it does not start."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings = {"APP_ENV": "development", "DATABASE_URL": f"sqlite:///{folder / 'test.db'}"}
    flask = [sys.executable, "-m", "flask", "--app", example]
    for command in (["db", "upgrade"], ["seed"]):
        done = subprocess.run(
            flask + command, check=False, cwd=ROOT, env=os.environ | settings, capture_output=True, text=True
        )
        if done.returncode:
            sys.exit(f"flask {' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    with (folder / "server.log").open("w+") as log:
        server = subprocess.Popen(
            [*flask, "run", "--port", str(port), "--no-reload"],
            cwd=ROOT,
            env=os.environ | settings,
            stdout=log,
            stderr=log,
        )
        try:
            if not answers(f"http://127.0.0.1:{port}/health", server):
                log.seek(0)
                sys.exit(f"{example} did not start:\n{log.read()}")
            yield f"http://127.0.0.1:{port}"
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
