"""Guards and linked apps: who calls, for whom, and what they may."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, g

from flask_linked_auth import Auth, ascope, scope
from flask_linked_auth.apps import changes, keys
from flask_linked_auth.links.keys import dump_key, generate_key
from tests.links.pair import Pair, add_key, link
from tests.tiny import make_app, refused, register, statements

ALL: list[Any] = ["link", "signature", "legacy-signature"]
BOTH: list[Any] = ["link", "signature"]


@pytest.fixture
def app() -> Flask:
    app = make_app()

    def told(rest: str = "") -> dict[str, Any]:
        return {
            "app": g.app and g.app.slug,
            "sub": g.token.get("sub"),
            "user": g.user and g.user.id,
            "by": g.identity.method,
            "kind": g.identity.kind,
        }

    app.add_url_rule("/posts", "read", scope(["read:posts"])(told), methods=["GET", "POST", "PUT"])
    app.add_url_rule("/posts/new", "write", scope(["write:posts"])(told), methods=["POST"])
    app.add_url_rule("/any", "any", scope(["read:posts", "write:posts"], any_of=True)(told))
    app.add_url_rule("/jwt", "jwt", scope(["read:posts"], mode="jwt")(told))
    app.add_url_rule("/signature", "signature", scope(["read:posts"], mode="signature")(told))
    app.add_url_rule("/people", "people", Auth.auth_required(told))
    app.add_url_rule("/odd/<path:rest>", "odd", scope(["read:posts"])(told))
    return app


@pytest.mark.parametrize("algorithm", ["HS256", "HS512", "EdDSA"])
@pytest.mark.parametrize("dialect", BOTH)
def test_an_app_that_needs_no_agreement_comes_in_for_itself(app: Flask, dialect: Any, algorithm: str) -> None:
    pair = link(app, dialects=[dialect], algorithm=algorithm)
    answer = pair.get("/posts?page=2&q=a%20b", dialect=dialect)
    assert answer.get_json() == {"app": "billing", "sub": None, "user": None, "by": dialect, "kind": "app"}


@pytest.mark.parametrize("dialect", BOTH)
def test_an_app_speaks_for_a_person(app: Flask, dialect: Any) -> None:
    pair, ana = link(app, dialects=[dialect]), register(app)
    assert pair.get("/posts", subject="77", dialect=dialect).get_json()["user"] is None
    pair.knows(ana, "77")
    told = pair.get("/posts", subject="77", dialect=dialect).get_json()
    assert (told["sub"], told["user"]) == ("77", ana.id)


@pytest.mark.parametrize("dialect", ALL)
def test_a_body_comes_along(app: Flask, dialect: Any) -> None:
    pair = link(app, dialects=[dialect])
    assert pair.call("POST", "/posts", {"title": "Tea"}, dialect=dialect).status_code == 200
    assert pair.call("PUT", "/posts?draft=1", [1, 2], dialect=dialect).status_code == 200


def test_views_that_name_them_receive_app_and_token(app: Flask) -> None:
    @app.get("/named/<int:number>")
    @scope(["read:posts"])
    def named(number: int, app: Any, token: Any) -> dict[str, Any]:
        return {
            "number": number,
            "app": [app.slug, app["slug"], app.app_url],
            "token": [token.sub, token["aud"]],
        }

    @app.get("/asynchronous")
    @ascope(["read:posts"])
    async def asynchronous(app: Any, token: Any) -> dict[str, Any]:
        return {"app": app.slug, "sub": token.sub, "user": await g.get_user()}

    pair = link(app, address="https://billing.example.com/")
    told = pair.get("/named/3", subject="9").get_json()
    assert told == {
        "number": 3,
        "app": ["billing", "billing", "https://billing.example.com"],
        "token": ["9", "tiny"],
    }
    assert pair.get("/asynchronous").get_json() == {"app": "billing", "sub": None, "user": None}


def test_nothing_about_a_key_is_on_the_app(app: Flask) -> None:
    pair, seen = link(app), []

    def look() -> str:
        seen.append(g.app)
        return ""

    app.add_url_rule("/seen", "seen", scope(["read:posts"])(look))
    assert pair.get("/seen").status_code == 200
    text = repr(seen[0]) + str([seen[0][each] for each in type(seen[0]).__slots__])
    assert pair.keys["link"].private_hex() not in text
    with pytest.raises(KeyError):
        seen[0]["private_key"]


# Scopes and agreements


def test_an_app_alone_has_what_it_requires(app: Flask) -> None:
    pair = link(app, needs_agreement=True)
    refused(pair.get("/posts"), 403, "forbidden-scope")
    pair.scopes(["read:posts"], ["write:posts"])
    assert pair.get("/posts").status_code == 200
    assert refused(pair.call("POST", "/posts/new", {}), 403, "forbidden-scope")["scope"] == "write:posts"
    assert pair.get("/any").status_code == 200


@pytest.mark.parametrize("dialect", BOTH)
def test_an_app_for_a_person_has_what_the_person_accepted(app: Flask, dialect: Any) -> None:
    pair, ana = link(app, dialects=[dialect], needs_agreement=True), register(app)
    pair.scopes(["read:posts"], ["write:posts"])
    pair.knows(ana, "77")

    def read() -> Any:
        return pair.get("/posts", subject="77", dialect=dialect)

    def write() -> Any:
        return pair.call("POST", "/posts/new", {}, subject="77", dialect=dialect)

    refused(read(), 403, "agreement-not-accepted")
    pair.agreed_by(ana)
    assert read().status_code == 200
    refused(write(), 403, "agreement-not-accepted")
    pair.agreed_by(ana, "write:posts")
    assert write().status_code == 200
    # Somebody who is not known here cannot have agreed.
    refused(pair.get("/posts", subject="78", dialect=dialect), 403, "agreement-not-accepted")


def test_an_old_agreement_does_not_cover_new_scopes(app: Flask) -> None:
    pair, ana = link(app, needs_agreement=True), register(app)
    pair.scopes(["read:posts"])
    pair.knows(ana, "77")
    pair.agreed_by(ana)
    assert pair.get("/posts", subject="77").status_code == 200
    pair.scopes(["read:posts", "write:posts"])
    assert pair.get("/posts", subject="77").status_code == 200
    refused(pair.call("POST", "/posts/new", {}, subject="77"), 403, "agreement-not-accepted")
    pair.agreed_by(ana)
    assert pair.call("POST", "/posts/new", {}, subject="77").status_code == 200
    pair.scopes(["write:posts"])
    refused(pair.get("/posts", subject="77"), 403, "forbidden-scope")


def test_a_ceiling_holds_whatever_was_agreed(app: Flask) -> None:
    pair = link(app, ceiling=["read:posts"])
    assert pair.get("/posts").status_code == 200
    refused(pair.call("POST", "/posts/new", {}), 403, "forbidden-scope")
    pair.change(ceiling=["read:posts", "write:posts"])
    assert pair.call("POST", "/posts/new", {}).status_code == 200
    pair.change(ceiling=[])
    refused(pair.get("/posts"), 403, "forbidden-scope")


def test_a_person_who_was_deactivated_is_spoken_for_by_nobody(app: Flask) -> None:
    pair, ana = link(app), register(app)
    pair.knows(ana, "77")
    assert pair.get("/posts", subject="77").get_json()["user"] == ana.id
    headers = pair.link().sign("GET", "http://localhost/posts", body=None, subject="77")
    assert app.test_client().get("/posts", headers=headers).status_code == 200
    done = app.test_cli_runner().invoke(args=["linked-auth", "user", "deactivate", "ana@example.com"])
    assert done.exit_code == 0, done.output
    refused(app.test_client().get("/posts", headers=headers), 401, "user-unknown")
    refused(pair.get("/posts", subject="77"), 401, "user-unknown")


def test_a_person_who_was_deleted_is_not_known_any_more(app: Flask) -> None:
    pair, ana = link(app), register(app)
    pair.knows(ana, "77")
    headers = pair.link().sign("GET", "http://localhost/posts", body=None, subject="77")
    assert app.test_client().get("/posts", headers=headers).get_json()["user"] == ana.id
    assert ana.call("DELETE", "/auth/me").status_code == 204
    assert app.test_client().get("/posts", headers=headers).get_json()["user"] is None


# What is refused


def test_guards_for_people_admit_no_app_and_the_other_way_round(app: Flask) -> None:
    pair, ana = link(app, dialects=BOTH), register(app)
    refused(pair.get("/people", subject=str(ana.id)), 401, "authorization-header-forbidden-schema")
    refused(pair.get("/people", dialect="signature"), 401, "token-missing")
    assert pair.get("/jwt").status_code == pair.get("/signature", dialect="signature").status_code == 200
    refused(pair.get("/signature"), 401, "authorization-header-forbidden-schema")
    refused(pair.get("/jwt", dialect="signature"), 401, "authorization-header-forbidden-schema")
    for path in ("/jwt", "/signature"):
        refused(app.test_client().get(path), 401, "no-authorization-header")
        refused(ana.get(path), 401, "authorization-header-forbidden-schema")


def test_an_app_calls_only_in_ways_that_its_row_allows(app: Flask) -> None:
    pair = link(app, dialects=ALL)
    pair.change(accepts=["link"])
    assert pair.get("/posts").status_code == 200
    for dialect in ("signature", "legacy-signature"):
        answer = pair.call("POST", "/posts", {}, dialect=dialect)
        refused(answer, 401, "authorization-header-forbidden-strategy")


@pytest.mark.parametrize("dialect", BOTH)
def test_an_app_that_nobody_knows_is_refused(app: Flask, dialect: Any) -> None:
    stranger = Pair(app, "stranger", {dialect: generate_key("HS256")})
    refused(stranger.get("/posts", dialect=dialect), 401, "app-not-found")
    pair = link(app, dialects=[dialect])
    refused(pair.get("/posts", dialect=dialect, key=generate_key("HS256")), 401, "wrong-app-token")


def test_a_removed_or_inactive_app_is_refused_at_once(app: Flask) -> None:
    pair = link(app)
    assert pair.get("/posts").status_code == 200
    pair.change(active=False)
    refused(pair.get("/posts"), 401, "app-not-found")
    pair.change(active=True)
    assert pair.get("/posts").status_code == 200
    pair.do(changes.remove_app)
    refused(pair.get("/posts"), 401, "app-not-found")


def test_a_token_that_was_seen_is_refused_when_its_app_is_gone(app: Flask) -> None:
    pair = link(app)
    headers = pair.link().sign("GET", "http://localhost/posts", body=None)
    assert app.test_client().get("/posts", headers=headers).status_code == 200
    with statements(app) as sent:
        assert app.test_client().get("/posts", headers=headers).status_code == 200
    assert sent == []  # what was seen is remembered
    pair.do(changes.remove_app)
    refused(app.test_client().get("/posts", headers=headers), 401, "app-not-found")


def test_two_credentials_are_refused(app: Flask) -> None:
    pair, ana = link(app, dialects=BOTH), register(app)
    headers = pair.link("signature").sign("GET", "http://localhost/posts", body=None)
    for rival in ({"Authorization": f"Bearer {ana.access}"}, {"api-token": ana.access}):
        refused(app.test_client().get("/posts", headers={**headers, **rival}), 400, "rival-credentials")
    refused(pair.get("/posts", headers={"api-token": ana.access}), 400, "rival-credentials")


def test_signatures_of_others_are_none_of_ours(app: Flask) -> None:
    ana = register(app)
    others = {"Signature-Input": 'proxy=("@method");created=1', "Signature": "proxy=:AAAA:"}
    assert ana.get("/posts", headers=others).status_code == 200
    refused(app.test_client().get("/posts", headers=others), 401, "token-missing")


def test_a_signed_request_counts_once(app: Flask) -> None:
    pair = link(app, dialects=["signature"])
    headers = pair.link("signature").sign("GET", "http://localhost/posts", body=None)
    assert app.test_client().get("/posts", headers=headers).status_code == 200
    refused(app.test_client().get("/posts", headers=headers), 401, "replayed")


def test_an_old_signature_counts_once(app: Flask) -> None:
    pair = link(app, dialects=["legacy-signature"])
    sign = pair.link("legacy-signature").sign
    headers = sign("POST", "http://localhost/posts", body=b"{}", content_type="application/json")
    sent: dict[str, Any] = {"data": b"{}", "content_type": "application/json", "headers": headers}
    assert app.test_client().post("/posts", **sent).status_code == 200
    refused(app.test_client().post("/posts", **sent), 401, "replayed")


def test_two_guards_on_one_view_take_the_nonce_once(app: Flask) -> None:
    both = scope(["read:posts"])(scope(["write:posts"])(lambda: "in"))
    app.add_url_rule("/both", "both", both)
    pair = link(app, dialects=["signature"])
    assert pair.get("/both", dialect="signature").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "host"),
    [
        ("PUT", "/posts?a=1", b"{}", "localhost"),
        ("POST", "/any?a=1", b"{}", "localhost"),
        ("POST", "/posts?a=2", b"{}", "localhost"),
        ("POST", "/posts", b"{}", "localhost"),
        ("POST", "/posts?a=1", b"[]", "localhost"),
        ("POST", "/posts?a=1", None, "localhost"),
        ("POST", "/posts?a=1", b"{}", "127.0.0.1"),
        ("POST", "/posts?a=1", b"{}", "evil.example"),
    ],
)
def test_a_signature_is_for_this_request_only(
    app: Flask, method: str, path: str, body: bytes | None, host: str
) -> None:
    pair = link(app, dialects=["signature"])
    headers = pair.link("signature").sign("POST", "http://localhost/posts?a=1", body=b"{}")
    answer = app.test_client().open(path, method=method, data=body, headers={**headers, "Host": host})
    assert answer.status_code in {401, 405}, answer.text
    # A bad signature does not burn the nonce of the good one (security.md S04).
    assert app.test_client().post("/posts?a=1", data=b"{}", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/odd/a%2Fb", "/odd/a%20b", "/odd/%C3%A9", "/odd/a%25b", "/odd/x;y=1", "/odd/a+b", "/odd/%7Eana"],
)
def test_the_path_is_signed_as_it_is_sent(app: Flask, path: str) -> None:
    pair = link(app, dialects=["signature"])
    assert pair.get(path, dialect="signature").status_code == 200


@pytest.mark.parametrize(("dialect", "use"), [("link", "link_in"), ("signature", "signature_in")])
def test_a_former_key_is_accepted_until_the_overlap_is_over(app: Flask, dialect: Any, use: str) -> None:
    pair = link(app, dialects=BOTH)
    old, new = pair.keys[dialect], generate_key("HS256")
    stored = keys.NewKey(new.algorithm, dump_key(new), new.id)
    pair.do(lambda deed, row: keys.replace_key(deed, row, use, stored, overlap=60))
    for key in (old, new):
        assert pair.get("/posts", dialect=dialect, key=key).status_code == 200
    pair.do(lambda deed, row: keys.retire_keys(deed, row, use, after=0))
    newest = generate_key("EdDSA")
    pair.do(lambda deed, row: add_key(deed, row, dialect, newest))
    assert pair.get("/posts", dialect=dialect, key=newest).status_code == 200
    for key in (old, new):
        refused(pair.get("/posts", dialect=dialect, key=key), 401, "wrong-legacy-app-token")


@pytest.mark.parametrize(("dialect", "most"), [("signature", 1024 * 1024), ("legacy-signature", 128 * 1024)])
def test_a_large_body_is_refused_before_it_is_read(app: Flask, dialect: Any, most: int) -> None:
    pair = link(app, dialects=[dialect])
    assert pair.call("POST", "/posts", ["x" * (most - 4)], dialect=dialect).status_code == 200
    refused(pair.call("POST", "/posts", ["x" * (most - 3)], dialect=dialect), 413, "too-large")
