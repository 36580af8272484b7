"""Other sites that use a person's browser: forged forms and fetches, tossed cookies, and links that lead away."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from flask import Flask, render_template_string
from flask_wtf import CSRFProtect, FlaskForm
from hypothesis import example, given, strategies as st
from werkzeug.test import EnvironBuilder, run_wsgi_app
from wtforms import StringField

from flask_linked_auth import Auth
from flask_linked_auth.accounts.browser import safe_next
from tests.browsers import METHODS, SAME_ORIGIN, Browser, open_site
from tests.tiny import PASSWORD, Person, make_app, refused, register

UNSAFE = [method for method in METHODS if method != "GET"]
GUARDED = ["/who", "/scope", "/fresh", "/inside/", "/auth/me", "/auth/logout-all", "/auth/logout"]
#: What browsers send along when another site makes the request; those without Sec-Fetch-Site are old ones.
FOREIGN = {
    "another site": {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    "a neighbour": {"Sec-Fetch-Site": "same-site", "Origin": "http://evil.localhost"},
    "another port": {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:8000"},
    "a sandboxed frame": {"Sec-Fetch-Site": "cross-site", "Origin": "null"},
    "an unknown word": {"Sec-Fetch-Site": "same-origin-ish", "Origin": "http://localhost"},
    "two words": {"Sec-Fetch-Site": "same-origin, cross-site", "Origin": "http://localhost"},
    "nothing": {"Sec-Fetch-Site": "", "Origin": "http://localhost"},
    "old, another site": {"Sec-Fetch-Site": None, "Origin": "https://evil.example"},
    "old, a neighbour": {"Sec-Fetch-Site": None, "Origin": "http://evil.localhost"},
    "old, another port": {"Sec-Fetch-Site": None, "Origin": "http://localhost:8000"},
    "old, another scheme": {"Sec-Fetch-Site": None, "Origin": "https://localhost"},
    "old, a sandboxed frame": {"Sec-Fetch-Site": None, "Origin": "null"},
    "old, our name as a part": {"Sec-Fetch-Site": None, "Origin": "http://localhost.evil.example"},
    "old, our name as a user": {"Sec-Fetch-Site": None, "Origin": "http://localhost@evil.example"},
    "old, nothing": {"Sec-Fetch-Site": None, "Origin": ""},
}
OWN = {
    "a page of ours": SAME_ORIGIN,
    "a page of ours without a referrer": {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
    "the person": {"Sec-Fetch-Site": "none", "Origin": None},
    "an old browser": {"Sec-Fetch-Site": None, "Origin": "http://localhost"},
    "an old browser, port and all": {"Sec-Fetch-Site": None, "Origin": "http://LOCALHOST"},
    "an old browser by the public address": {"Sec-Fetch-Site": None, "Origin": "http://localhost:5000"},
    "no browser": {"Sec-Fetch-Site": None, "Origin": None},
}


@pytest.fixture
def app() -> Flask:
    return open_site(make_app())


@pytest.fixture
def ana(app: Flask) -> Person:
    return register(app)


@pytest.fixture
def browser(app: Flask, ana: Person) -> Browser:
    """Ana's, where she is logged in."""
    browser = Browser(app)
    browser.log_in()
    return browser


def still_there(browser: Browser) -> bool:
    return browser.get("/who").status_code == 200


# Where the request comes from


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
def test_a_forged_request_changes_nothing_even_with_the_right_token(
    browser: Browser, headers: dict[str, str | None]
) -> None:
    with_token = {**headers, "X-CSRF-Token": browser.token()}
    for method in UNSAFE:
        for path in ("/who", "/scope", "/fresh", "/inside/"):
            refused(browser.open(method, path, headers=with_token), 403, "csrf-failed")
    for path in ("/auth/logout", "/auth/logout-all"):
        refused(browser.open("POST", path, headers=with_token), 403, "csrf-failed")
    refused(browser.open("DELETE", "/auth/me", headers=with_token), 403, "csrf-failed")
    refused(browser.open("PATCH", "/auth/me", headers=with_token, json={"name": "x"}), 403, "csrf-failed")
    assert still_there(browser)


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
def test_what_another_site_frames_or_fetches_is_a_strangers(
    browser: Browser, headers: dict[str, str | None]
) -> None:
    for path in ("/who", "/scope", "/auth/me"):
        refused(browser.get(path, headers=headers), 401, "token-missing")
    for mode, destination in (
        ("navigate", "iframe"),
        ("no-cors", "image"),
        ("cors", "empty"),
        ("", "document"),
    ):
        more = {"Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": destination}
        refused(browser.get("/who", headers={**headers, **more}), 401, "token-missing")


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
def test_a_view_for_everybody_takes_another_site_for_a_stranger(
    browser: Browser, headers: dict[str, str | None]
) -> None:
    for method in METHODS:
        answer = browser.open(method, "/maybe", headers={**headers, "X-CSRF-Token": browser.token()})
        assert (answer.status_code, answer.get_json()) == (200, None)


def test_whoever_follows_a_link_from_elsewhere_stays_logged_in(browser: Browser) -> None:
    link = {"Origin": None, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    for site in ("cross-site", "same-site"):
        assert browser.get("/who", headers={**link, "Sec-Fetch-Site": site}).status_code == 200
        answer = browser.open("POST", "/who", headers={**link, "Sec-Fetch-Site": site})
        refused(answer, 403, "csrf-failed")  # SameSite=Lax lets a neighbour post
    assert browser.get("/who", headers={"Sec-Fetch-Site": None, "Origin": None}).status_code == 200


@pytest.mark.parametrize("headers", OWN.values(), ids=OWN)
def test_our_own_pages_may(browser: Browser, headers: dict[str, str | None]) -> None:
    assert browser.get("/who", headers=headers).status_code == 200
    for method in UNSAFE:
        answer = browser.open(method, "/who", headers={**headers, "X-CSRF-Token": browser.token()})
        assert answer.status_code == 200
        refused(browser.open(method, "/who", headers=headers), 403, "csrf-failed")


def test_behind_a_proxy_the_public_address_counts() -> None:
    app = open_site(make_app(issuer="https://Blog.example.com:443/under"))
    register(app)
    browser = Browser(app, {"Origin": "https://blog.example.com"})
    form = {"name": "ana@example.com", "password": PASSWORD, "csrf_token": browser.get("/csrf").text}
    assert browser.open("POST", "/enter", data=form).status_code == 303
    refused(
        browser.open("POST", "/enter", data=form, headers={"Origin": "http://blog.example.com"}),
        403,
        "csrf-failed",
    )


@pytest.mark.parametrize("host", ["[", "[::1", "a b", "localhost:99999", "", "é"])
def test_an_odd_host_is_no_crash(browser: Browser, host: str) -> None:
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies().items())
    headers = {"Host": host, "Origin": "http://evil.example", "Cookie": cookie}
    # Not by the test client: Werkzeug's older ones read the host themselves, and stumble.
    environ = EnvironBuilder("/who", method="POST", headers=headers).get_environ()
    _, status, _ = run_wsgi_app(browser.app, environ, buffered=True)
    assert status[:3] in {"400", "401", "403"}


# The token


def forged(browser: Browser, app: Flask) -> dict[str, str]:
    """Tokens that are not the one of this browser's login."""
    right = browser.token()
    ben, stranger = Browser(app), Browser(app)
    anonymous = stranger.token()
    register(app, "ben@example.com")
    ben.log_in("ben@example.com")
    return {
        "none": "",
        "one letter": "x",
        "cut": right[:-1],
        "longer": right + "A",
        "another salt": "A" * 22 + right[22:],
        "no mac": right[:22],
        "altered": right[:-5] + ("A" if right[-5] != "A" else "B") + right[-4:],
        "another person's": ben.token(),
        "a stranger's": anonymous,
        "the cookie itself": browser.cookie,
        "not ASCII": "é" * len(right),
        "zeros": base64.urlsafe_b64encode(bytes(48)).decode()[: len(right)],
        "very long": right * 100,
    }


def test_only_the_token_of_this_login_will_do(app: Flask, browser: Browser) -> None:
    for token in forged(browser, app).values():
        for field in ("csrf_token", "linked_auth_csrf"):
            refused(browser.open("POST", "/who", data={field: token}), 403, "csrf-failed")
            refused(browser.open("POST", "/who", data={field: [token, token]}), 403, "csrf-failed")
        refused(browser.open("POST", f"/who?csrf_token={browser.token()}"), 403, "csrf-failed")
        if token.isascii():
            answer = browser.open("POST", "/who", headers={"X-CSRF-Token": token})
            refused(answer, 403, "csrf-failed")
    refused(browser.open("POST", "/who", json={"csrf_token": browser.token()}), 403, "csrf-failed")
    refused(
        browser.open("POST", "/maybe"), 403, "csrf-failed"
    )  # ours, but for its token: that is a bug to be told
    assert browser.open("POST", "/who", headers={"X-CSRF-Token": browser.token()}).status_code == 200


@pytest.mark.parametrize("field", ["csrf_token", "linked_auth_csrf"])
def test_a_form_sends_it_as_a_field(browser: Browser, field: str) -> None:
    assert browser.open("POST", "/who", data={field: browser.token()}).status_code == 200
    multipart: dict[str, Any] = {"data": {field: browser.token()}, "content_type": "multipart/form-data"}
    assert browser.open("POST", "/who", **multipart).status_code == 200


def test_the_token_of_the_login_before_is_none(browser: Browser) -> None:
    token = browser.token()
    browser.log_in()
    refused(browser.open("POST", "/who", headers={"X-CSRF-Token": token}), 403, "csrf-failed")


def test_the_token_looks_different_each_time(browser: Browser) -> None:
    tokens = {browser.token() for _ in range(10)}
    assert len(tokens) == 10
    assert all(
        browser.open("POST", "/who", headers={"X-CSRF-Token": token}).status_code == 200 for token in tokens
    )


def test_the_token_does_not_tell_the_cookie(browser: Browser) -> None:
    assert browser.cookie not in browser.token()


# Login CSRF: a stranger logs somebody's browser into the stranger's own account, and reads what is left there


def test_nobody_is_logged_in_by_another_sites_form(app: Flask, ana: Person) -> None:
    attacker, victim = Browser(app), Browser(app)
    form = {"name": "ana@example.com", "password": PASSWORD}
    refused(victim.open("POST", "/enter", data=form), 403, "csrf-failed")
    victim.token()  # the victim has the login page open
    for token in ("", attacker.token()):
        data = {**form, "csrf_token": token}
        refused(victim.open("POST", "/enter", data=data), 403, "csrf-failed")
        for headers in FOREIGN.values():
            refused(victim.open("POST", "/enter", data=data, headers=headers), 403, "csrf-failed")
    assert "linked_auth_tiny" not in victim.cookies()
    attacker.log_in()
    data = {**form, "csrf_token": attacker.token()}
    refused(victim.open("POST", "/enter", data=data), 403, "csrf-failed")


def test_a_login_form_works_on_the_first_visit_and_again_after_a_mistake(app: Flask, ana: Person) -> None:
    browser = Browser(app)
    token = browser.token()
    assert browser.cookies().keys() == {"linked_auth.csrf_tiny"}
    wrong = {"name": "ana@example.com", "password": "wrong", "csrf_token": token}
    refused(browser.open("POST", "/enter", data=wrong), 401, "invalid-credentials")
    second_tab = browser.token()
    assert browser.open("POST", "/enter", data={**wrong, "password": PASSWORD}).status_code == 303
    assert browser.cookies().keys() == {"linked_auth_tiny"}  # the random cookie has had its day
    refused(browser.open("POST", "/enter", data={**wrong, "csrf_token": second_tab}), 403, "csrf-failed")


# Cookies that a neighbouring host or a plain connection set


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_cookies_of_one_name_neither_counts(app: Flask, browser: Browser, order: int) -> None:
    register(app, "eve@example.com")
    eve = Browser(app)
    eve.log_in("eve@example.com")
    cookies = "; ".join([f"linked_auth_tiny={each}" for each in (browser.cookie, eve.cookie)][::order])
    both = Browser(app, {**SAME_ORIGIN, "Cookie": cookies})
    refused(both.get("/who"), 401, "token-missing")
    for token in (browser.token(), eve.token()):
        refused(both.open("POST", "/who", headers={"X-CSRF-Token": token}), 401, "token-missing")
        data = {"name": "eve@example.com", "password": PASSWORD, "csrf_token": token}
        refused(both.open("POST", "/enter", data=data), 403, "csrf-failed")
    twice = Browser(app, {**SAME_ORIGIN, "Cookie": "; ".join([f"linked_auth_tiny={browser.cookie}"] * 2)})
    assert twice.get("/who").status_code == 200


def test_of_two_random_cookies_neither_counts(app: Flask, ana: Person) -> None:
    attacker, victim = Browser(app), Browser(app)
    tokens = [attacker.token(), victim.token()]
    cookies = [browser.cookies()["linked_auth.csrf_tiny"] for browser in (attacker, victim)]
    tossed = "; ".join(f"linked_auth.csrf_tiny={each}" for each in cookies)
    both = Browser(app, {**SAME_ORIGIN, "Cookie": tossed})
    for token in tokens:
        data = {"name": "ana@example.com", "password": PASSWORD, "csrf_token": token}
        refused(both.open("POST", "/enter", data=data), 403, "csrf-failed")


def test_outside_debug_only_this_host_can_have_set_the_cookie(browser: Browser, app: Flask) -> None:
    app.testing = False
    for name in (
        "linked_auth_tiny",
        "__Secure-linked_auth_tiny",
        "__host-linked_auth_tiny",
        "=__Host-linked_auth_tiny",
    ):
        tossed = Browser(app, {**SAME_ORIGIN, "Cookie": f"{name}={browser.cookie}"})
        refused(tossed.get("/who"), 401, "token-missing")
    right = Browser(app, {**SAME_ORIGIN, "Cookie": f"__Host-linked_auth_tiny={browser.cookie}"})
    assert right.get("/who").status_code == 200


# A host that has Flask-WTF's protection for its own forms


def with_both(*, ours_first: bool) -> Flask:
    """An app with a form of its own, protected twice: by the host's CSRFProtect and by our guard."""
    app = make_app() if ours_first else None
    protect = CSRFProtect()
    if app is None:
        from tests.tiny import QUICK, bare_app, create_tables, shared

        app = bare_app(database="sqlite://", **QUICK)
        app.config["SECRET_KEY"] = "the host's"
        protect.init_app(app)
        shared().init_app(app)
        assert shared().db is not None
        create_tables(app, shared().db)  # type: ignore[arg-type]
    else:
        app.config["SECRET_KEY"] = "the host's"
        protect.init_app(app)

    class Note(FlaskForm):  # type: ignore[misc]
        text = StringField()

    @app.route("/note", methods=["GET", "POST"])
    @Auth.auth_required
    def note() -> str:
        form = Note(prefix="note-")
        if form.validate_on_submit():
            return f"kept {form.text.data}"
        return render_template_string(
            "<form method=post>{{ linked_auth_csrf_field() }}{{ form.hidden_tag() }}{{ form.text }}"
            '<i title="{{ linked_auth_csrf_token() }}" lang="{{ csrf_token() }}"></i></form>',
            form=form,
        )

    protect.exempt("tests.browsers.enter")
    return open_site(app)


def fields_of(page: str) -> dict[str, str]:
    import re

    tags = re.findall(r"<input[^>]*>", page)
    pairs = [(re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)) for tag in tags]
    return {name[1]: value[1] for name, value in pairs if name and value}


@pytest.mark.parametrize("ours_first", [True, False])
def test_a_form_with_both_tokens_passes_both(ours_first: bool) -> None:
    app = with_both(ours_first=ours_first)
    register(app)
    browser = Browser(app)
    browser.log_in()
    page = browser.get("/note").text
    fields = {**fields_of(page), "note-text": "milk"}
    assert fields.keys() == {"linked_auth_csrf", "note-csrf_token", "note-text"}
    assert browser.open("POST", "/note", data=fields).text == "kept milk"
    backwards = dict(reversed(fields.items()))
    assert browser.open("POST", "/note", data=backwards).text == "kept milk"
    ours_alone = {name: text for name, text in fields.items() if name != "note-csrf_token"}
    assert browser.open("POST", "/note", data=ours_alone).status_code == 400  # the host's own answer
    theirs_alone = {name: text for name, text in fields.items() if name != "linked_auth_csrf"}
    refused(browser.open("POST", "/note", data=theirs_alone), 403, "csrf-failed")


@pytest.mark.parametrize("ours_first", [True, False])
def test_a_script_sends_both_as_headers(ours_first: bool) -> None:
    app = with_both(ours_first=ours_first)
    register(app)
    browser = Browser(app)
    browser.log_in()
    page = browser.get("/note").text
    ours, theirs = (page.partition(f'{name}="')[2].partition('"')[0] for name in ("title", "lang"))
    headers = {"X-CSRFToken": theirs, "X-CSRF-Token": ours}
    assert browser.open("POST", "/note", json={}, headers=headers).status_code == 200
    # Our own endpoints never ask for the host's.
    assert (
        browser.open("PATCH", "/auth/me", json={"name": "Ana"}, headers={"X-CSRF-Token": ours}).status_code
        == 200
    )
    refused(browser.open("PATCH", "/auth/me", json={}, headers={"X-CSRFToken": theirs}), 403, "csrf-failed")


# Links that lead away


AWAY = [
    "https://evil.example",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    "/ /evil.example",
    "/\x00/evil.example",
    "/\x7f/evil.example",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,x",
    "https:evil.example",
    "https:/evil.example",
    "evil.example",
    "@evil.example",
    "/.//evil.example",
    "/a/..//evil.example",
    "/\u2028/evil.example",
    "/\ufeff/evil.example",
    "\uff0f\uff0fevil.example",
    "/\uff0fevil.example",
    "/\uff3cevil.example",
    "/\u2100evil",  # NFKC: a/c
    "/\ud800",
    "?next=/",
    "#x",
    "",
    "/" + "x" * 5000,
    "/x\r\nSet-Cookie: a=b",
]
INSIDE = [
    "/",
    "/account",
    "/posts/7?page=2&q=a//b#top",
    "/a%2F%2Fevil",
    "/é/ñ",
    "/a:b",
    "/@me",
    "/?u=https://x.example/",
]


@pytest.mark.parametrize("path", INSIDE)
def test_a_path_within_the_site_may_follow_a_login(path: str) -> None:
    assert safe_next(path) == path


@pytest.mark.parametrize("path", AWAY)
def test_no_other_place_may(path: str) -> None:
    assert safe_next(path) is None or path == "/\u2100evil"


def test_nothing_is_no_place() -> None:
    assert safe_next(None) is None


def as_a_browser_reads(text: str) -> str:
    r"""What the URL standard makes of a location before it looks at it: no tabs and line breaks, `/` for `\\`."""
    text = text.strip("".join(map(chr, range(33))))
    text = "".join(each for each in text if each not in "\t\n\r")
    return text.replace("\\", "/")


PIECES = st.lists(
    st.sampled_from(
        ["/", "\\", "//", ":", "@", "?", "#", ".", "..", "\t", "\n", " ", "%2f", "evil.example", "https", "a"]
    )
    | st.text(max_size=3),
    max_size=8,
).map("".join)


@given(PIECES | PIECES.map(lambda rest: f"/{rest}"))
@example("/\\evil.example")
@example("/\t/evil.example")
def test_wherever_it_leads_it_is_here(text: str) -> None:
    place = safe_next(text)
    assert place in {None, text}
    if place is None:
        return
    for base in ("https://blog.example/account/login", "http://localhost:5000/"):
        went = urlsplit(urljoin(base, as_a_browser_reads(place)))
        assert (went.scheme, went.netloc) == urlsplit(base)[:2]
    assert place.startswith("/")
    place.encode("utf-8")
    assert not any(ord(each) <= 32 or ord(each) == 127 for each in place)


@given(st.text(alphabet="abcxyz0189-_.~/%", max_size=40).map(lambda rest: f"/{rest}"))
def test_plain_paths_are_left_alone(path: str) -> None:
    assert (safe_next(path) == path) is ("//" not in path)
