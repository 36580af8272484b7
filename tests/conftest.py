"""The services that tests may use: a database of their own on PostgreSQL, another on Redis.

A test whose service is missing is skipped, and says so; it fails if LINKED_AUTH_TEST_REQUIRE names it. Where that names
both, as in .ci/run, whatever is skipped for another reason fails as well.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from hypothesis import settings as hypothesis_settings
from sqlalchemy import Engine, event

if TYPE_CHECKING:
    from tests.databases import Server

POSTGRESQL = os.environ.get(
    "LINKED_AUTH_TEST_POSTGRESQL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
)
REDIS = os.environ.get("LINKED_AUTH_TEST_REDIS", "redis://127.0.0.1:6379")
CLIENT = "linked-auth-test"
REQUIRED = os.environ.get("LINKED_AUTH_TEST_REQUIRE", "").split()

# As users have it; see addopts in pyproject.toml.
pytest_plugins = ["flask_linked_auth.testing"]

# A busy machine is no failure; what is slow is measured in benchmarks/.
hypothesis_settings.register_profile("any-machine", deadline=None)
hypothesis_settings.load_profile("any-machine")


@event.listens_for(Engine, "connect")
def _spare_the_disk(connection: Any, record: Any) -> None:
    """SQLite waits for the disk at each of its steps, which only matters to who loses power meanwhile."""
    if type(connection).__module__.startswith("sqlite3"):
        connection.execute("PRAGMA synchronous = OFF")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with the services that its fixtures need, so that `-m "not postgresql"` works."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        for service in ("postgresql", "redis"):
            if not {service, f"{service}_url"}.isdisjoint(fixtures):
                item.add_marker(service)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Iterator[Any]:
    """Let no test be skipped where everything is required."""
    return _not_skipped((yield))  # type: ignore[return-value]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[Any]:
    """The same for a whole file."""
    return _not_skipped((yield))  # type: ignore[return-value]


def _not_skipped(report: Any) -> Any:
    if report.skipped and {"postgresql", "redis"} <= set(REQUIRED) and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, where LINKED_AUTH_TEST_REQUIRE is to let nothing be: {report.longrepr}"
    return report


def _missing(service: str, why: object) -> NoReturn:
    why = str(why).partition("\n")[0]
    if service in REQUIRED:
        pytest.fail(f"{service} is required (LINKED_AUTH_TEST_REQUIRE) and missing: {why}", pytrace=False)
    pytest.skip(f"{service} is missing: {why}")


def _driver(service: str, module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        _missing(service, error)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """The PostgreSQL server, for databases that live longer than one test."""
    psycopg = _driver("postgresql", "psycopg")
    from tests.databases import Server

    try:
        psycopg.connect(POSTGRESQL.replace("+psycopg", "", 1), connect_timeout=3).close()
    except psycopg.OperationalError as error:
        _missing("postgresql", error)
    server = Server(POSTGRESQL)
    yield server
    server.close()


@pytest.fixture
def postgresql_url(postgresql: Server) -> Iterator[str]:
    """The SQLAlchemy address of an empty PostgreSQL database that only this test has."""
    with postgresql.database() as url:
        yield url


@pytest.fixture
def redis_url() -> Iterator[str]:
    """The address of a Redis database that only this test has: it was empty, and is emptied afterwards."""
    redis = _driver("redis", "redis")
    try:
        redis.Redis.from_url(REDIS, socket_connect_timeout=3).ping()
    except redis.RedisError as error:
        _missing("redis", error)
    for number in range(15, 0, -1):
        url = f"{REDIS}/{number}"
        # The named connection says that the database is in use, to the other processes that run tests.
        with redis.Redis.from_url(url, client_name=CLIENT, single_connection_client=True) as client:
            named = [each for each in client.client_list() if each["name"] == CLIENT]
            if sum(each["db"] == str(number) for each in named) == 1 and client.dbsize() == 0:
                try:
                    yield url
                finally:
                    client.flushdb()
                return
    _missing("redis", "none of the databases 1 to 15 is empty")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database that only this test has; the test runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    url: str = request.getfixturevalue("postgresql_url")
    return url
