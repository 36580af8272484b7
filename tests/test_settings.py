"""`LINKED_AUTH_*`: read once, checked at start, refused by name and never by value."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from flask_linked_auth import LinkedAuth
from flask_linked_auth.config import AccountSettings, Settings, TokenSettings
from flask_linked_auth.errors import SettingsError
from tests.tiny import OTHER_SECRET, QUICK, SECRET, bare_app, make_app, refused, register, shared, state_of

PRODUCTION = {
    "LINKED_AUTH_NAME": "blog",
    "LINKED_AUTH_ISSUER": "https://blog.example.com",
    "LINKED_AUTH_SECRET": SECRET,
}


def start(**config: Any) -> Flask:
    """An app under test, without a database unless it is told one."""
    app = bare_app(**config)
    LinkedAuth(app, parts=[])
    return app


def start_accounts(**config: Any) -> Flask:
    app = bare_app(database="sqlite://", **{**QUICK, **config})
    shared().init_app(app)
    return app


def start_in_production(**config: Any) -> Flask:
    app = Flask("production")
    app.config.update({**PRODUCTION, **config})
    LinkedAuth(app, parts=[])
    return app


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("LINKED_AUTH_SECERT", "LINKED_AUTH_SECRET"),
        ("LINKED_AUTH_ISUER", "LINKED_AUTH_ISSUER"),
        ("LINKED_AUTH_ACCESS_LIFE_TIME", "LINKED_AUTH_ACCESS_LIFETIME"),
        ("LINKED_AUTH_BCRYPT_ROUNDS", "LINKED_AUTH_BCRYPT_COST"),
        ("LINKED_AUTH_RATELIMITS", "LINKED_AUTH_RATE_LIMITS"),
        ("LINKED_AUTH_TOKEN_LIFETIME", "LINKED_AUTH_ACCESS_LIFETIME"),
        ("LINKED_AUTH_URL_PREFIX", "LINKED_AUTH_PREFIX"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_right_one(key: str, near: str) -> None:
    assert start_accounts()
    with pytest.raises(SettingsError) as caught:
        start_accounts(**{key: "hidden value"})
    assert str(caught.value).startswith(f"{key} is not a setting")
    assert str(caught.value).endswith(f"Did you mean {near}?")
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("key", ["ZZZZZZ", "TOKENS", "COLOUR", "PAGE_SIZE"])
def test_a_key_like_no_other_is_refused_without_a_guess(key: str) -> None:
    with pytest.raises(SettingsError, match=f"LINKED_AUTH_{key} is not a setting") as caught:
        start_accounts(**{f"LINKED_AUTH_{key}": 1})
    assert "Did you mean" not in str(caught.value)


def test_a_key_of_a_part_that_is_not_in_use_is_named_for_its_part() -> None:
    for key in ("BCRYPT_COST", "REGISTRATION", "PREFIX"):
        with pytest.raises(
            SettingsError, match=r"a part that is in use: it belongs to Accounts\(\)"
        ) as caught:
            start(**{f"LINKED_AUTH_{key}": 1})
        assert "Did you mean" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "text", "said"),
    [
        ("REGISTRATION", "False", "from the environment, write true or false"),
        ("RATE_LIMITS", "False", "from the environment, write false, or JSON"),
        ("NAME", "2024", "got a number; from the environment, write it in quotes: '\"2024\"'"),
        ("RATE_LIMIT_STORAGE", "1", "got a number; from the environment, write it in quotes"),
        ("SECRET", "1234567890" * 4, "got a number; from the environment, write it in quotes"),
    ],
)
def test_a_slip_in_the_environment_is_told_as_one(
    monkeypatch: pytest.MonkeyPatch, key: str, text: str, said: str
) -> None:
    monkeypatch.setenv(f"FLASK_LINKED_AUTH_{key}", text)
    app = bare_app(database="sqlite://")
    app.config.from_prefixed_env()
    with pytest.raises(SettingsError, match=f"LINKED_AUTH_{key}") as caught:
        shared().init_app(app)
    assert said in str(caught.value)
    assert key != "SECRET" or text not in str(caught.value)


def test_keys_of_others_are_none_of_our_business() -> None:
    assert start(SECRET_KEY="x", LINKEDAUTH_X=1, MY_LINKED_AUTH_NAME=2)


BAD: list[tuple[str, Any]] = [
    ("NAME", ""),
    ("NAME", "Blog"),
    ("NAME", "my blog"),
    ("NAME", "-x"),
    ("NAME", "x" * 51),
    ("NAME", 7),
    ("NAME", "a\n"),
    ("ISSUER", ""),
    ("ISSUER", "blog.example.com"),
    ("ISSUER", "ftp://x"),
    ("ISSUER", "https://"),
    ("ISSUER", None),
    ("ISSUER", "https://x/?a=b"),
    ("ISSUER", "https://x/#a"),
    ("ISSUER", b"https://x"),
    ("SECRET", ""),
    ("SECRET", "x" * 31),
    ("SECRET", SECRET.encode()),
    ("SECRET", None),
    ("SECRET", ["x" * 40]),
    ("SECRET_FALLBACKS", SECRET),
    ("SECRET_FALLBACKS", ["short"]),
    ("SECRET_FALLBACKS", {SECRET: 1}),
    ("SECRET_FALLBACKS", 1),
    ("ENCRYPTION_KEYS", "x" * 40),
    ("ENCRYPTION_KEYS", ["short"]),
    ("ENCRYPTION_KEYS", [b"x" * 40]),
    ("LEEWAY", -1),
    ("LEEWAY", 61),
    ("LEEWAY", "5"),
    ("LEEWAY", True),
    ("LEEWAY", float("nan")),
    ("SERVICE_HEADER", 1),
    ("SERVICE_HEADER", "yes"),
    ("SERVICE_HEADER", None),
    ("APPS_ONLY_SCOPES", "webhook"),
    ("APPS_ONLY_SCOPES", [""]),
    ("APPS_ONLY_SCOPES", [7]),
    ("ALGORITHM", "HS512"),
    ("ALGORITHM", "none"),
    ("ALGORITHM", "hs256"),
    ("ALGORITHM", None),
    ("ALGORITHM", ["HS256"]),
    ("ACCESS_LIFETIME", 0),
    ("ACCESS_LIFETIME", timedelta(days=8)),
    ("ACCESS_LIFETIME", "900"),
    ("ACCESS_LIFETIME", None),
    ("REFRESH_LIFETIME", 0),
    ("REFRESH_LIFETIME", timedelta(days=367)),
    ("REFRESH_LIFETIME", float("inf")),
    ("LOGIN_LIFETIME", 0),
    ("REFRESH_RETRY_WINDOW", 61),
    ("REFRESH_RETRY_WINDOW", -1),
    ("REVOCATION_INTERVAL", -0.5),
    ("REVOCATION_INTERVAL", 61),
    ("REVOCATION_PATIENCE", 601),
    ("REVOCATION_PATIENCE", "x"),
    ("TOKEN_CACHE_SIZE", -1),
    ("TOKEN_CACHE_SIZE", 1.5),
    ("TOKEN_CACHE_SIZE", True),
    ("JWKS", []),
    ("JWKS", "{}"),
    ("JWKS_URL", "file:///etc/passwd"),
    ("JWKS_URL", ""),
    ("JWKS_URL", "jwks.json"),
    ("PREFIX", "auth"),
    ("PREFIX", "/auth/"),
    ("PREFIX", ""),
    ("PREFIX", "/"),
    ("PREFIX", "/a b"),
    ("PREFIX", "/<x>"),
    ("PREFIX", None),
    ("REGISTRATION", 0),
    ("REGISTRATION", "no"),
    ("PASSWORD_MIN_LENGTH", 7),
    ("PASSWORD_MIN_LENGTH", 65),
    ("PASSWORD_MIN_LENGTH", 15.0),
    ("BCRYPT_COST", 3),
    ("BCRYPT_COST", 17),
    ("BCRYPT_COST", "12"),
    ("BCRYPT_COST", True),
    ("HASHES_AT_ONCE", 0),
    ("HASHES_AT_ONCE", 65),
    ("FRESHNESS", 0),
    ("FRESHNESS", "x"),
    ("RATE_LIMITS", "10/minute"),
    ("RATE_LIMITS", {"logins": "1/minute"}),
    ("RATE_LIMITS", {"login": 5}),
    ("RATE_LIMITS", {"login": "often"}),
    ("RATE_LIMITS", True),
    ("RATE_LIMIT_STORAGE", ""),
    ("RATE_LIMIT_STORAGE", "nowhere"),
]


@pytest.mark.parametrize(("key", "value"), BAD, ids=lambda value: str(value)[:24])
def test_a_bad_value_is_refused_with_its_key(key: str, value: Any) -> None:
    with pytest.raises(SettingsError) as caught:
        start_accounts(**{f"LINKED_AUTH_{key}": value})
    assert f"LINKED_AUTH_{key}" in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("SECRET", "hidden"),
        ("SECRET_FALLBACKS", ["hidden"]),
        ("ENCRYPTION_KEYS", ["hidden"]),
        ("ISSUER", "https://user:hidden@x/?hidden"),
        ("RATE_LIMIT_STORAGE", "nosuch://user:hidden@host"),
        ("JWKS_URL", "hidden"),
        ("JWKS", {"keys": "hidden"}),
        ("NAME", "HIDDEN hidden"),
    ],
)
def test_no_refusal_shows_the_value(key: str, value: Any) -> None:
    with pytest.raises(SettingsError) as caught:
        (start if key.startswith("JWKS") else start_accounts)(**{f"LINKED_AUTH_{key}": value})
    assert "hidden" not in str(caught.value).lower()
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


GOOD: list[tuple[str, Any, Any]] = [
    ("NAME", "blog-2_x", "blog-2_x"),
    ("ISSUER", "https://blog.example.com/", "https://blog.example.com"),
    ("ISSUER", "http://localhost:5000/blog", "http://localhost:5000/blog"),
    ("SECRET_FALLBACKS", [OTHER_SECRET], (OTHER_SECRET,)),
    ("LEEWAY", timedelta(seconds=60), 60),
    ("LEEWAY", 0, 0),
    ("APPS_ONLY_SCOPES", ["a"], ("a",)),
    ("APPS_ONLY_SCOPES", [], ()),
    ("ACCESS_LIFETIME", timedelta(hours=1), 3600),
    ("ACCESS_LIFETIME", 60.9, 60),
    ("REFRESH_RETRY_WINDOW", 0, 0),
    ("REVOCATION_INTERVAL", 0.25, 0.25),
    ("REVOCATION_INTERVAL", timedelta(milliseconds=500), 0.5),
    ("TOKEN_CACHE_SIZE", 0, 0),
]


@pytest.mark.parametrize(("key", "value", "read"), GOOD)
def test_a_good_value_is_read_into_its_field(key: str, value: Any, read: Any) -> None:
    state = state_of(start(**{f"LINKED_AUTH_{key}": value}))
    found = getattr(state.settings, key.lower(), None)
    assert (getattr(state.tokens, key.lower()) if found is None else found) == read


def test_durations_given_as_seconds_or_timedelta_work_to_the_end() -> None:
    app = make_app(access_lifetime=timedelta(minutes=2))
    assert register(app).given["expires_in"] == 120


@pytest.mark.parametrize("key", ["NAME", "ISSUER", "SECRET"])
def test_outside_debug_what_is_missing_is_refused(key: str) -> None:
    assert start_in_production()
    config = {**PRODUCTION}
    del config[f"LINKED_AUTH_{key}"]
    app = Flask("production")
    app.config.update(config)
    with pytest.raises(SettingsError, match=f"LINKED_AUTH_{key} must be set outside debug"):
        LinkedAuth(app, parts=[])


def test_outside_debug_all_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        LinkedAuth(Flask("production"), parts=[])
    names = "LINKED_AUTH_NAME and LINKED_AUTH_ISSUER and LINKED_AUTH_SECRET"
    assert str(caught.value).startswith(f"{names} must be set outside debug.\nLINKED_AUTH_NAME: ")
    assert "secrets.token_urlsafe(48)" in str(caught.value)


@pytest.mark.parametrize("key", [SECRET, SECRET.encode()])
def test_outside_debug_the_secret_is_not_flasks_own_key(key: str | bytes) -> None:
    assert start(secret=SECRET, SECRET_KEY=key)  # on one's own machine it does no harm
    with pytest.raises(
        SettingsError, match="LINKED_AUTH_SECRET must not be the same as SECRET_KEY"
    ) as caught:
        start_in_production(SECRET_KEY=key)
    assert SECRET not in str(caught.value)
    assert start_in_production(SECRET_KEY=OTHER_SECRET)


@pytest.mark.parametrize(
    ("issuer", "warned"),
    [
        ("http://blog.example.com", True),
        ("http://localhost.example.com", True),
        ("https://blog.example.com", False),
        ("http://localhost:5000", False),
        ("http://127.0.0.1:5000/blog", False),
        ("http://[::1]:5000", False),
        ("http://blog.localhost", False),
    ],
)
def test_outside_debug_an_issuer_without_tls_is_warned_of(
    issuer: str, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    start_in_production(LINKED_AUTH_ISSUER=issuer)
    assert ("LINKED_AUTH_ISSUER is an http address" in caplog.text) is warned


@pytest.mark.parametrize(
    "weak",
    [
        "a" * 64,
        "abcabc" * 8,
        "change-me-" * 5 + "0123456789",
        "Your-secret-goes-here-0123456789-abc",
        "secret_key_0123456789_abcdefghijkl",
        "super-secret-0123456789-abcdefghijk",
        "password" * 5 + "12",
        "CHANGEME0123456789abcdefghijklmnop",
        "insecure-insecure-insecure-insecure",
    ],
)
@pytest.mark.parametrize("key", ["SECRET", "SECRET_FALLBACKS", "ENCRYPTION_KEYS"])
def test_outside_debug_what_is_guessable_is_refused(key: str, weak: str) -> None:
    value = weak if key == "SECRET" else [OTHER_SECRET, weak]
    with pytest.raises(SettingsError, match="is guessable") as caught:
        start_in_production(**{f"LINKED_AUTH_{key}": value})
    assert f"LINKED_AUTH_{key}" in str(caught.value)
    assert weak not in str(caught.value)


def test_a_public_key_as_the_secret_is_refused() -> None:
    # CVE-2022-29217: whoever knows the public key could sign with it.
    from cryptography.hazmat.primitives import serialization

    from flask_linked_auth.tokens.keys import generate

    pem = generate("ES256").verifying.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    with pytest.raises(SettingsError, match="LINKED_AUTH_SECRET"):
        start(secret=pem.decode())


def test_a_jwks_is_for_services_without_a_database() -> None:
    for key, value in (("LINKED_AUTH_JWKS", {"keys": []}), ("LINKED_AUTH_JWKS_URL", "https://x/jwks")):
        with pytest.raises(SettingsError, match="LINKED_AUTH_JWKS"):
            start_accounts(**{key: value})


def test_every_setting_has_a_sentence_and_every_part_few_of_them() -> None:
    for kind in (Settings, TokenSettings, AccountSettings):
        for each in fields(kind):
            assert each.metadata["doc"].endswith("."), each.name
        with pytest.raises(AttributeError):
            setattr(kind(), fields(kind)[0].name, None)


def test_no_setting_of_ours_is_a_secret_in_a_repr() -> None:
    shown = repr(Settings(secret=SECRET, secret_fallbacks=(OTHER_SECRET,), encryption_keys=("k" * 40,)))
    assert SECRET not in shown
    assert OTHER_SECRET not in shown
    assert "kkkk" not in shown


# What the settings of the accounts do.


def test_the_prefix_moves_every_endpoint() -> None:
    app = make_app(prefix="/api/v1/people")
    new = {"email": "ana@example.com", "password": "violet-kettle-harbour-93"}
    assert app.test_client().post("/api/v1/people/register", json=new).status_code == 201
    assert app.test_client().post("/auth/register", json=new).status_code == 404


def test_registration_can_be_closed() -> None:
    app = make_app(registration=False)
    new = {"email": "ana@example.com", "password": "violet-kettle-harbour-93"}
    refused(app.test_client().post("/auth/register", json=new), 403, "registration-closed")


def test_the_least_length_of_a_password_is_a_setting() -> None:
    short = {"email": "ana@example.com", "password": "kx9-plum"}
    refused(make_app().test_client().post("/auth/register", json=short), 422, "invalid-fields")
    app = make_app(password_min_length=8)
    assert app.test_client().post("/auth/register", json=short).status_code == 201
    short["password"] = "kx9-plu"
    refused(app.test_client().post("/auth/register", json=short), 422, "invalid-fields")


@pytest.mark.parametrize("lifted", [None, False])
def test_all_rate_limits_can_be_lifted(lifted: Any) -> None:
    app = make_app(rate_limits={"refresh": "1/minute"})
    statuses = [register(app).refresh().status_code, register(app, "b@example.com").refresh().status_code]
    assert statuses == [200, 429]
    app = make_app(rate_limits=lifted)
    client = app.test_client()
    bad = {"email": "nobody@example.com", "password": "x"}
    assert {client.post("/auth/login", json=bad).status_code for _ in range(25)} == {401}


def test_one_rule_can_be_changed_and_another_lifted() -> None:
    app = make_app(rate_limits={"login": "2/minute", "login-failures": None})
    client = app.test_client()
    bad = {"email": "nobody@example.com", "password": "x"}
    assert [client.post("/auth/login", json=bad).status_code for _ in range(3)] == [401, 401, 429]


def test_rate_limits_are_on_by_default() -> None:
    app = bare_app(database="sqlite://", bcrypt_cost=4)
    LinkedAuth(app)
    client = app.test_client()
    bad = {"email": "nobody@example.com", "password": "x"}
    statuses = [client.post("/auth/login", json=bad).status_code for _ in range(11)]
    assert statuses == [401] * 10 + [429]
