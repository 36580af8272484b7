"""What goes along with the account pages: headers, errors, forged forms, and hosts that go their own ways."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, Response, abort
from flask_wtf import CSRFProtect
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from flask_linked_auth import Auth, LinkedAuth, Mail
from tests.browsers import SAME_ORIGIN
from tests.tiny import PASSWORD, bare_app, make_app, register, shared, token_in
from tests.visitor import Visitor, read

OPEN = ["login", "register", "forgot", "reset?token=x", "verify", "email/confirm", "nothing", "logins/x/end"]
CLOSED = ["", "/email", "/password", "/logins", "/logout", "/delete"]
FOREIGN = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}


@pytest.fixture
def app() -> Flask:
    return make_app()


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    """Ana's browser, where she is logged in."""
    visitor = Visitor(app)
    visitor.register()
    return visitor


# The headers


def check_headers(answer: Any) -> None:
    headers = answer.headers
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] in {"same-origin", "strict-origin"}
    policy = headers["Content-Security-Policy"]
    for directive in (
        "default-src 'none'",
        "style-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ):
        assert directive in policy
    assert "unsafe" not in policy
    assert {"Cookie", "Accept-Language"} <= {each.strip() for each in headers["Vary"].split(",")}
    assert "Traceback" not in answer.text
    assert not re.search(r"<script|<style|\sstyle=|\son\w+=|https?://", answer.text)
    page = read(answer.text)
    assert page.language == "en"
    assert page.heading
    assert page.title.endswith("\u2013 tiny")
    assert '<a class="skip" href="#content">' in answer.text
    assert len(re.findall(r'\sid="([^"]+)"', answer.text)) == len(
        set(re.findall(r'\sid="([^"]+)"', answer.text))
    )


@pytest.mark.parametrize("path", OPEN)
def test_every_open_page_is_closed_to_frames_caches_and_scripts(app: Flask, path: str) -> None:
    check_headers(app.test_client().get(f"/account/{path}"))


@pytest.mark.parametrize("path", CLOSED)
def test_so_is_every_page_of_an_account(visitor: Visitor, path: str) -> None:
    visitor.open(f"/account{path}")
    assert visitor.status == 200
    check_headers(visitor.answer)
    answer = Visitor(visitor.client.application).client.get(f"/account{path}")
    assert answer.status_code == 303
    assert answer.headers["Cache-Control"] == "no-store"


def test_so_is_a_form_that_was_refused(visitor: Visitor) -> None:
    visitor.open("/account/password")
    visitor.send(current_password="x")
    assert visitor.status == 422
    check_headers(visitor.answer)


def test_the_secret_of_a_mailed_link_is_told_to_nobody(app: Flask, captured_mail: list[Mail]) -> None:
    register(app)
    client, token = app.test_client(), token_in(captured_mail[0])
    answer = client.get(f"/account/verify?token={token}")
    assert answer.status_code == 200
    assert answer.headers["Referrer-Policy"] == "strict-origin"
    assert client.get("/account/login").headers["Referrer-Policy"] == "same-origin"
    # A browser that keeps the referrer to itself calls the origin of its form "null".
    form = {"token": token, "csrf_token": read(answer.text).csrf_token}
    sent = client.post(
        "/account/verify", data=form, headers={"Sec-Fetch-Site": "same-origin", "Origin": "null"}
    )
    assert sent.status_code == 303


def test_the_stylesheet_is_the_only_thing_that_is_loaded(app: Flask) -> None:
    client = app.test_client()
    (address,) = re.findall(r'<link rel="stylesheet" href="([^"]+)">', client.get("/account/login").text)
    with client.get(address) as answer:
        assert answer.content_type.startswith("text/css")
        assert answer.headers["Cache-Control"] == "no-cache"
        assert not re.search(r"url\(|@import", answer.text)
    with client.get(address, headers={"If-None-Match": answer.headers["ETag"]}) as again:
        assert again.status_code == 304


def test_what_is_told_once_is_kept_out_of_reach_of_scripts(visitor: Visitor) -> None:
    visitor.open("/account")
    answer = visitor.client.post("/account", data={"csrf_token": visitor.page.csrf_token, "name": "Ana"})
    (cookie,) = [each for each in answer.headers.getlist("Set-Cookie") if "note" in each]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Max-Age=60" in cookie


@pytest.mark.parametrize("note", ["<b>hello</b>", "no-such-note", "saved;x", "é"])
def test_a_note_that_is_none_of_ours_is_not_shown(app: Flask, note: str) -> None:
    client = app.test_client()
    client.set_cookie("linked_auth.note_tiny", note)
    page = read(client.get("/account/login").text)
    assert (page.notice, page.title) == ("", "Log in \u2013 tiny")


# Forged forms, and forms that grew old


def test_a_form_without_its_token_is_shown_again_with_what_was_typed(app: Flask) -> None:
    register(app)
    visitor = Visitor(app)
    for token in (None, "", "x", "A" * 65, "é\x00", Visitor(app).open("/account/login").csrf_token):
        visitor.open("/account/login")
        page = visitor.send(identifier="ana@example.com", password=PASSWORD, csrf_token=token)
        assert visitor.status == 403
        assert page.errors[0].startswith("This form was too old, so nothing was done.")
        assert page.field("identifier")["value"] == "ana@example.com"
        check_headers(visitor.answer)
        assert PASSWORD not in visitor.answer.text
    assert (
        visitor.send("/account/login", password=PASSWORD).heading == "Your account"
    )  # the form has a new one


def test_a_form_of_a_former_login_is_shown_again(app: Flask, visitor: Visitor) -> None:
    old = visitor.open("/account").csrf_token
    visitor.log_in()
    page = visitor.send("/account", name="Anne", csrf_token=old)
    assert (visitor.status, page.field("name")["value"]) == (403, "Anne")
    assert visitor.send("/account").notice == "Your changes are saved."


FORMS = [
    *(
        "/account/login",
        "/account/register",
        "/account/forgot",
        "/account",
        "/account/password",
        "/account/email",
    ),
    *("/account/delete", "/account/logout", "/account/logins/end-others", "/account/logins/x/end"),
    "/account/email/verification",
]


@pytest.mark.parametrize("path", FORMS)
def test_no_other_site_sends_a_form(visitor: Visitor, path: str) -> None:
    """Not even with the person's cookie, which SameSite would hold back, and a token that it should not have."""
    data = {
        "csrf_token": visitor.open("/account").csrf_token,
        "identifier": "mallory",
        "name": "mallory",
        "email": "mallory@x.io",
    }
    answer = visitor.client.post(path, data=data, headers=FOREIGN)
    if path == "/account/logout":
        assert answer.location == "/account/login"
    else:
        assert answer.status_code == 403
        assert "This was sent from another site, so nothing was done." in answer.text
        assert "mallory" not in answer.text
    assert visitor.open("/account").heading == "Your account"


@pytest.mark.parametrize("path", FORMS)
def test_no_form_of_an_account_goes_without_a_token(visitor: Visitor, path: str) -> None:
    assert visitor.client.post(path, data={}, headers=SAME_ORIGIN).status_code == 403


def test_a_link_from_another_site_opens_a_page_and_a_frame_or_a_fetch_sees_nobody(visitor: Visitor) -> None:
    followed = {**FOREIGN, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert visitor.client.get("/account", headers=followed).status_code == 200
    for dest in ("iframe", "empty", "image"):
        answer = visitor.client.get("/account", headers={**FOREIGN, "Sec-Fetch-Dest": dest})
        assert answer.status_code == 303


# Errors


@pytest.mark.parametrize(
    ("method", "path", "status", "heading"),
    [
        ("GET", "/account/nothing", 404, "Not found"),
        ("GET", "/account/static/nothing.css", 404, "Not found"),
        ("GET", "/account/static/../pages.py", 404, "Not found"),
        ("POST", "/account/logins", 405, "Method not allowed"),
        ("PUT", "/account/login", 405, "Method not allowed"),
        ("DELETE", "/account", 405, "Method not allowed"),
        ("GET", "/account/logins/x/end", 405, "Method not allowed"),
    ],
)
def test_errors_below_our_prefix_are_pages(
    app: Flask, method: str, path: str, status: int, heading: str
) -> None:
    answer = app.test_client().open(path, method=method)
    assert answer.status_code == status
    check_headers(answer)
    page = read(answer.text)
    assert page.heading == heading
    assert page.title.startswith(heading)
    assert ("Allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"identifier=" + b"x" * 70_000, {}, 413),
        (b'{"identifier": "ana"}', {"Content-Type": "application/json"}, 415),
        (b"--x\r\n\r\n--x--", {"Content-Type": "multipart/form-data; boundary=x"}, 415),
        (b"identifier=ana", {"Content-Type": "text/plain"}, 415),
        (b"identifier=ana&identifier=ben&password=x", {}, 400),
        (b"identifier=%00&password=%00", {}, 403),
        (b"identifier=%ff%fe&password=%ed%a0%80", {}, 403),
    ],
)
@pytest.mark.parametrize("path", ["login", "register", "forgot", "reset"])
def test_no_body_is_too_odd_for_an_answer(
    app: Flask, path: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    sent = {"Content-Type": "application/x-www-form-urlencoded", **SAME_ORIGIN, **headers}
    answer = app.test_client().post(f"/account/{path}", data=body, headers=sent)
    assert answer.status_code == (400 if (path, status) == ("reset", 403) else status)
    check_headers(answer)


def test_a_database_out_of_reach_is_told_by_a_page(
    app: Flask, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*arguments: Any, **options: Any) -> Any:
        raise OperationalError("SELECT", {}, Exception("gone"))

    monkeypatch.setattr(Session, "execute", lost)
    monkeypatch.setattr(Session, "get", lost)
    for path in ("/account", "/account/password", "/account/login"):
        visitor.open(path)
        assert visitor.status == 503
        assert visitor.page.heading == "Temporarily unavailable"
        assert visitor.answer.headers["Retry-After"]
        check_headers(visitor.answer)


def test_a_bug_is_answered_by_a_page_and_told_to_the_log(
    app: Flask, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flask_linked_auth.accounts.forms.login", lambda accounts: 1 / 0)
    answer = app.test_client().get("/account/login")
    assert answer.status_code == 500
    assert "Something went wrong on our side" in answer.text
    check_headers(answer)
    assert "ZeroDivisionError" in caplog.text


# The host's own ways


def host(settle: Callable[[Flask], Any], *, first: bool) -> Flask:
    """An app with a page of its own and `settle` before or after us."""
    app = bare_app(database="sqlite://", BCRYPT_COST=4, SECRET_KEY="k" * 32)
    app.config["LINKED_AUTH_BCRYPT_COST"] = app.config.pop("BCRYPT_COST")
    if first:
        settle(app)
    auth = LinkedAuth(app)
    if not first:
        settle(app)
    assert auth.db is not None
    app.add_url_rule("/mine", view_func=lambda: "mine")
    app.add_url_rule("/broken", endpoint="broken", view_func=lambda: 1 / 0)
    app.add_url_rule("/form", endpoint="form", view_func=lambda: "sent", methods=["POST"])
    app.add_url_rule("/teapot", endpoint="teapot", view_func=lambda: abort(418))
    return app


def _walk(app: Flask) -> None:
    visitor = Visitor(app)
    visitor.register()
    assert visitor.path == "/account"
    visitor.open("/account/nothing")
    assert (visitor.status, visitor.page.heading) == (404, "Not found")
    assert visitor.send("/account/logout").notice == "You are logged out."
    assert visitor.log_in().heading == "Your account"


@pytest.mark.parametrize("first", [True, False])
def test_a_hosts_csrf_protection_stays_on_its_own_forms(*, first: bool) -> None:
    app = host(CSRFProtect, first=first)
    _walk(app)
    assert app.test_client().post("/form").status_code == 400


@pytest.mark.parametrize("first", [True, False])
def test_a_hosts_error_handlers_keep_their_own_errors(*, first: bool) -> None:
    def settle(app: Flask) -> None:
        app.register_error_handler(404, lambda error: ("my 404", 404))
        app.register_error_handler(405, lambda error: ("my 405", 405))
        app.register_error_handler(Exception, lambda error: ("my own", 500))

    app = host(settle, first=first)
    _walk(app)
    client = app.test_client()
    assert client.get("/nothing").text == "my 404"
    assert client.get("/broken").text == "my own"
    assert "my" not in client.put("/account/login").text


@pytest.mark.parametrize("first", [True, False])
def test_a_hosts_headers_win(*, first: bool) -> None:
    def settle(app: Flask) -> None:
        @app.after_request
        def strict(response: Response) -> Response:
            response.headers["Content-Security-Policy"] = "default-src 'self'; object-src 'none'"
            response.headers.setdefault("X-Frame-Options", "SAMEORIGIN")
            return response

    answer = host(settle, first=first).test_client().get("/account/login")
    assert answer.headers.getlist("Content-Security-Policy") == ["default-src 'self'; object-src 'none'"]
    assert answer.headers.getlist("X-Frame-Options") == ["DENY"]


def test_an_app_that_is_protected_as_a_whole_leaves_the_pages_open() -> None:
    app = make_app(shared())
    Auth.protect(app)
    _walk(app)
    client = app.test_client()
    with client.get("/account/static/linked_auth.css") as answer:
        assert answer.status_code == 200
    assert client.get("/account").status_code == 303


def test_a_guarded_view_of_the_hosts_lets_in_who_logged_in_on_the_pages(app: Flask) -> None:
    app.add_url_rule("/guarded", view_func=Auth.auth_required(lambda: "in"))
    visitor = Visitor(app)
    assert visitor.client.get("/guarded").status_code == 401
    visitor.register()
    assert visitor.client.get("/guarded").text == "in"
