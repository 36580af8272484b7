"""The three configurations: what they take from the environment, and what they refuse to start with."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from example_blog import config
from example_blog.config import DevelopmentConfig
from flask_linked_auth.errors import SettingsError
from tests.example_blog.walker import join, run

if TYPE_CHECKING:
    from tests.example_blog.conftest import Make

ROOT = Path(__file__).resolve().parents[2]
WORLD = {
    "DATABASE_URL": "postgresql://blog:kept%40quiet@db.example.com/blog",
    "LINKED_AUTH_ISSUER": "https://blog.example.com",
    "LINKED_AUTH_SECRET": "q3Zt8vLm1xRw6yKc9pHd2sNf5bGj7eUa",
}


@pytest.mark.parametrize("missing", WORLD)
def test_production_does_not_start_without(make_blog: Make, missing: str) -> None:
    with pytest.raises(SettingsError, match=missing) as refused:
        make_blog("production", **WORLD | {missing: ""})
    assert not any(name in str(refused.value) for name in WORLD if name != missing)


def test_everything_that_is_missing_is_named_at_once(make_blog: Make) -> None:
    with pytest.raises(SettingsError, match=r"DATABASE_URL, LINKED_AUTH_ISSUER, LINKED_AUTH_SECRET"):
        make_blog("production", LINKED_AUTH_SECRET="")


@pytest.mark.parametrize("secret", ["short", "a" * 40, "change-me-change-me-change-me-12345"])
def test_production_does_not_start_with_a_weak_secret(make_blog: Make, secret: str) -> None:
    with pytest.raises(SettingsError, match="LINKED_AUTH_SECRET") as refused:
        make_blog("production", **WORLD | {"LINKED_AUTH_SECRET": secret})
    assert secret not in str(refused.value)


@pytest.mark.parametrize(
    "program", [["flask", "--app", "example_blog", "routes"], ["gunicorn", "example_blog.wsgi:app"]]
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


def test_production_is_configured_by_the_environment_alone(make_blog: Make) -> None:
    app = make_blog("production", CORS_ORIGINS="https://a.example.com, https://b.example.com", **WORLD)
    assert not app.debug
    assert not app.testing
    settings = app.extensions["linked_auth"].settings
    assert (settings.name, settings.issuer) == ("blog", "https://blog.example.com")
    assert app.config["CORS_ORIGINS"] == ["https://a.example.com", "https://b.example.com"]


def test_the_older_name_of_the_secret_is_accepted_and_the_newer_counts(make_blog: Make) -> None:
    old = make_blog(
        "production", **WORLD | {"LINKED_AUTH_SECRET": "", "JWT_SECRET_KEY": WORLD["LINKED_AUTH_SECRET"]}
    )
    assert old.config["LINKED_AUTH_SECRET"] == WORLD["LINKED_AUTH_SECRET"]
    both = make_blog("production", **WORLD | {"JWT_SECRET_KEY": "short"})
    assert both.config["LINKED_AUTH_SECRET"] == WORLD["LINKED_AUTH_SECRET"]


def test_former_secrets_and_sealing_keys_are_lists(make_blog: Make) -> None:
    former, sealing = "f" * 16 + WORLD["LINKED_AUTH_SECRET"], "k" * 16 + WORLD["LINKED_AUTH_SECRET"]
    app = make_blog(
        "production", LINKED_AUTH_SECRET_FALLBACKS=f"{former},", LINKED_AUTH_ENCRYPTION_KEYS=sealing, **WORLD
    )
    settings = app.extensions["linked_auth"].settings
    assert (settings.secret_fallbacks, settings.encryption_keys) == ((former,), (sealing,))


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgres://u:p%40ss@h/d", "postgresql+psycopg://u:p%40ss@h/d"),
        ("postgresql://h:5433/d?sslmode=require", "postgresql+psycopg://h:5433/d?sslmode=require"),
        ("postgresql+psycopg://h/d", "postgresql+psycopg://h/d"),
        ("sqlite:////srv/blog.db", "sqlite:////srv/blog.db"),
        ("", "sqlite:///blog.db"),
    ],
)
def test_the_address_of_the_database_gets_the_driver_that_we_bring(given: str, used: str) -> None:
    assert used == DevelopmentConfig({"DATABASE_URL": given}).SQLALCHEMY_DATABASE_URI


def test_tests_never_touch_the_database_that_is_not_for_them() -> None:
    assert (
        config.TestingConfig({"DATABASE_URL": "postgresql://h/precious"}).SQLALCHEMY_DATABASE_URI
        == "sqlite://"
    )


@pytest.mark.parametrize("name", ["PORT", "PROXY_HOPS"])
@pytest.mark.parametrize("text", ["many", "-1", "1.5", "\uff11"])
def test_what_is_no_number_is_named(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=name):
        DevelopmentConfig({name: text})


def test_an_address_that_is_none_is_not_shown(make_blog: Make) -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL") as refused:
        make_blog("production", **WORLD | {"DATABASE_URL": "host=db password=hidden"})
    assert "hidden" not in str(refused.value)


def test_app_env_chooses_and_a_wrong_one_is_refused(make_blog: Make) -> None:
    assert make_blog("", APP_ENV="testing").testing
    assert make_blog("").debug
    with pytest.raises(SettingsError, match="development, testing, production"):
        make_blog("", APP_ENV="staging")


def test_the_port_is_in_the_address_of_a_development_blog() -> None:
    assert DevelopmentConfig({"PORT": "5001"}).LINKED_AUTH_ISSUER == "http://localhost:5001"
    assert (
        DevelopmentConfig({"PORT": "5001", "LINKED_AUTH_ISSUER": "http://x"}).LINKED_AUTH_ISSUER == "http://x"
    )


@pytest.mark.parametrize(("hops", "address"), [("0", "127.0.0.1"), ("1", "203.0.113.9")])
def test_a_forwarded_address_counts_only_behind_our_proxies(make_blog: Make, hops: str, address: str) -> None:
    app = make_blog(PROXY_HOPS=hops)
    run(app, "db", "upgrade")
    ada = join(app, "Ada")
    login = app.test_client().post(
        "/auth/login",
        json={"email": ada.email, "password": "violet-kettle-harbour-93"},
        headers={"X-Forwarded-For": "198.51.100.1, 203.0.113.9"},
    )
    assert login.status_code == 200
    rows = ada.call("GET", "/auth/me/logins").get_json()["results"]
    assert address in {row["address"] for row in rows}
    assert "198.51.100.1" not in {row["address"] for row in rows}


def test_limits_are_counted_in_redis_when_there_is_one(make_blog: Make) -> None:
    pytest.importorskip("redis")
    app = make_blog(REDIS_URL="redis://127.0.0.1:6379/0")
    assert (
        app.extensions["linked_auth"].parts["accounts"].settings.rate_limit_storage
        == "redis://127.0.0.1:6379/0"
    )
