"""`flask linked-auth config`: what is in effect, where it comes from, and no secret among it."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest

from flask_linked_auth import LinkedAuth
from flask_linked_auth.config import AccountSettings, AppSettings, LinkSettings, Settings, TokenSettings
from flask_linked_auth.effective import MASK, masked
from flask_linked_auth.tokens.keys import generate, jwks
from tests.test_cli import done
from tests.tiny import OTHER_SECRET, SECRET, bare_app, make_app

if TYPE_CHECKING:
    from pathlib import Path

    from flask import Flask


def lines(app: Flask) -> dict[str, str]:
    """Each setting of the output with what stands behind it."""
    rows = [line.split(maxsplit=1) for line in done(app, "config").splitlines() if line.startswith("  ")]
    return dict(row for row in rows)


def parts(app: Flask) -> dict[str, Any]:
    found = json.loads(done(app, "config", "--json"))
    assert isinstance(found, dict)
    return found


def test_every_setting_is_there_once_by_part() -> None:
    app = make_app()
    wanted = {
        "every app": Settings,
        "tokens": TokenSettings,
        "accounts": AccountSettings,
        "apps": AppSettings,
        "links": LinkSettings,
    }
    found = parts(app)
    for part, kind in wanted.items():
        assert list(found[part]) == [f"LINKED_AUTH_{field.name.upper()}" for field in fields(kind)]
    assert list(lines(app)) == [key for settings in found.values() for key in settings]


def test_where_each_comes_from() -> None:
    app = make_app(access_lifetime=600, rate_limits={"login": "5/minute"})
    told = lines(app)
    assert told["LINKED_AUTH_ACCESS_LIFETIME"] == "600  (set)"
    assert told["LINKED_AUTH_REFRESH_LIFETIME"] == f"{30 * 24 * 3600}  (default)"
    assert told["LINKED_AUTH_NAME"] == "tiny  (made for development)"
    assert told["LINKED_AUTH_SECRET_FALLBACKS"] == "none  (default)"
    assert told["LINKED_AUTH_RATE_LIMITS"].startswith("login: 5/minute, login-failures: 10/minute;50/hour, ")


def test_what_is_set_to_the_default_is_set() -> None:
    assert lines(make_app(leeway=5))["LINKED_AUTH_LEEWAY"] == "5  (set)"


def test_no_secret_is_shown(tmp_path: Path) -> None:
    key = "sealing-" + OTHER_SECRET
    app = make_app(secret_fallbacks=[OTHER_SECRET], encryption_keys=[key, SECRET[::-1]])
    for output in (done(app, "config"), done(app, "config", "--json")):
        for secret in (SECRET, OTHER_SECRET, key, SECRET[::-1]):
            assert secret not in output
    told = lines(app)
    assert told["LINKED_AUTH_SECRET"] == f"{MASK}  (set)"
    assert told["LINKED_AUTH_ENCRYPTION_KEYS"] == f"{MASK}, {MASK}  (set)"


def test_the_secret_of_a_development_machine_is_not_shown(tmp_path: Path) -> None:
    app = bare_app(database="sqlite://")
    app.instance_path = str(tmp_path)
    del app.config["LINKED_AUTH_SECRET"]
    LinkedAuth(app)
    kept = (tmp_path / "linked_auth_secret").read_text()
    output = done(app, "config")
    assert kept not in output
    assert lines(app)["LINKED_AUTH_SECRET"] == f"{MASK}  (made for development)"


def test_passwords_in_addresses_are_not_shown() -> None:
    app = make_app(rate_limit_storage="redis://blog:p@ss/w:rd@localhost:6379/3")
    app.config["SQLALCHEMY_DATABASE_URI"] = "postgresql+psycopg://blog:hunter2@db.example.com/blog"
    told = lines(app)
    assert told["LINKED_AUTH_RATE_LIMIT_STORAGE"] == f"redis://blog:{MASK}@localhost:6379/3  (set)"
    assert told["SQLALCHEMY_DATABASE_URI"] == f"postgresql+psycopg://blog:{MASK}@db.example.com/blog  (set)"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("redis://localhost:6379", "redis://localhost:6379"),
        ("redis://:pw@localhost:6379", f"redis://:{MASK}@localhost:6379"),
        ("REDISS://u:p@h", f"REDISS://u:{MASK}@h"),
        ("redis+sentinel://:pw@a:1,b:2/main", f"redis+sentinel://:{MASK}@a:1,b:2/main"),
        ("x://a:one@h1,b:two@h2", f"x://a:{MASK}@h2"),
        ("postgresql://postgres@127.0.0.1/x", "postgresql://postgres@127.0.0.1/x"),
        ("postgresql://flask@srv:one two@h.example/x", f"postgresql://flask@srv:{MASK}@h.example/x"),
        ("redis://user@x:one@h", f"redis://user@x:{MASK}@h"),
        ("https://h/keys?sig=one&v=2", f"https://h/keys?sig={MASK}&v=2"),
        ("postgresql://u:a?b#c@h/x", f"postgresql://u:{MASK}@h/x"),
        ("postgresql:///x?user=u&password=pw&x=1", f"postgresql:///x?user=u&password={MASK}&x=1"),
        ("mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BPWD%3Dpw", f"mssql+pyodbc:///?odbc_connect={MASK}"),
        ("https://a.example/jwks?api_key=k1;TOKEN=t1", f"https://a.example/jwks?api_key={MASK};TOKEN={MASK}"),
        ("https://blog.example.com", "https://blog.example.com"),
        ({"a": ["redis://u:p@h"], "b": None, "c": 1.5}, {"a": [f"redis://u:{MASK}@h"], "b": None, "c": 1.5}),
    ],
    ids=str,
)
def test_what_is_masked(value: Any, shown: Any) -> None:
    assert masked(value) == shown


def test_a_service_without_accounts_has_fewer() -> None:
    app = bare_app(jwks=jwks([generate("EdDSA")]))
    LinkedAuth(app, parts=[])
    assert list(parts(app)) == ["every app", "tokens"]
    assert "'kty'" not in done(app, "config")
    assert "kty: OKP" in lines(app)["LINKED_AUTH_JWKS"]


def test_the_database_that_we_made_is_the_default(tmp_path: Path) -> None:
    app = bare_app()
    app.instance_path = str(tmp_path)
    LinkedAuth(app)
    assert lines(app)["SQLALCHEMY_DATABASE_URI"] == "sqlite:///linked_auth.db  (default)"
