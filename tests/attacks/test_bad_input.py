"""Every endpoint under wrong input: always a 4xx in the one shape, never HTML, never a trace, nothing said back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from tests.faults.lab import PASSWORD, bearer, log_in, register, running

MARK = "zx81marker"
EVIL = "evil2600"
BODIES = {
    ("POST", "/auth/register"): {"email": f"{MARK}@example.com", "password": PASSWORD, "name": "Eve"},
    ("POST", "/auth/login"): {"email": "ada@example.com", "password": PASSWORD},
    ("POST", "/auth/refresh"): {"refresh_token": "fla_rt_x.y"},
    ("POST", "/auth/logout"): {"refresh_token": "fla_rt_x.y"},
    ("PUT", "/auth/me"): {"email": "ada@example.com", "name": "Ada"},
    ("PATCH", "/auth/me"): {"name": "Ada"},
    ("POST", "/auth/me/password"): {"current_password": "x", "new_password": PASSWORD},
    ("PATCH", "/auth/users/1"): {"active": True},
}
PATHS = [
    ("POST", "/auth/logout-all"),
    ("POST", "/auth/validate-token"),
    ("GET", "/auth/me"),
    ("GET", "/auth/me/logins"),
    ("GET", "/auth/users"),
    ("GET", "/auth/users/1"),
    ("GET", "/auth/jwks"),
    ("DELETE", "/auth/me/logins/x"),
]


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def app(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One app for all of them: what one attack leaves behind must not matter to the next."""
    if request.param == "sqlite":
        with _made(f"sqlite:///{tmp_path_factory.mktemp('input') / 'test.db'}") as made:
            yield made
        return
    with request.getfixturevalue("postgresql").database() as url, _made(url) as made:
        yield made


@contextmanager
def _made(url: str) -> Iterator[Any]:
    with running(url, freshness=3600) as made:
        auth = made.extensions["lab"]
        register(made)
        with made.app_context():
            auth.db.session.get(auth.User, 1).is_admin = True
            auth.db.session.commit()
        made.config["TOKEN"] = log_in(made)["token"]
        yield made


def _check(answer: Any, *, statuses: range = range(400, 500)) -> None:
    assert answer.status_code in statuses, (answer.status_code, answer.text[:500])
    assert answer.content_type == "application/problem+json", answer.text[:500]
    body = answer.json
    assert {"type", "title", "status", "detail", "slug"} <= body.keys()
    assert body["status"] == answer.status_code
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Traceback" not in answer.text
    if answer.status_code == 401:
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def _send(app: Any, call: tuple[str, str], data: Any, content_type: str | None = "application/json") -> Any:
    method, path = call
    headers = {} if path == "/auth/logout" else bearer(app.config["TOKEN"])  # it is needed for the next one
    return app.test_client().open(path, method=method, data=data, content_type=content_type, headers=headers)


def _unchanged(app: Any) -> None:
    """The person who was there still is what she was, and can log in; nobody else is an administrator."""
    user = app.extensions["lab"].User
    with app.app_context():
        rows = app.extensions["lab"].db.session.query(user.id, user.email, user.active).filter(user.is_admin)
        assert [tuple(row) for row in rows] == [(1, "ada@example.com", True)]
    log_in(app)


UNREADABLE: dict[str, bytes] = {
    "empty": b"",
    "blank": b" \n",
    "a number": b"1",
    "a text": b'"x"',
    "an array": b"[]",
    "an array of objects": b"[{}]",
    "null": b"null",
    "true": b"true",
    "cut off": b'{"email": "ada@exam',
    "trailing": b"{} {}",
    "a comment": b"{} // x",
    "single quotes": b"{'email': 'x'}",
    "BOM": b"\xef\xbb\xbf{}",
    "UTF-16": '{"email": "x"}'.encode("utf-16"),
    "UTF-16 without BOM": '{"email": "x"}'.encode("utf-16-le"),
    "UTF-32": '{"email": "x"}'.encode("utf-32"),
    "invalid UTF-8": b'{"email": "\xff\xfe"}',
    "overlong UTF-8": b'{"email": "\xc0\x80"}',
    "surrogate in UTF-8": b'{"email": "\xed\xa0\x80"}',
    "NUL byte": b'{"email": "a\x00b"}',
    "NaN": b'{"email": NaN}',
    "Infinity": b'{"email": -Infinity}',
    "5000 digits": b'{"email": ' + b"9" * 5000 + b"}",
    "5000 digits below zero": b'{"email": -' + b"9" * 5000 + b"}",
    "a name twice": b'{"email": "a", "email": "b"}',
    "a name twice, escaped": b'{"email": "a", "\\u0065mail": "b"}',
    "10,000 arrays": b'{"email": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "10,000 objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "a form": b"email=ada%40example.com&password=x",
    "XML": b"<?xml version='1.0'?><email/>",
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
def test_a_body_that_cannot_be_read(app: Any, body: bytes) -> None:
    for call in BODIES:
        _check(_send(app, call, body), statuses=range(400, 423))
    _unchanged(app)


@pytest.mark.parametrize("size", [64 * 1024 + 1, 5_000_000])
def test_a_body_that_is_too_large(app: Any, size: int) -> None:
    for call in BODIES:
        answer = _send(app, call, b'{"email": "' + b"a" * (size - 13) + b'"}')
        assert answer.status_code == 413
        _check(answer)


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "text/plain; charset=utf-8",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "application/json-patch+json",
        "application/problem+json",
        "application/xml",
        "json",
        "*/*",
        "text/plain, application/json",
        "application/json, text/plain",
    ],
)
def test_a_wrong_content_type(app: Any, content_type: str | None) -> None:
    for call, body in BODIES.items():
        if call[1].endswith("login"):
            assert _send(app, call, json.dumps(body)).status_code == 200
        answer = _send(app, call, json.dumps(body), content_type)
        assert answer.status_code == 415, (call, answer.text)
        _check(answer)
    _unchanged(app)


VALUES: dict[str, Any] = {
    "null": None,
    "true": True,
    "zero": 0,
    "a number": 12,
    "a fraction": 1.5,
    "a large number": 10**19,
    "an array": ["ada@example.com"],
    "an empty array": [],
    "an object": {"email": "ada@example.com"},
    "an operator": {"$ne": ""},
    "deep": json.loads("[" * 500 + "]" * 500),
    "empty": "",
    "blank": "   ",
    "NUL": "a\0b",
    "lone surrogate": "a\ud800b",
    "low surrogate": "\udc00",
    "overlong": MARK * 1000,
    "control": "a\r\nSet-Cookie: b=c\x1b[31m",
    "separators": "a\u2028b\u2029c\x85",
    "markup": f"<script>{MARK}</script>",
    "SQL": f"' OR 1=1; DROP TABLE user; -- {MARK}",
    "template": "{{7*7}}${7*7}%s%n",
    "a path": "../../../../etc/passwd",
    "right to left": "\u202ea@b.c",
    "not a character": "\uffff\ufdd0",
    "a family": "👩‍👩‍👧‍👦" * 20,
}
FIELDS = [(call, field) for call, body in BODIES.items() for field in body]


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_wrong_value_in_each_field(app: Any, value: Any) -> None:
    for call, field in FIELDS:
        body = json.dumps({**BODIES[call], field: value})
        answer = _send(app, call, body)
        if answer.status_code < 300:
            # A name may be anything that can be shown, and a password anything that can be typed.
            assert field in {"name", "active", "refresh_token", "password"}, (call, field, value)
            continue
        _check(answer)
        assert MARK not in answer.text
        assert "etc/passwd" not in answer.text


def test_a_missing_field(app: Any) -> None:
    for call, body in BODIES.items():
        for field in body:
            left = {name: value for name, value in body.items() if name != field}
            answer = _send(app, call, json.dumps(left))
            if answer.status_code >= 300:
                _check(answer)
            else:
                assert (call[0], field) in {("PUT", "name"), ("PATCH", "name"), ("POST", "name")}, (
                    call,
                    field,
                )
    # A logout without either credential.
    _check(app.test_client().post("/auth/logout", json={}))


@pytest.mark.parametrize(
    "extra",
    ["is_admin", "id", "user_id", "password_hash", "active", "created_at", "modified_at", "scopes", "__class__",
     "__proto__", "constructor", "_sa_instance_state", "", "x" * 5000, MARK, "a\nb", "<b>"],
)  # fmt: skip
def test_a_field_that_nobody_asked_for(app: Any, extra: str) -> None:
    for call, body in BODIES.items():
        if extra in body:
            continue
        answer = _send(app, call, json.dumps({**body, extra: True}))
        assert answer.status_code == 422, (call, extra, answer.text)
        _check(answer)
        assert len(answer.text) < 1500
    _unchanged(app)


LOOKALIKES = [
    "ADA@EXAMPLE.COM",
    "Ada@Example.com",
    "ａda@example.com",  # noqa: RUF001
    "ada＠example.com",  # noqa: RUF001
    "ada@EXAMPLE。com",
    "ada@ⓔxample.com",
    "ada@example.com\u200b",
]


@pytest.mark.parametrize("email", LOOKALIKES)
def test_another_spelling_of_an_address_is_the_same_address(app: Any, email: str) -> None:
    answer = _send(app, ("POST", "/auth/register"), json.dumps({"email": email, "password": PASSWORD}))
    assert answer.status_code == 409, answer.text
    assert (
        _send(app, ("POST", "/auth/login"), json.dumps({"email": email, "password": PASSWORD})).json[
            "user_id"
        ]
        == 1
    )


@pytest.mark.parametrize(
    "email",
    [
        "аda@example.com",  # noqa: RUF001 - the first letter is Cyrillic
        "ada@example.com\n",
        " ada@example.com",
        "ada@example.com ",
        "ada@exa mple.com",
        "ada\u00ad@example.com",
        "ada@@example.com",
        "ada@example..com",
        "ada@-example.com",
        "@example.com",
        "ada@",
        "ada",
        "ada@example.com,eve@example.com",
        "ada@example.com;eve@example.com",
        "Ada <ada@example.com>",
        "ada@[127.0.0.1]\r\nBcc: eve@example.com",
        "a" * 65 + "@example.com",
        "ada@" + "a" * 250 + ".com",
        "ada@" + "é" * 70 + ".com",
    ],
)
def test_what_is_no_address_is_refused(app: Any, email: str) -> None:
    answer = _send(app, ("POST", "/auth/register"), json.dumps({"email": email, "password": PASSWORD}))
    assert answer.status_code == 422, answer.text
    _check(answer)
    login = _send(app, ("POST", "/auth/login"), json.dumps({"email": email, "password": PASSWORD}))
    assert login.status_code == 401, login.text
    _check(login)


@pytest.mark.parametrize("length", [1024, 1025, 10_000, 60_000])
def test_long_passwords(app: Any, length: int) -> None:
    password = ("violet kettle harbour " * 3000)[:length]
    body = {"email": f"long{length}@example.com", "password": password}
    answer = _send(app, ("POST", "/auth/register"), json.dumps(body))
    assert answer.status_code == (201 if length <= 1024 else 422)
    login = _send(app, ("POST", "/auth/login"), json.dumps(body))
    assert login.status_code == (200 if length <= 1024 else 401)
    if length <= 1024:
        near = {**body, "password": password[:-1] + "X"}
        assert _send(app, ("POST", "/auth/login"), json.dumps(near)).status_code == 401


IDS = ["0", "-1", "99", "01", "+1", " 1", "1 ", "１", "1.0", "1e0", "0x1", "1_0", "true", "null", "None", "NaN",  # noqa: RUF001
       str(2**31), str(2**63 - 1), str(2**63), str(10**30), "9" * 5000, "\0", "1\0", "\ud800", "%", "..", "me",
       "' OR 1=1 --", "<b>", "a\r\nX: y", "é", "💥", "x" * 8000]  # fmt: skip


@pytest.mark.parametrize("identity", IDS, ids=lambda each: repr(each)[:20])
def test_odd_ids_in_the_path(app: Any, identity: str) -> None:
    text = quote(identity.encode("utf-8", "surrogatepass"), safe="")
    for method, path in (("GET", "/auth/users/"), ("PATCH", "/auth/users/"), ("DELETE", "/auth/me/logins/")):
        answer = app.test_client().open(
            path + text, method=method, json={"active": True} if method == "PATCH" else None,
            headers=bearer(app.config["TOKEN"]),
        )  # fmt: skip
        _check(answer)
        assert MARK not in answer.text
    _unchanged(app)


@pytest.mark.parametrize(
    "query",
    ["page=0", "page=-1", f"page={10**30}", f"page={10**7 + 1}", f"page={'9' * 5000}", "page=1&page=2", "page=1.5",
     "page=１", "page=+1", "page=%2B1", "page= 1", "page=1%00", "page=abc", "page=", "page[]=1&page=x", "page=1e3",  # noqa: RUF001
     "page_size=0", "page_size=101", "page_size=-5", "page_size=1&page_size=1", f"page_size={10**30}",
     "page=%ff", "page_size=NaN", "page=0x10", "page=%F0%9F%92%A5"],
)  # fmt: skip
def test_odd_page_parameters(app: Any, query: str) -> None:
    for path in ("/auth/users", "/auth/me/logins"):
        answer = app.test_client().get(f"{path}?{query}", headers=bearer(app.config["TOKEN"]))
        assert answer.status_code == 400
        _check(answer)


def test_the_last_page_that_can_be_asked_for(app: Any) -> None:
    answer = app.test_client().get(
        "/auth/users?page=10000000&page_size=100", headers=bearer(app.config["TOKEN"])
    )
    assert (answer.status_code, answer.json["results"]) == (200, [])
    unknown = app.test_client().get("/auth/users?q=1&PAGE=x&%00=%ff", headers=bearer(app.config["TOKEN"]))
    assert unknown.status_code == 200


ODD_PATHS = [
    "/auth", "/auth/", "/auth//me", "//auth/me", "/auth/./me", "/auth/../auth/me", "/auth/me/..", "/auth/%2e%2e/me",
    "/auth/me%2f", "/auth%2fme", "/auth/me;x=1", "/auth/me%00", "/auth/me%0d%0aX:y", "/auth/ME", "/Auth/me",
    "/auth/me//logins", "/auth/me/logins/", "/auth/me/logins//", "/auth/users//1", "/auth/users/1/x", "/auth/%ff%fe",
    "/auth/\u202eme", "/auth/" + "a/" * 500, "/auth/" + "x" * 6000, "/auth/nothing", "/auth/login/../me",
]  # fmt: skip


@pytest.mark.parametrize("path", ODD_PATHS, ids=lambda path: path[:24])
def test_odd_paths_neither_pass_nor_show_pages(app: Any, path: str) -> None:
    """Without a token none of them leads in, and under our prefix none of them is answered by a page."""
    for method in ("GET", "POST", "DELETE"):
        answer = app.test_client().open(path, method=method, headers={"Host": f"{MARK}.example"})
        assert not answer.is_json or "email" not in answer.json
        assert answer.status_code >= 400, (path, answer.status_code, answer.headers)
        assert MARK not in answer.text
        assert MARK not in str(answer.headers)
        if path.startswith("/auth/"):
            _check(answer)


@pytest.mark.parametrize("method", ["PUT", "TRACE", "CONNECT", "BREW", "PROPFIND", "HEAD", "X" * 200])
def test_odd_methods(app: Any, method: str) -> None:
    for path in ("/auth/login", "/auth/users", "/auth/nothing"):
        answer = app.test_client().open(path, method=method, headers=bearer(app.config["TOKEN"]))
        if (method, path) == ("HEAD", "/auth/users"):
            assert answer.status_code == 200
            continue
        assert answer.status_code in {404, 405}, (method, path, answer.status_code)
        assert answer.content_type == "application/problem+json"
        if answer.status_code == 405:
            assert answer.headers["Allow"]


HEADERS: dict[str, str] = {
    "no scheme": "x",
    "empty": "",
    "only the scheme": "Bearer",
    "scheme and space": "Bearer ",
    "two spaces": "Bearer  TOKEN",
    "a tab": "Bearer\tTOKEN",
    "trailing space": "Bearer TOKEN ",
    "leading space": " Bearer TOKEN",
    "another scheme": "Basic TOKEN",
    "token scheme": "Token TOKEN",
    "twice": "Bearer TOKEN, Bearer TOKEN",
    "two tokens": "Bearer TOKEN TOKEN",
    "quoted": 'Bearer "TOKEN"',
    "parameters": 'Bearer realm="x", token=TOKEN',
    "digest": 'Digest username="a", response="b"',
    "Latin": "Bearer \xe9\xff",
    "long": "Bearer " + "a" * 100_000,
    "dots": "Bearer " + "." * 9000,
    "spaces": " " * 5000 + "x",
    "NUL": "Bearer \x00",
    "padding": "Bearer TOKEN=",
    "percent": "Bearer %54OKEN",
    "lower case": "bearer x.y.z",
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_odd_authorization_headers(app: Any, header: str) -> None:
    text = header.replace("TOKEN", app.config["TOKEN"])
    environ = {"HTTP_AUTHORIZATION": text}
    for path in ("/guarded", "/auth/me", "/auth/users"):
        answer = app.test_client().get(path, environ_overrides=environ)
        assert answer.status_code == 401, (header[:30], answer.text)
        _check(answer)
    validated = app.test_client().post("/auth/validate-token", environ_overrides=environ)
    assert (validated.status_code, validated.json["valid"]) == (401, False)
    logout = app.test_client().post("/auth/logout", environ_overrides=environ)
    assert logout.status_code == 401
    assert app.test_client().get("/guarded", headers=bearer(app.config["TOKEN"])).status_code == 200


def test_rival_and_misplaced_credentials(app: Any) -> None:
    token, client = app.config["TOKEN"], app.test_client()
    other = log_in(app)["token"]
    assert client.get("/guarded", headers={"api-token": token}).status_code == 200
    assert client.get("/guarded", headers={"Authorization": f"BEARER {token}"}).status_code == 200
    for pair in ((token, other), (token, "x"), ("x", token), (token, "")):
        answer = client.get("/guarded", headers={**bearer(pair[0]), "api-token": pair[1]})
        assert answer.status_code in {400, 401}, pair
        _check(answer)
    for query in (f"?access_token={token}", f"?token={token}", f"?Authorization=Bearer+{token}"):
        _check(client.get(f"/guarded{query}"))
    client.set_cookie("access_token", token)
    client.set_cookie("token", token)
    _check(client.get("/guarded"))
    _check(client.post("/auth/validate-token", json={"token": token}))
    for name in ("X-User-Id", "X-Forwarded-User", "Remote-User", "X-Remote-User", "X-Original-Url"):
        _check(client.get("/guarded", headers={name: "1"}))


def test_headers_are_not_said_back(app: Any) -> None:
    evil = {"Host": f"{EVIL}.example", "X-Forwarded-Host": f"{EVIL}.example", "X-Forwarded-Proto": EVIL,
            "Origin": f"https://{EVIL}.example", "Referer": EVIL, "X-Forwarded-Prefix": f"/{EVIL}",
            "Accept": f"text/html,{EVIL}", "Accept-Language": EVIL, "X-HTTP-Method-Override": "DELETE"}  # fmt: skip
    for call in [*BODIES, *PATHS]:
        for token in ({}, bearer(app.config["TOKEN"])):
            answer = app.test_client().open(call[1], method=call[0], headers={**evil, **token}, json={})
            assert EVIL not in answer.text
            assert EVIL not in str(answer.headers)
            assert answer.status_code < 500
            assert "html" not in (answer.content_type or "")
            app.config["TOKEN"] = log_in(app)["token"]


@pytest.mark.parametrize(
    "agent", ["", "\x00", "é\xff", "x" * 5000, "a\x1b[31m\x7f", "\u2028".encode().decode("latin-1")]
)
def test_odd_user_agents_can_log_in(app: Any, agent: str) -> None:
    answer = app.test_client().post(
        "/auth/login",
        json={"email": "ada@example.com", "password": PASSWORD},
        environ_overrides={"HTTP_USER_AGENT": agent},
    )
    assert answer.status_code in {200, 400}, answer.text
    assert app.test_client().get("/auth/me/logins", headers=bearer(app.config["TOKEN"])).status_code == 200


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(codec=None), max_size=40)
)
JSON = st.recursive(
    LEAVES,
    lambda each: st.one_of(
        st.lists(each, max_size=4), st.dictionaries(st.text(max_size=10), each, max_size=4)
    ),
    max_leaves=12,
)
NAMES = st.sampled_from(
    [
        "email",
        "password",
        "username",
        "name",
        "refresh_token",
        "active",
        "current_password",
        "new_password",
        "id",
    ]
)


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with running(f"sqlite:///{tmp_path_factory.mktemp('input') / 'test.db'}") as made:
        made.config["TOKEN"] = register(made)["token"]
        yield made


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(call=st.sampled_from(list(BODIES)), body=st.one_of(JSON, st.dictionaries(NAMES, JSON, max_size=5)))
def test_whatever_json_it_is_never_an_error_of_ours(lasting: Any, call: tuple[str, str], body: Any) -> None:
    answer = _send(lasting, call, json.dumps(body))
    if answer.status_code >= 300:
        _check(answer)
        return
    # The only bodies that may pass: nothing to change, and a plain name.
    assert (call[0] == "PATCH" and call[1] == "/auth/me" and set(body) <= {"name", "username"}) or (
        call[1] == "/auth/logout"
    )


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=200), call=st.sampled_from(list(BODIES)))
def test_whatever_bytes_they_are_never_an_error_of_ours(
    lasting: Any, raw: bytes, call: tuple[str, str]
) -> None:
    _check(_send(lasting, call, raw))


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    header=st.one_of(
        st.text(st.characters(max_codepoint=255), max_size=60),
        st.text(st.characters(max_codepoint=255), max_size=60).map(lambda text: f"Bearer {text}"),
        st.lists(st.from_regex(r"\A[A-Za-z0-9_=-]{0,30}\Z"), min_size=2, max_size=4).map(
            lambda parts: "Bearer " + ".".join(parts)
        ),
    )
)
def test_no_made_up_header_passes(lasting: Any, header: str) -> None:
    answer = lasting.test_client().get("/guarded", environ_overrides={"HTTP_AUTHORIZATION": header})
    _check(answer, statuses=range(400, 402))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 10_000), character=st.sampled_from("ABCyz019-_.=~ é\x00"))
def test_no_altered_token_passes(lasting: Any, position: int, character: str) -> None:
    token = lasting.config["TOKEN"]
    place = position % len(token)
    altered = token[:place] + character + token[place + 1 :]
    answer = lasting.test_client().get(
        "/guarded", environ_overrides={"HTTP_AUTHORIZATION": f"Bearer {altered}"}
    )
    assert answer.status_code == (200 if altered == token else 401)
