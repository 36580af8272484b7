"""One credential in the place of another, one app in the place of another, a late or an early one: none passes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask, request

from flask_linked_auth import Auth, scope
from flask_linked_auth.apps import changes, keys
from flask_linked_auth.identity import Identity
from flask_linked_auth.links import signatures
from flask_linked_auth.links.wire import sign_jwt
from tests.faults.lab import cable
from tests.links.pair import USES, Pair, link
from tests.tiny import Person, bearer, make_app, refused, register, state_of

if TYPE_CHECKING:
    from pathlib import Path

BOTH: Any = ("link", "signature")
URL = "http://localhost/posts"


def _site(**settings: Any) -> Flask:
    app = make_app(**settings)
    app.testing = False
    for path, guard in {
        "/posts": scope(["read:posts"]),
        "/jwt": scope(["read:posts"], mode="jwt"),
        "/signature": scope(["read:posts"], mode="signature"),
        "/people": Auth.auth_required,
    }.items():
        app.add_url_rule(path, path, guard(lambda: "in"), methods=["GET", "POST"])
    return app


@pytest.fixture
def app() -> Flask:
    return _site()


@pytest.fixture
def billing(app: Flask) -> Pair:
    return link(app, dialects=BOTH)


@pytest.fixture
def crm(app: Flask, billing: Pair) -> Pair:
    return link(app, "crm", dialects=BOTH)


@pytest.fixture
def ana(app: Flask, billing: Pair, crm: Pair) -> Person:
    ana = register(app)
    billing.knows(ana, str(ana.id))
    return ana


def _get(app: Flask, path: str = "/posts", **headers: str) -> Any:
    return app.test_client().get(
        path, headers={name.replace("_", "-"): text for name, text in headers.items()}
    )


def _jwt(pair: Pair, *, key: Any = None, **claims: Any) -> str:
    given = {"sender": pair.slug, "receiver": "tiny", "subject": "", "issuer": "", **claims}
    return sign_jwt(key or pair.keys["link"], **given)


def test_a_credential_in_the_place_of_another(app: Flask, billing: Pair, ana: Person) -> None:
    token = _jwt(billing, subject=str(ana.id)).partition("Token=")[2]
    wrong = [
        {"Authorization": f"Bearer {token}"},
        {"api-token": token},
        {"Authorization": f"Link App=billing,Token={ana.access}"},
        {"Authorization": f"Link App=billing,Token={ana.refresh_token}"},
        {"Authorization": f"Link {ana.access}"},
        {"Authorization": f"Link {token}"},
        {"Authorization": f"Signature App=billing,Token={token}"},
        {"Authorization": f"Cookie {token}"},
        {"Authorization": f"Cookie {ana.access}"},
        {"Authorization": f"Link App=billing,Token={token},Token={token}"},
        {"Authorization": f"Link App=billing, Token={token}"},
        {"Authorization": f"Link App=billing,token={token}"},
        {"Authorization": f"Link App=billing,Token={token}, Bearer {ana.access}"},
        {"Authorization": f"Bearer {ana.access}, Link App=billing,Token={token}"},
        {"Authorization": f"Link App=billing,Token={token}", "api-token": ana.access},
        {"Cookie": f"linked_auth={token}; session={token}; access_token={token}"},
    ]
    for headers in wrong:
        for path in ("/posts", "/jwt", "/signature", "/people"):
            answer = app.test_client().get(path, headers=headers)
            assert answer.status_code in {400, 401}, (headers, path)
    assert _get(app, Authorization=f"Link App=billing,Token={token}").status_code == 200
    assert _get(app, "/people", **bearer(ana.access)).status_code == 200


def test_one_app_is_not_another(app: Flask, billing: Pair, crm: Pair) -> None:
    token = _jwt(billing).partition("Token=")[2]
    mixed = [
        f"Link App=crm,Token={token}",
        _jwt(crm, key=billing.keys["link"]),
        _jwt(crm, key=billing.keys["link"]).replace("App=crm", "App=billing"),
        _jwt(billing, receiver="crm"),
        _jwt(billing, receiver="tiny-two"),
        _jwt(billing, key=billing.keys["signature"]),  # a key is for one use
        f"Link App=BILLING,Token={token}",
        f"Link App=bill%69ng,Token={token}",
        f"Link App=billing__gte,Token={token}",
        f"Link App=,Token={token}",
    ]
    for text in mixed:
        assert _get(app, Authorization=text).status_code == 401, text
    for key, sender in [
        (billing.keys["signature"], "crm"),
        (crm.keys["signature"], "billing"),
        (billing.keys["link"], "billing"),
    ]:
        target = signatures.Target("GET", "localhost", "/posts")
        signed = signatures.sign_request(key, target, sender=sender, subject="", digest=None)
        refused(app.test_client().get("/posts", headers=signed), 401, "wrong-app-token")


def test_a_signature_is_not_that_of_another_header(app: Flask, billing: Pair, ana: Person) -> None:
    sign = billing.link("signature").sign
    alone, for_ana = sign("GET", URL, body=None), sign("GET", URL, body=None, subject=str(ana.id))
    for name in ("Linked-Subject", "Signature-Input", "Signature"):
        assert app.test_client().get("/posts", headers={**alone, name: for_ana[name]}).status_code == 401
    renamed = {name: value.replace("link=", "other=", 1) for name, value in alone.items()}
    refused(app.test_client().get("/posts", headers=renamed), 401, "token-missing")
    weak = 'other=("@method");created=1;keyid="billing/x"'
    broken = {
        "Linked-Subject": "",
        "Signature-Input": f"{weak}, {alone['Signature-Input']}",
        "Signature": f"other={alone['Signature'][5:]}, link=:{'A' * 86}==:",
    }
    refused(app.test_client().get("/posts", headers=broken), 401, "wrong-app-token")
    assert app.test_client().get("/posts", headers=alone).status_code == 200


def test_the_client_id_is_a_name_and_makes_no_second_app(app: Flask, billing: Pair) -> None:
    client_id = billing.do(lambda _deed, row: row.id)
    headers = billing.link("signature").sign("GET", URL, body=None)
    assert app.test_client().get("/posts", headers=headers).status_code == 200
    other = {**headers, "Signature-Input": headers["Signature-Input"].replace("billing/", f"{client_id}/")}
    refused(app.test_client().get("/posts", headers=other), 401, "wrong-app-token")
    assert _get(app, Authorization=_jwt(Pair(app, client_id, billing.keys))).status_code == 200
    billing.do(changes.remove_app)
    assert _get(app, Authorization=_jwt(Pair(app, client_id, billing.keys))).status_code == 401


@pytest.mark.parametrize("leeway", [0, 5, 60])
def test_clocks_may_differ_by_the_leeway_and_no_more(leeway: int) -> None:
    app = _site(leeway=leeway)
    pair, now = link(app, dialects=BOTH), time.time()

    def jwt(moved: float) -> int:
        return int(_get(app, Authorization=_jwt(pair, now=now + moved, lifetime=60)).status_code)

    def signed(moved: float) -> int:
        target = signatures.Target("GET", "localhost", "/posts")
        headers = signatures.sign_request(
            pair.keys["signature"], target, sender=pair.slug, subject="", digest=None, now=now + moved
        )
        return app.test_client().get("/posts", headers=headers).status_code

    for call in (jwt, signed):
        assert call(0) == 200
        # A little to either side, for a machine that is busy.
        assert call(leeway - 1 if leeway else 0) == 200
        assert call(leeway + 30) == 401
        assert call(-60 - leeway + 30) == 200
        assert call(-60 - leeway - 2) == 401
    assert _get(app, Authorization=_jwt(pair, lifetime=3700)).status_code == 401


def test_what_another_app_found_out_is_not_taken_over() -> None:
    """One WSGI environment may pass through two apps, of which the second trusts nobody."""
    first, second = _site(), _site(name="tiny")
    pair = link(first, dialects=["signature"])
    link(second, dialects=["signature"], ceiling=[])

    def both(environ: Any, start: Any) -> Any:
        list(first.wsgi_app(environ, lambda *_: None))
        return second.wsgi_app(environ, start)

    headers = pair.link("signature").sign("GET", URL, body=None)
    from werkzeug.test import Client

    assert Client(both).get("/posts", headers=headers, base_url="http://localhost").status_code == 401


def test_no_header_is_taken_for_what_was_found_out(app: Flask, billing: Pair) -> None:
    forged = Identity("app", "signature", None, {"sub": ""}, frozenset({"read:posts"}), app_id="x")
    for name in ("flask_linked_auth.signed_by", "Flask-Linked-Auth.Signed-By"):
        headers = {
            name: repr(forged),
            "Signature-Input": 'link=("@method");created=1',
            "Signature": "link=:AA==:",
        }
        assert app.test_client().get("/posts", headers=headers).status_code == 401


@pytest.mark.parametrize("dialect", BOTH)
def test_a_change_in_the_midst_of_a_reading_is_seen(tmp_path: Path, dialect: Any) -> None:
    app = _site(database=f"sqlite:///{tmp_path / 'site.db'}", revocation_interval=60)
    pair = link(app, dialects=BOTH)
    database, slow = state_of(app).database_in_use(), []

    real = type(database).read

    def read(self: Any, query: Any) -> Any:
        found = real(self, query)
        if "linked_app" in str(query) and not slow:
            slow.append(True)
            with app.app_context():
                changes_of(pair)
        return found

    def changes_of(pair: Pair) -> None:
        pair.do(lambda deed, row: keys.retire_keys(deed, row, USES[dialect], after=-10))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(database), "read", read)
        pair.get("/posts", dialect=dialect)
    assert slow
    refused(pair.get("/posts", dialect=dialect), 401, "wrong-legacy-app-token")


def test_floods_of_strangers_are_not_remembered() -> None:
    app = _site(app_cache_size=100)
    billing = link(app)
    apps, links = (state_of(app).parts[name] for name in ("apps", "links"))
    with app.app_context():
        for number in range(2200):
            assert apps.registry.find(f"stranger-{number}") is None
        billing_id = apps.registry.find("billing").id
        for number in range(apps.settings.app_cache_size + 500):
            links.people.find(billing_id, str(number))
    for memory, most in ((apps.registry._known, 2000), (links.people._known, apps.settings.app_cache_size)):
        assert len(memory._young) + len(memory._old) <= most
    assert billing.get("/posts").status_code == 200


@pytest.mark.postgresql
def test_without_the_database_signed_requests_wait_and_say_why(postgresql: Any) -> None:
    from sqlalchemy import make_url

    with postgresql.database() as address:
        url = make_url(address)
        with cable(url.host or "localhost", url.port or 5432) as line:
            through = url.set(host="127.0.0.1", port=line.port).render_as_string(hide_password=False)
            app = _site(database=through, revocation_patience=2, revocation_interval=0)
            pair = link(app, dialects=BOTH)
            for dialect in BOTH:
                assert pair.get("/posts", dialect=dialect).status_code == 200
            line.cut()
            body = refused(pair.get("/posts", dialect="signature"), 503, "unavailable")
            assert "came before" in body["detail"]
            assert pair.get("/posts").status_code == 200  # a new token: what is known of the app is recent
            time.sleep(2.2)
            refused(pair.get("/posts"), 503, "unavailable")
            line.mend()
            assert pair.get("/posts").status_code in {200, 503}


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "application/json", "multipart/form-data; boundary=x"]
)
def test_a_body_that_was_read_before_the_guard_does_not_pass_unread(kind: str) -> None:
    """As a host's CSRF protection does. What is gone cannot be checked, and is not believed."""
    app = make_app()
    seen: list[Any] = []
    app.before_request(lambda: seen.append(request.form) and None)  # type: ignore[func-returns-value]
    app.add_url_rule("/posts", "posts", scope(["read:posts"])(lambda: request.data), methods=["POST"])
    pair = link(app, dialects=["signature"])
    multipart = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n'
    good, bad = (b"a=1", b"a=2") if "multi" not in kind else (multipart, multipart.replace(b"1", b"2", 1))
    for sent in (good, bad):
        headers = pair.link("signature").sign("POST", URL, body=good)
        answer = app.test_client().post("/posts", data=sent, headers=headers, content_type=kind)
        if sent is bad or "json" not in kind:
            refused(answer, 401, "wrong-app-token")
        else:
            assert answer.data == good


def test_a_number_that_is_too_large_is_nobody(database_url: str) -> None:
    """Whatever the database says of it (security.md J08)."""
    app = _site(database=database_url)
    pair = link(app)
    register(app)
    for number in (2**31, 2**63 - 1, 2**63, 10**200):
        assert pair.get(f"/v1/auth/app/user?id={number}").get_json() == []
        refused(pair.get(f"/v1/auth/app/user/{number}"), 404, "user-not-found")
        assert pair.get("/posts", subject=str(number)).status_code == 200
    assert len(pair.get("/v1/auth/app/user?id=1").get_json()) == 1
