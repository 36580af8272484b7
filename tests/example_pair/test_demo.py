"""`make demo`: from a fresh clone, and a second time; it says where to look, and one Ctrl-C ends all of it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from example_blog import demo
from tests.docs.pages import ROOT
from tests.example_pair.house import MAREN, House, Served, Visitor

PATIENCE = 240  # seconds for the demo to be ready, on a busy machine
READY = "Ctrl-C stops both."


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages without anything that a run has left behind."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("flask_linked_auth", "example_blog", "example_timetracker"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


class Run:
    """The demo as `make` starts it."""

    def __init__(self, clone: Path, ports: tuple[int, int]) -> None:
        self.ports = ports
        self.log = clone / "demo.log"
        environ = {"PORT": str(ports[0]), "TIMETRACKER_PORT": str(ports[1]), "PYTHONPATH": str(clone)}
        # Of somebody who works on one of the two: it must not reach them.
        environ |= {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x", "LINKED_AUTH_NAME": "mine"}
        # The copy of the package would count as one that hardly anything of is tested.
        ours = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "example_blog.demo"],
                cwd=clone,
                env=ours | environ,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self.log.read_text("utf-8")

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while READY not in self.said:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.1)

    def stop(self, by: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(by)
        return self.process.wait(30)

    def is_answered(self, port: int) -> bool:
        with contextlib.suppress(requests.RequestException):
            requests.get(f"http://localhost:{port}/health", timeout=5)
            return True
        return False


@contextlib.contextmanager
def started(clone: Path, ports: tuple[int, int]) -> Iterator[Run]:
    run = Run(clone, ports)
    try:
        run.wait_until_ready()
        yield run
    finally:
        if run.process.poll() is None:
            run.stop(signal.SIGTERM)


def test_a_fresh_clone_and_a_second_time(clone: Path) -> None:
    first = free_ports()
    with started(clone, first) as run:
        for path in ("", "/account/login", "/account", "/auth/docs"):
            assert f"http://localhost:{first[0]}{path}" in run.said
        assert f"http://localhost:{first[1]}/account/apps" in run.said
        for port in first:
            assert run.is_answered(port)
        walk(run)
        assert run.stop() == 0
        assert run.said.rstrip().endswith("Stopped both.")
        assert "Traceback" not in run.said
        assert not any(run.is_answered(port) for port in first)
    with started(clone, first) as run:
        assert " invite " not in run.said  # they are linked
        assert run.stop(signal.SIGTERM) == 0
        assert not any(run.is_answered(port) for port in first)
    assert {each.name for each in (clone / "instance").iterdir()} >= {"blog.db", "timetracker"}


@pytest.mark.proof
def test_on_other_ports_they_are_linked_anew(clone: Path) -> None:
    for _ in range(2):
        with started(clone, free_ports()) as run:
            assert " invite " in run.said
            walk(run)


def walk(run: Run) -> None:
    """As somebody does who was told whom to log in as."""
    assert MAREN[0] in run.said
    assert MAREN[1] in run.said
    blog, tracker = (
        Served(f"example_{name}", port) for name, port in zip(("blog", "timetracker"), run.ports, strict=True)
    )
    maren = Visitor(House(blog, tracker), *MAREN).log_in(blog, tracker)
    maren.allow()
    assert "Walking 3 h 19 min" in maren.words()
    maren.withdraw()
    assert "Allow the blog" in maren.words()


@pytest.mark.proof
def test_when_one_of_the_two_ends_so_does_the_other(clone: Path) -> None:
    ports = free_ports()
    with started(clone, ports) as run:
        listed = subprocess.run(
            ["ps", "-o", "pid=,args=", "--ppid", str(run.process.pid)],
            capture_output=True,
            text=True,
            check=True,
        )
        (tracker,) = (line for line in listed.stdout.splitlines() if "example_timetracker" in line)
        os.kill(int(tracker.split()[0]), signal.SIGTERM)
        assert run.process.wait(30) == 1
        assert "One of the two has ended" in run.said
        assert not run.is_answered(ports[0])


@pytest.mark.parametrize("variable", ["PORT", "TIMETRACKER_PORT"])
def test_a_port_that_is_taken_is_named_before_anything_is_done(
    variable: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ports = dict(zip(("PORT", "TIMETRACKER_PORT"), free_ports(), strict=True))
    for name, port in ports.items():
        monkeypatch.setenv(name, str(port))
    before = signal.getsignal(signal.SIGTERM)
    try:
        with socket.create_server(("127.0.0.1", ports[variable])):
            assert demo.main() == 1
    finally:
        signal.signal(signal.SIGTERM, before)
    said = capsys.readouterr()
    assert f"Port {ports[variable]}" in said.err
    assert f"make demo {variable}=" in said.err
    assert said.out == ""


def test_the_ports_are_settings() -> None:
    assert [each.port for each in demo.two_examples({})] == [5000, 5001]
    assert [each.port for each in demo.two_examples({"PORT": "8000"})] == [8000, 8001]
    given = {"PORT": "8000", "TIMETRACKER_PORT": "9000"}
    assert [each.address for each in demo.two_examples(given)] == [
        "http://localhost:8000",
        "http://localhost:9000",
    ]


@pytest.mark.parametrize(
    "environ",
    [
        {"PORT": "x"},
        {"PORT": "0"},
        {"PORT": "65535"},
        {"TIMETRACKER_PORT": "-1"},
        {"TIMETRACKER_PORT": "5000"},
    ],
)
def test_ports_that_are_none(environ: dict[str, str]) -> None:
    with pytest.raises(demo.Failed, match="PORT"):
        demo.two_examples(environ)


def test_a_command_that_fails_is_told_with_what_it_said() -> None:
    with pytest.raises(demo.Failed, match="No such command 'nothing'"):
        demo.Example("example_blog", 1).run("nothing", quietly=True)
