"""Registration: what it answers, what it takes, and what it never takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import CheckConstraint, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from flask_linked_auth import Auth, LinkedAuth, UserMixin
from tests.tiny import ISSUER, PASSWORD, in_database, log_in, make_app, refused, register

if TYPE_CHECKING:
    from flask import Flask

NEW = {"email": "ana@example.com", "password": PASSWORD}


@pytest.fixture
def app() -> Flask:
    return make_app()


def sign_up(app: Flask, **changes: Any) -> Any:
    """A registration with some fields changed; `...` leaves one out."""
    body = {key: value for key, value in {**NEW, **changes}.items() if value is not ...}
    return app.test_client().post("/auth/register", json=body)


def test_a_registration_makes_an_account_and_logs_in(app: Flask) -> None:
    answer = sign_up(app, username="Ana", name=" Ana Example ")
    assert answer.status_code == 201
    body = answer.get_json()
    assert body.keys() == {
        "user_id",
        "token",
        "access_token",
        "refresh_token",
        "token_type",
        "expires_in",
        "user",
    }
    assert body["token"] == body["access_token"]
    assert (body["token_type"], body["expires_in"], body["user_id"]) == ("Bearer", 900, 1)
    assert body["refresh_token"].startswith("fla_rt_")
    user = body["user"]
    assert user.keys() == {
        "id",
        "email",
        "username",
        "name",
        "email_verified",
        "active",
        "is_admin",
        "created_at",
        "modified_at",
    }
    assert (user["id"], user["email"], user["username"], user["name"]) == (
        1,
        "ana@example.com",
        "ana",
        "Ana Example",
    )
    assert (user["active"], user["is_admin"]) == (True, False)
    with app.app_context():
        claims = Auth.decode_token(body["token"])
    assert (claims["sub"], claims["iss"], claims["aud"]) == ("1", ISSUER, f"{ISSUER}/auth")
    assert claims["exp"] - claims["iat"] == 900
    assert log_in(app).id == 1


def test_everything_but_the_address_and_the_password_may_be_left_out(app: Flask) -> None:
    user = sign_up(app).get_json()["user"]
    assert (user["username"], user["name"]) == (None, "")
    assert sign_up(app, email="ben@example.com", username=None, name="").status_code == 201


def test_the_hash_is_stored_and_leaves_in_no_answer(app: Flask) -> None:
    ana = register(app)
    with in_database(app) as (db, rows):
        stored = db.session.get_one(rows.User, ana.id).password_hash
    assert stored.startswith("fla1:")
    answers = [
        ana.get("/auth/me"),
        ana.get("/auth/users"),
        ana.get("/auth/users/1"),
        ana.get("/auth/me/logins"),
    ]
    answers += [
        ana.call("PATCH", "/auth/me", {"name": "A"}),
        sign_up(app),
        ana.refresh(),
        sign_up(app, email="b@x.org"),
    ]
    for answer in answers:
        assert "fla1" not in answer.text
        assert "password_hash" not in answer.text
        assert PASSWORD not in answer.text


@pytest.mark.parametrize(
    "extra",
    [
        {"is_admin": True},
        {"admin": True},
        {"active": False},
        {"id": 7},
        {"password_hash": "x"},
        {"created_at": "2001-01-01T00:00:00Z"},
        {"scopes": ["admin:users"]},
        {"__class__": "x"},
        {"user": {"is_admin": True}},
    ],
    ids=lambda extra: next(iter(extra)),
)
def test_a_field_that_is_not_offered_is_refused(app: Flask, extra: dict[str, Any]) -> None:
    body = refused(sign_up(app, **extra), 422, "invalid-fields")
    assert body["errors"] == {next(iter(extra)): ["Unknown field."]}
    assert sign_up(app).get_json()["user"]["is_admin"] is False


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", ...),
        ("email", None),
        ("email", ""),
        ("email", 7),
        ("email", []),
        ("email", {}),
        ("email", True),
        ("email", "ana"),
        ("email", "@example.com"),
        ("email", "ana@"),
        ("email", "ana@example"),
        ("email", "a b@x.org"),
        ("email", "ana@exa mple.com"),
        ("email", "x" * 65 + "@example.com"),
        ("email", "a@" + "b" * 250 + ".org"),
        ("email", "\u0430na@example.com"),
        ("email", "ana@example.com\r\nbcc: x@y.org"),
        ("email", "a@b@c.org"),
        ("email", "ana@-example.com"),
        ("email", " "),
        ("username", ""),
        ("username", 7),
        ("username", "a b"),
        ("username", "ana@example.com"),
        ("username", "x" * 151),
        ("username", "\u0430na"),
        ("username", "ana\u202e"),
        ("username", "a/b"),
        ("username", ["ana"]),
        ("username", "ana\n"),
        ("name", 7),
        ("name", None),
        ("name", "x" * 129),
        ("name", "a\nb"),
        ("name", "a\x1b[31m"),
        ("name", "a\u2028b"),
        ("name", {}),
        ("password", ...),
        ("password", None),
        ("password", 123456789012345),
        ("password", ["x"]),
        ("password", {"a": "b"}),
        ("password", ""),
        ("password", "short"),
        ("password", "x" * 14),
        ("password", "a" * 40),
        ("password", "x" * 1025),
        ("password", "passwordpassword"),
        ("password", "123456789012345"),
        ("password", "qwertyuiopasdfgh"),
        ("password", "ana@example.com"),
        ("password", "ana@example.com1"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_bad_value_is_a_complaint_about_its_field(app: Flask, field: str, value: Any) -> None:
    body = refused(sign_up(app, **{field: value}), 422, "invalid-fields")
    assert body["errors"].keys() == {field}
    assert all(isinstance(each, str) and each for each in body["errors"][field])
    assert sign_up(app).status_code == 201


def test_several_bad_fields_are_told_at_once(app: Flask) -> None:
    body = refused(sign_up(app, email="x", username="a b", password=...), 422, "invalid-fields")
    assert body["errors"].keys() == {"email", "username", "password"}


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "Tr4vel ligh7 and far",
        "牛好今天气很好我们去公园吧好不好",
        "x9 " + "lantern " * 12,
        "🦜🔑🌋🪁🧊" * 3 + " kites",
        "  two spaces either side  ",
        "plötzlich draußen im Regen",
    ],
)
def test_a_good_password_needs_no_rules_of_composition(app: Flask, password: str) -> None:
    assert sign_up(app, password=password).status_code == 201
    assert log_in(app, password=password).id == 1
    wrong = {"email": NEW["email"], "password": password.strip() + "!"}
    refused(app.test_client().post("/auth/login", json=wrong), 401, "invalid-credentials")


def test_one_password_in_two_unicode_forms_is_one_password(app: Flask) -> None:
    assert sign_up(app, password="cafe\u0301 au lait, deux fois").status_code == 201
    assert log_in(app, password="caf\u00e9 au lait, deux fois").id == 1


@pytest.mark.parametrize(
    "password",
    [
        "harbour-lights-tiny",
        "Harbour-Lights-1",
        "1harbourlights1",
        "harbour.lights@example.com",
        "harbourlightsharbourlights",
    ],
)
def test_a_password_made_of_who_one_is_is_refused(app: Flask, password: str) -> None:
    who = {"email": "harbour.lights@example.com", "username": "harbourlights", "name": "Harbour Lights"}
    assert refused(sign_up(app, **who, password=password), 422, "invalid-fields")["errors"].keys() == {
        "password"
    }
    assert sign_up(app, **who, password="violet-kettle-9-and-more").status_code == 201


@pytest.mark.parametrize(
    "email",
    ["ana@example.com", "ANA@EXAMPLE.COM", "Ana@Example.com", "\uff41na@example.com", "ana@EXAMPLE.com"],
)
def test_an_address_is_taken_in_every_spelling(app: Flask, email: str) -> None:
    assert sign_up(app).status_code == 201
    body = refused(sign_up(app, email=email), 409, "taken")
    assert body["errors"] == {"email": ["Is already taken."]}


def test_an_international_domain_has_one_form(app: Flask) -> None:
    assert (
        sign_up(app, email="ana@B\u00fccher.example").get_json()["user"]["email"]
        == "ana@xn--bcher-kva.example"
    )
    refused(sign_up(app, email="ana@xn--bcher-kva.example"), 409, "taken")
    assert log_in(app, "ANA@b\u00fccher.example").id == 1


@pytest.mark.parametrize("username", ["ana", "ANA", "\uff21na"])
def test_a_user_name_is_taken_in_every_spelling(app: Flask, username: str) -> None:
    assert sign_up(app, username="ana").status_code == 201
    body = refused(sign_up(app, email="ben@example.com", username=username), 409, "taken")
    assert body["errors"] == {"username": ["Is already taken."]}


def test_what_was_refused_leaves_nothing_behind(app: Flask) -> None:
    register(app)
    refused(sign_up(app), 409, "taken")
    refused(sign_up(app, email="ben@example.com", password="short"), 422, "invalid-fields")
    with in_database(app) as (db, rows):
        assert db.session.query(rows.User).count() == 1
        assert db.session.query(rows.Login).count() == 1


@pytest.mark.parametrize(
    ("data", "content_type", "status", "slug"),
    [
        (b"", "application/json", 400, "malformed-request"),
        (b"{", "application/json", 400, "malformed-request"),
        (b"[]", "application/json", 400, "malformed-request"),
        (b'"text"', "application/json", 400, "malformed-request"),
        (b"null", "application/json", 400, "malformed-request"),
        (b"\xff\xfe{\x00}\x00", "application/json", 400, "malformed-request"),
        (b'{"email": "a", "email": "b"}', "application/json", 400, "malformed-request"),
        (b'{"email": NaN}', "application/json", 400, "malformed-request"),
        (b'{"email": 1' + b"0" * 30 + b"}", "application/json", 400, "malformed-request"),
        (b'{"email": "a\\u0000b"}', "application/json", 400, "malformed-request"),
        (b'{"email": "a\\ud800b"}', "application/json", 400, "malformed-request"),
        (b'{"email": 1e999}', "application/json", 400, "malformed-request"),
        (b'{"email": ' + b"[" * 40 + b"]" * 40 + b"}", "application/json", 400, "malformed-request"),
        (b'{"\\u0000": 1}', "application/json", 400, "malformed-request"),
        (b"[" * 60_000, "application/json", 400, "malformed-request"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "application/json", 400, "malformed-request"),
        (b'{"password": "' + b"x" * 70_000 + b'"}', "application/json", 413, "too-large"),
        (b'{"email": "a"}', "text/plain", 415, "unsupported-media-type"),
        (b"email=a", "application/x-www-form-urlencoded", 415, "unsupported-media-type"),
        (b'{"email": "a"}', "", 415, "unsupported-media-type"),
        (b'{"email": "a"}', "application/json5", 415, "unsupported-media-type"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(
    app: Flask, data: bytes, content_type: str, status: int, slug: str
) -> None:
    answer = app.test_client().post("/auth/register", data=data, content_type=content_type)
    refused(answer, status, slug)


def test_the_charset_of_the_content_type_does_not_matter(app: Flask) -> None:
    import json

    data = json.dumps({**NEW, "name": "\u00c1na"}, ensure_ascii=False).encode()
    answer = app.test_client().post(
        "/auth/register", data=data, content_type="application/json; charset=UTF-8"
    )
    assert answer.get_json()["user"]["name"] == "\u00c1na"


def test_registrations_are_limited_by_address() -> None:
    app = make_app(rate_limits={"register": "2/minute"})
    for n in range(2):
        assert sign_up(app, email=f"p{n}@example.com").status_code == 201
    answer = sign_up(app, email="p3@example.com")
    refused(answer, 429, "too-many-requests")
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    other = app.test_client().post("/auth/register", json=NEW, environ_base={"REMOTE_ADDR": "192.0.2.7"})
    assert other.status_code == 201
    faked = app.test_client().post("/auth/register", json=NEW, headers={"X-Forwarded-For": "192.0.2.8"})
    assert faked.status_code == 429


def test_a_constraint_of_the_hosts_own_is_not_taken_for_a_taken_address() -> None:
    class Base(DeclarativeBase):
        pass

    db = SQLAlchemy(model_class=Base)

    class Person(UserMixin, db.Model):  # type: ignore[name-defined,misc]
        __tablename__ = "people"
        __table_args__ = (CheckConstraint("name <> 'Nobody'"),)
        id: Mapped[int] = mapped_column(primary_key=True)
        nickname: Mapped[str] = mapped_column(String(20), default="-")

    app = make_app(LinkedAuth(db=db, user_model=Person))
    refused(sign_up(app, name="Nobody"), 500, "internal-error")
    assert sign_up(app, name="Somebody").status_code == 201
