"""Empty PostgreSQL databases for tests, each for one at a time; and what no test needs a disk for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    from psycopg import Connection

_PATIENCE = 5  # seconds until a backend that was told to end has ended
# What a test may leave behind that goes away neither with the tables nor with the connections.
_ALTERED = """
SELECT NOT datallowconn OR datconnlimit <> -1 OR EXISTS (
    SELECT FROM pg_db_role_setting WHERE setdatabase = oid AND setconfig <> '{synchronous_commit=off}'
) FROM pg_database WHERE datname = %s
"""
_SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema$)'"


class Server:
    """A PostgreSQL server (its SQLAlchemy address) on which each test has an empty database of its own.

    To make and drop a database takes longer than most tests: the server copies some 900 files, and writes all that it
    holds to the disk. So a database is emptied after a test, and the next one has it under another name: whoever is
    still there from the test before does not find it. One whose settings were changed is dropped.
    """

    def __init__(self, address: str) -> None:
        self._server, _, self._database = address.rpartition("/")
        self._spare: list[str] = []

    @contextmanager
    def database(self) -> Iterator[str]:
        """The SQLAlchemy address of an empty database that nobody else has."""
        name = f"linked_auth_test_{uuid4().hex}"
        with self._connect(self._database) as server:
            self._make(server, name)
            try:
                yield f"{self._server}/{name}"
            finally:
                self._take_back(server, name)

    def close(self) -> None:
        """Drop the databases that nobody has."""
        with self._connect(self._database) as server:
            while self._spare:
                _drop(server, self._spare.pop())

    def _connect(self, database: str) -> Connection[Any]:
        address = f"{self._server}/{database}".replace("+psycopg", "", 1)
        return psycopg.connect(address, autocommit=True, connect_timeout=_PATIENCE)

    def _make(self, server: Connection[Any], name: str) -> None:
        if self._spare:
            _alter(server, "ALTER DATABASE {} RENAME TO {}", self._spare.pop(), name)
            return
        _alter(server, "CREATE DATABASE {}", name)
        # Only a server that loses its power would forget what it has confirmed, and no test takes that away.
        _alter(server, "ALTER DATABASE {} SET synchronous_commit = off", name)

    def _take_back(self, server: Connection[Any], name: str) -> None:
        spare = f"linked_auth_test_spare_{uuid4().hex}"
        altered = server.execute(_ALTERED, [name]).fetchone()
        if altered is None:
            return  # the test has dropped it itself
        if altered[0] or not _is_left(server, name):
            _drop(server, name)
            return
        _alter(server, "ALTER DATABASE {} RENAME TO {}", name, spare)
        with self._connect(spare) as inside:
            for (schema,) in inside.execute(_SCHEMAS).fetchall():
                _alter(inside, "DROP SCHEMA {} CASCADE", schema)
            inside.execute("CREATE SCHEMA public")
        self._spare.append(spare)


def _alter(connection: Connection[Any], statement: str, *names: str) -> None:
    connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def _drop(server: Connection[Any], name: str) -> None:
    _alter(server, "DROP DATABASE {} WITH (FORCE)", name)


def _is_left(server: Connection[Any], name: str) -> bool:
    """Throw everybody out; whether they have gone. A program that a test has left running may come back at once."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        there = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
        if not server.execute(there, [name]).fetchall():
            return True
        time.sleep(0.002)
    return False
