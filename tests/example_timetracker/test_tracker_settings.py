"""The three configurations: what they take from the environment, and what they refuse to start with."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from example_blog import create_app as create_blog
from example_timetracker import config
from example_timetracker.config import DevelopmentConfig
from flask_linked_auth.errors import SettingsError

if TYPE_CHECKING:
    from tests.example_timetracker.conftest import Make

ROOT = Path(__file__).resolve().parents[2]
WORLD = {
    "DATABASE_URL": "postgresql://time:kept%40quiet@db.example.com/time",
    "LINKED_AUTH_ISSUER": "https://time.example.com",
    "LINKED_AUTH_SECRET": "q3Zt8vLm1xRw6yKc9pHd2sNf5bGj7eUa",
}


@pytest.mark.parametrize("missing", WORLD)
def test_production_does_not_start_without(make_tracker: Make, missing: str) -> None:
    with pytest.raises(SettingsError, match=missing) as refused:
        make_tracker("production", **WORLD | {missing: ""})
    assert not any(name in str(refused.value) for name in WORLD if name != missing)


@pytest.mark.parametrize("secret", ["short", "a" * 40, "change-me-change-me-change-me-12345"])
def test_production_does_not_start_with_a_weak_secret(make_tracker: Make, secret: str) -> None:
    with pytest.raises(SettingsError, match="LINKED_AUTH_SECRET") as refused:
        make_tracker("production", **WORLD | {"LINKED_AUTH_SECRET": secret})
    assert secret not in str(refused.value)


@pytest.mark.parametrize(
    "program",
    [["flask", "--app", "example_timetracker", "routes"], ["gunicorn", "example_timetracker.wsgi:app"]],
)
def test_neither_program_starts_unconfigured(program: list[str]) -> None:
    environ = {"PATH": os.environ["PATH"], "APP_ENV": "production"}
    if program[0] == "gunicorn":
        pytest.importorskip("gunicorn")
        del environ["APP_ENV"]  # wsgi.py is for production
        program = [*program, "--bind", "127.0.0.1:0"]
    done = subprocess.run(
        [sys.executable, "-m", *program],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "does not start in production without DATABASE_URL" in done.stderr


def test_production_is_configured_by_the_environment_alone(make_tracker: Make) -> None:
    former, sealing = "f" * 16 + WORLD["LINKED_AUTH_SECRET"], "k" * 16 + WORLD["LINKED_AUTH_SECRET"]
    app = make_tracker(
        "production", LINKED_AUTH_SECRET_FALLBACKS=f"{former},", LINKED_AUTH_ENCRYPTION_KEYS=sealing, **WORLD
    )
    assert not app.debug
    assert not app.testing
    settings = app.extensions["linked_auth"].settings
    assert (settings.name, settings.issuer) == ("timetracker", "https://time.example.com")
    assert (settings.secret_fallbacks, settings.encryption_keys) == ((former,), (sealing,))
    assert app.test_client().get("/account/forgot").status_code == 404  # it sends no mail


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgres://u:p%40ss@h/d", "postgresql+psycopg://u:p%40ss@h/d"),
        ("postgresql://h:5433/d?sslmode=require", "postgresql+psycopg://h:5433/d?sslmode=require"),
        ("sqlite:////srv/time.db", "sqlite:////srv/time.db"),
        ("", "sqlite:///timetracker.db"),
    ],
)
def test_the_address_of_the_database_gets_the_driver_that_we_bring(given: str, used: str) -> None:
    assert used == DevelopmentConfig({"DATABASE_URL": given}).SQLALCHEMY_DATABASE_URI


def test_tests_never_touch_the_database_that_is_not_for_them() -> None:
    kept = config.TestingConfig({"DATABASE_URL": "postgresql://h/precious"}).SQLALCHEMY_DATABASE_URI
    assert kept == "sqlite://"


@pytest.mark.parametrize("name", ["PORT", "PROXY_HOPS"])
@pytest.mark.parametrize("text", ["many", "-1", "1.5", "\uff11"])
def test_what_is_no_number_is_named(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=name):
        DevelopmentConfig({name: text})


def test_an_address_that_is_none_is_not_shown(make_tracker: Make) -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL") as refused:
        make_tracker("production", **WORLD | {"DATABASE_URL": "host=db password=hidden"})
    assert "hidden" not in str(refused.value)


def test_app_env_chooses_and_a_wrong_one_is_refused(make_tracker: Make) -> None:
    assert make_tracker("", APP_ENV="testing").testing
    assert make_tracker("").debug
    with pytest.raises(SettingsError, match="development, testing, production"):
        make_tracker("", APP_ENV="staging")


def test_it_listens_beside_the_blog_and_shares_nothing_with_it(make_tracker: Make) -> None:
    assert DevelopmentConfig({}).LINKED_AUTH_ISSUER == "http://localhost:5001"
    assert DevelopmentConfig({"PORT": "5002"}).LINKED_AUTH_ISSUER == "http://localhost:5002"
    tracker, blog = make_tracker("testing"), create_blog("testing")
    assert tracker.instance_path != blog.instance_path  # each keeps a secret and a database there
    names = {app.extensions["linked_auth"].settings.name for app in (tracker, blog)}
    assert names == {"timetracker", "blog"}  # and so are the cookies named


def test_limits_are_counted_in_redis_when_there_is_one(make_tracker: Make) -> None:
    pytest.importorskip("redis")
    app = make_tracker(REDIS_URL="redis://127.0.0.1:6379/0")
    settings = app.extensions["linked_auth"].parts["accounts"].settings
    assert settings.rate_limit_storage == "redis://127.0.0.1:6379/0"


@pytest.mark.parametrize(("hops", "address"), [("0", "127.0.0.1"), ("1", "203.0.113.9")])
def test_a_forwarded_address_counts_only_behind_our_proxies(
    make_tracker: Make, hops: str, address: str
) -> None:
    app = make_tracker(PROXY_HOPS=hops)
    seen: list[str] = []

    @app.get("/seen")
    def see() -> str:
        from flask import request

        seen.append(str(request.remote_addr))
        return ""

    app.test_client().get("/seen", headers={"X-Forwarded-For": "198.51.100.1, 203.0.113.9"})
    assert seen == [address]
