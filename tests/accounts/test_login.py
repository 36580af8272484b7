"""Logging in: by address or name, the same answer for whatever is wrong, and limits that lock nobody out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bcrypt
import pytest

from tests.tiny import (
    OTHER_PASSWORD,
    PASSWORD,
    Person,
    edit,
    in_database,
    log_in,
    make_app,
    refused,
    register,
)

if TYPE_CHECKING:
    from flask import Flask

ANA = {"email": "ana@example.com", "password": PASSWORD}


@pytest.fixture
def app() -> Flask:
    app = make_app()
    register(app, username="ana")
    return app


def attempt(app: Flask, address: str = "127.0.0.1", **body: Any) -> Any:
    return app.test_client().post("/auth/login", json=body, environ_base={"REMOTE_ADDR": address})


@pytest.mark.parametrize(
    "who",
    [
        {"email": "ana@example.com"},
        {"email": "ANA@Example.COM"},
        {"username": "ana"},
        {"username": "ANA"},
        {"email": "ana"},
        {"username": "ana@example.com"},
    ],
)
def test_one_logs_in_by_address_or_name_however_it_is_spelt(app: Flask, who: dict[str, str]) -> None:
    answer = attempt(app, **who, password=PASSWORD)
    assert answer.status_code == 200
    body = answer.get_json()
    assert body.keys() == {"token", "access_token", "refresh_token", "token_type", "expires_in", "user_id"}
    assert (body["user_id"], body["token"], body["token_type"]) == (1, body["access_token"], "Bearer")
    assert Person(app, body).get("/auth/me").get_json()["username"] == "ana"


def test_each_login_is_one_of_its_own(app: Flask) -> None:
    one, two = log_in(app), log_in(app)
    assert one.access != two.access
    assert one.refresh_token != two.refresh_token
    one.post("/auth/logout")
    refused(one.get("/auth/me"), 401, "token-revoked")
    assert two.get("/auth/me").status_code == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"email": "ana@example.com", "password": OTHER_PASSWORD},
        {"email": "ana@example.com", "password": PASSWORD + " "},
        {"email": "ana@example.com", "password": PASSWORD.upper()},
        {"email": "ana@example.com", "password": ""},
        {"email": "ana@example.com", "password": "x" * 60_000},
        {"email": "nobody@example.com", "password": PASSWORD},
        {"email": "not an address", "password": PASSWORD},
        {"email": "", "password": PASSWORD},
        {"email": "%", "password": PASSWORD},
        {"email": "' OR 1=1 --", "password": PASSWORD},
        {"username": "nobody", "password": PASSWORD},
        {"username": "x" * 5000, "password": PASSWORD},
    ],
    ids=lambda wrong: repr(wrong)[:40],
)
def test_whatever_is_wrong_the_answer_is_the_same(app: Flask, wrong: dict[str, str]) -> None:
    assert attempt(app, **ANA).status_code == 200
    usual = attempt(app, email="ana@example.com", password="wrong")
    refused(usual, 401, "invalid-credentials")
    assert usual.headers["WWW-Authenticate"] == "Bearer"
    answer = attempt(app, **wrong)
    assert answer.data == usual.data
    assert dict(answer.headers) == dict(usual.headers)


def test_a_deactivated_person_gets_the_same_answer(app: Flask) -> None:
    usual = attempt(app, email="ana@example.com", password="wrong")
    edit(app, "User", active=False)
    answer = attempt(app, **ANA)
    assert (answer.status_code, answer.data) == (usual.status_code, usual.data)


@pytest.mark.parametrize("stored", ["", "!", "x" * 60, "fla1:garbage", "$2b$04$short", "pbkdf2:sha256:1$a$b"])
def test_an_unusable_hash_in_the_database_lets_nobody_in(app: Flask, stored: str) -> None:
    edit(app, "User", password_hash=stored)
    for password in (PASSWORD, "", stored, "x"):
        refused(attempt(app, email="ana@example.com", password=password), 401, "invalid-credentials")


def test_every_attempt_costs_one_hash(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    # The clock is a poor witness on a busy machine: count instead (as Django's tests do).
    counted: list[int] = []
    real = {name: getattr(bcrypt, name) for name in ("hashpw", "checkpw")}

    def counting(name: str) -> Any:
        return lambda *args: counted.append(1) or real[name](*args)

    def cost(**body: str) -> int:
        counted.clear()
        attempt(app, **body)
        return len(counted)

    attempt(app, email="nobody@example.com", password="x")  # the hash for unknown people is made once
    for name in real:
        monkeypatch.setattr(bcrypt, name, counting(name))
    known = cost(email="ana@example.com", password="wrong")
    assert (
        known == cost(email="nobody@example.com", password="wrong") == cost(username="a b", password="x") == 1
    )
    assert cost(**ANA) == 1
    edit(app, "User", active=False)
    assert cost(**ANA) == 1
    edit(app, "User", password_hash="!")
    assert cost(**ANA) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"password": PASSWORD},
        {"email": "ana@example.com"},
        {"email": "ana@example.com", "username": "ana", "password": PASSWORD},
        {"email": 7, "password": PASSWORD},
        {"email": "ana@example.com", "password": 7},
        {"email": "ana@example.com", "password": None},
        {"email": ["ana@example.com"], "password": PASSWORD},
        {"email": {"$ne": ""}, "password": PASSWORD},
        {**ANA, "remember": True},
        {**ANA, "is_admin": True},
    ],
)
def test_a_body_of_another_shape_is_refused(app: Flask, body: dict[str, Any]) -> None:
    assert attempt(app, **ANA).status_code == 200
    assert refused(attempt(app, **body), 422, "invalid-fields")["errors"]


def test_one_logs_in_by_post_and_json_only(app: Flask) -> None:
    client = app.test_client()
    refused(client.get("/auth/login", query_string=ANA), 405, "method-not-allowed")
    refused(client.post("/auth/login", data=ANA), 415, "unsupported-media-type")
    refused(
        client.post("/auth/login", data=b'{"email": "a"', content_type="application/json"),
        400,
        "malformed-request",
    )
    assert not client.post("/auth/login", json=ANA).headers.getlist("Set-Cookie")


@pytest.mark.parametrize("prefix", [b"2a", b"2b"])
def test_a_plain_bcrypt_hash_from_elsewhere_is_verified_and_upgraded(app: Flask, prefix: bytes) -> None:
    plain = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4, prefix=prefix)).decode()
    edit(app, "User", password_hash=plain)
    refused(attempt(app, email="ana@example.com", password=OTHER_PASSWORD), 401, "invalid-credentials")
    ana = log_in(app)
    with in_database(app) as (db, rows):
        upgraded = db.session.get_one(rows.User, ana.id).password_hash
    assert upgraded.startswith("fla1:")
    assert ana.get("/auth/me").status_code == 200  # an upgrade is no change of password: nothing ends
    assert ana.refresh().status_code == 200
    assert log_in(app).id == ana.id


def test_a_hash_of_another_cost_is_upgraded_without_ending_a_login(tmp_path: Any) -> None:
    url = f"sqlite:///{tmp_path / 'cost.db'}"
    ana = register(make_app(database=url))
    dearer = make_app(database=url, bcrypt_cost=5)
    again = log_in(dearer)
    with in_database(dearer) as (db, rows):
        assert "$05$" in db.session.get_one(rows.User, again.id).password_hash
    assert ana.elsewhere(dearer).get("/auth/me").status_code == 200


def test_a_person_of_older_days_whose_address_is_not_in_our_form_can_log_in(app: Flask) -> None:
    edit(app, "User", email="Ana@Example.com")
    assert attempt(app, email="Ana@Example.com", password=PASSWORD).status_code == 200
    refused(attempt(app, email="Ana@Example.com", password="wrong"), 401, "invalid-credentials")


# Limits.


def test_failures_slow_down_the_pair_of_account_and_address() -> None:
    app = make_app(rate_limits={"login-failures": "3/minute"})
    register(app)
    register(app, "ben@example.com")
    wrong = {"email": "ana@example.com", "password": "wrong"}
    assert [attempt(app, **wrong).status_code for _ in range(4)] == [401, 401, 401, 429]
    answer = attempt(app, **ANA)  # the right password does not help the attacker's address
    refused(answer, 429, "too-many-requests")
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert attempt(app, "192.0.2.9", **ANA).status_code == 200  # the owner, elsewhere, is not locked out
    assert attempt(app, email="ben@example.com", password=PASSWORD).status_code == 200


def test_the_limit_is_the_same_for_people_who_do_not_exist() -> None:
    app = make_app(rate_limits={"login-failures": "3/minute"})
    register(app)
    for email in ("ana@example.com", "nobody@example.com"):
        statuses = [attempt(app, email=email, password="wrong").status_code for _ in range(5)]
        assert statuses == [401, 401, 401, 429, 429]


@pytest.mark.parametrize(
    "spelling",
    [{"email": "ANA@EXAMPLE.COM"}, {"email": "\uff41na@example.com"}, {"username": "ana@example.com"}],
)
def test_the_limit_cannot_be_evaded_by_spelling(spelling: dict[str, str]) -> None:
    app = make_app(rate_limits={"login-failures": "2/minute"})
    register(app)
    for _ in range(2):
        refused(attempt(app, **spelling, password="wrong"), 401, "invalid-credentials")
    refused(attempt(app, **ANA), 429, "too-many-requests")


def test_the_limit_cannot_be_evaded_by_headers_or_by_moving_within_an_ipv6_network() -> None:
    app = make_app(rate_limits={"login-failures": "2/minute"})
    register(app)
    client = app.test_client()
    wrong = {"email": "ana@example.com", "password": "wrong"}
    headers = [{"X-Forwarded-For": f"192.0.2.{n}"} for n in range(3)]
    assert [client.post("/auth/login", json=wrong, headers=h).status_code for h in headers] == [401, 401, 429]
    addresses = ["2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:0:3::4", "2001:db8:0:1::1"]
    assert [attempt(app, address, **wrong).status_code for address in addresses] == [401, 401, 429, 401]
    assert [attempt(app, a, **wrong).status_code for a in ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1")] == [
        401,
        401,
        429,
    ]


def test_a_success_clears_what_failed_before() -> None:
    app = make_app(rate_limits={"login-failures": "3/minute"})
    register(app)
    wrong = {"email": "ana@example.com", "password": "wrong"}
    for _ in range(4):
        assert [attempt(app, **wrong).status_code for _ in range(2)] == [401, 401]
        assert attempt(app, **ANA).status_code == 200


def test_all_logins_of_one_address_are_limited_together() -> None:
    app = make_app(rate_limits={"login": "3/minute", "login-failures": None})
    register(app)
    statuses = [attempt(app, email=f"p{n}@example.com", password="wrong").status_code for n in range(4)]
    assert statuses == [401, 401, 401, 429]
    assert attempt(app, "192.0.2.9", **ANA).status_code == 200


def test_limits_can_be_counted_in_redis_for_several_processes(redis_url: str) -> None:
    limits = {"rate_limits": {"login-failures": "3/minute"}, "rate_limit_storage": redis_url}
    apps = [make_app(**limits), make_app(**limits)]
    wrong = {"email": "ana@example.com", "password": "wrong"}
    assert [attempt(apps[n % 2], **wrong).status_code for n in range(5)] == [401, 401, 401, 429, 429]


def test_what_the_device_says_of_itself_and_its_address_are_kept(app: Flask) -> None:
    ana = log_in(
        app, headers={"User-Agent": "Tiny/1.0 " + "x" * 400}, environ_base={"REMOTE_ADDR": "192.0.2.44"}
    )
    mine = next(each for each in ana.get("/auth/me/logins").get_json()["results"] if each["current"])
    assert mine["address"] == "192.0.2.44"
    assert mine["device"].startswith("Tiny/1.0 xxx")
    assert len(mine["device"]) == 255


def test_odd_characters_in_what_the_device_says_do_no_harm(database_url: str) -> None:
    app = make_app(database=database_url)
    ana = register(app)
    for agent in ["a\x00b", "a\x1bb", "caf\u00e9"]:
        environ = {"HTTP_USER_AGENT": agent.encode().decode("latin-1"), "REMOTE_ADDR": "192.0.2.44"}
        answer = app.test_client().post("/auth/login", json=ANA, environ_overrides=environ)
        assert answer.status_code == 200
    devices = {each["device"] for each in ana.get("/auth/me/logins").get_json()["results"]}
    assert {"a?b"} <= devices
    assert all(device.isprintable() for device in devices)


def test_a_request_without_an_address_is_served(app: Flask) -> None:
    answer = app.test_client().post("/auth/login", json=ANA, environ_overrides={"REMOTE_ADDR": ""})
    assert answer.status_code == 200
