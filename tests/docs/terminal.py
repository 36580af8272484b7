"""A terminal for one page: commands keep their variables and directory, servers run beside them on free ports."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.docs.pages import ROOT

PATIENCE = 60  # seconds, for a server to listen and for a command to end

_SERVES = re.compile(r"(\w+=\S+ )*(flask .*\brun\b|gunicorn |python \w+\.py\b)")
_PORT = re.compile(r"\b(?:500\d|8000)\b")
# curl shows its progress only where it does not write to a screen, as here.
_COMMAND = """set -a
curl() { command curl -sS "$@"; }
[ -e "$STATE" ] && . "$STATE"
cd "$(cat "$STATE.cwd" 2>/dev/null || pwd)"
{typed}
status=$?
declare -px >"$STATE"
pwd >"$STATE.cwd"
exit $status
"""


class Terminal:
    """Runs what a page types, in a folder of its own. The ports that a page names become free ones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.status = 0
        self._ports: dict[str, int] = {}
        self._servers: dict[int, subprocess.Popen[bytes]] = {}
        binaries = Path(sys.executable).parent
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("FLASK_")}
        self._environment = inherited | {
            "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",  # else a file changed within a second may be taken from the cache
            "STATE": str(folder / ".terminal"),
        }

    def write(self, name: str, text: str) -> None:
        """Write a file of the page, with the ports that are in use here."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self._with_ports(text), "utf-8")

    def type(self, typed: str) -> str:
        """Run one command and return what it says. A server is started and left running."""
        typed = self._with_ports(typed)
        if _SERVES.match(typed):
            self._serve(typed)
            return ""
        done = subprocess.run(
            ["bash", "-c", _COMMAND.replace("{typed}", typed)],
            check=False,
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
        )
        self.status = done.returncode
        return done.stdout

    def address(self, port: int) -> str:
        """Where the server is to which the page gives this port."""
        return f"http://localhost:{self._port(str(port))}"

    def _serve(self, typed: str) -> None:
        named = re.search(r"(?:--port|:|-p)[ =]?(\d{4,5})\b", typed)
        port = int(named[1]) if named else self._port("5000")
        self.stop(port)
        if re.search(r"\bflask\b.* run\b", typed):
            typed += " --no-reload"  # the reader sees no difference, and a test is not reloaded half-way
        script = _COMMAND.replace("{typed}", f"exec {self._after_assignments(typed)}")
        with (self.folder / f"server-{port}.log").open("ab") as log:
            server = subprocess.Popen(
                ["bash", "-c", script],
                cwd=self.folder,
                env=self._environment | {"FLASK_RUN_PORT": str(port)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._servers[port] = server
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and server.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"`{typed}` does not listen on {port}:\n{self.log(port)}")

    @staticmethod
    def _after_assignments(typed: str) -> str:
        return f"env {typed}" if re.match(r"\w+=", typed) else typed

    def log(self, port: int) -> str:
        """What the server on this port has said."""
        return (self.folder / f"server-{port}.log").read_text("utf-8")

    def stop(self, port: int) -> None:
        """Stop the server on this port, if there is one."""
        server = self._servers.pop(port, None)
        if server is not None:
            os.killpg(server.pid, signal.SIGTERM)
            try:
                server.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait(5)

    def close(self) -> None:
        """Stop every server."""
        for port in list(self._servers):
            self.stop(port)

    def _with_ports(self, text: str) -> str:
        return _PORT.sub(lambda found: str(self._port(found[0])), text)

    def _port(self, named: str) -> int:
        if named not in self._ports:
            with socket.create_server(("127.0.0.1", 0)) as probe:
                self._ports[named] = probe.getsockname()[1]
        return self._ports[named]
