"""Real other software that speaks the same protocols. `make peers` installs it; `make test` uses it where it is.

A test whose peer is missing is skipped, and says so; it fails if LINKED_AUTH_TEST_REQUIRE names `peers`.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from tests.peers.academy import MADE, Academy, open_academy
from tests.peers.ear import Ear, listening
from tests.peers.flask_pair import Pair, open_pair
from tests.peers.linked import Linked, Linking, link
from tests.peers.node_peer import INSTALLED, open_node_peer
from tests.peers.signing_peers import Npm, PyPI, SigningPeer

if TYPE_CHECKING:
    from flask_linked_auth.links.keys import Algorithm

_numbers = itertools.count(1)


def _missing(what: str) -> NoReturn:
    if "peers" in os.environ.get("LINKED_AUTH_TEST_REQUIRE", "").split():
        pytest.fail(f"peers are required (LINKED_AUTH_TEST_REQUIRE), and {what} is missing", pytrace=False)
    pytest.skip(f"peers: {what} is missing (make peers)")


@pytest.fixture(scope="session")
def academy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Academy]:
    """The Django site with `linked-services`, which all share; each test has an app row of its own there (`slug`)."""
    if not MADE.exists():
        _missing(".venv-peers")
    with open_academy(tmp_path_factory.mktemp("academy")) as site:
        yield site


@pytest.fixture
def slug() -> str:
    """What this service is called in one test; nobody else there is."""
    return f"blog-{next(_numbers)}"


@pytest.fixture
def ear() -> Iterator[Ear]:
    """A server that remembers each request as it came."""
    with listening() as server:
        yield server


@pytest.fixture(scope="session", params=["PyPI", "npm"])
def peer(request: pytest.FixtureRequest) -> SigningPeer:
    """An implementation of RFC 9421 that is not ours; the test runs with each."""
    found: SigningPeer = request.getfixturevalue(request.param.lower())
    return found


@pytest.fixture(scope="session")
def pypi() -> PyPI:
    """The implementation of RFC 9421 from PyPI."""
    try:
        import http_message_signatures  # noqa: F401
    except ImportError:
        _missing("http-message-signatures")
    return PyPI()


@pytest.fixture(scope="session")
def npm() -> Iterator[Npm]:
    """The one from npm, in a Node of its own."""
    if not INSTALLED.exists():
        _missing("tests/peers/node/node_modules")
    if shutil.which("node") is None:
        _missing("node")
    with open_node_peer() as node:
        yield Npm(node)


@pytest.fixture
def peers(pypi: PyPI, npm: Npm) -> list[SigningPeer]:
    """Both of them."""
    return [pypi, npm]


@pytest.fixture
def pair(slug: str, tmp_path: Path) -> Iterator[Pair]:
    """A live Flask app of ours, called `slug`."""
    with open_pair(slug, tmp_path) as live:
        yield live


@pytest.fixture
def linking(academy: Academy, pair: Pair) -> Linking:
    """Links the Django site and the live app, in the way that the test says."""

    def linked(
        algorithm: Algorithm = "HS512", *, there: Mapping[str, Any] | None = None, **fields: Any
    ) -> Linked:
        return link(academy, pair, algorithm, there=there or {}, **fields)

    return linked


@pytest.fixture
def linked(linking: Linking) -> Linked:
    """Both of them, linked by HS512, with no agreement needed on either side."""
    return linking()
