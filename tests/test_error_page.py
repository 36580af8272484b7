"""The `type` of every error leads to a place where it is explained."""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from flask import Flask, request
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from flask_linked_auth import Auth, LinkedAuth, errors
from tests.test_errors import PROBLEMS, made
from tests.tiny import bare_app, make_app, refused


def anchors(text: str) -> list[str]:
    return re.findall(r'\bid="([\w-]+)"', text)


def follow(client: Any, asked: str, answer: Any) -> str:
    """Open the address that `type` is, as a client does that knows nothing of us; the section it leads to."""
    address = urlsplit(urljoin(f"http://localhost{asked}", answer.get_json()["type"]))
    page = client.get(address.path)
    assert page.status_code == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert anchors(page.text).count(address.fragment) == 1
    section = page.text[page.text.index(f'id="{address.fragment}"') :].partition("</section>")[0]
    return unescape(re.sub(r"<[^>]+>", "", section))


@pytest.mark.parametrize("kind", PROBLEMS, ids=lambda kind: kind.__name__)
def test_every_type_leads_to_its_explanation(kind: type[errors.Problem]) -> None:
    app = make_app()

    @app.get("/deep/below/raise")
    def view() -> str:
        raise made(kind)

    client = app.test_client()
    explained = follow(client, "/deep/below/raise", client.get("/deep/below/raise"))
    assert f"{kind.status} {kind.title}." in explained
    assert not kind.meaning or kind.meaning.replace("`", "") in explained


def test_the_address_holds_under_another_prefix_and_below_a_mount_point() -> None:
    app = make_app(prefix="/api/identity")
    client = Client(DispatcherMiddleware(Flask("nothing"), {"/bl og": app}))
    answer = client.get("/bl og/api/identity/me")
    assert answer.get_json()["type"] == "/bl%20og/api/identity/errors#token-missing"
    follow(client, "/bl%20og/api/identity/me", answer)


def test_nobody_chooses_by_the_host_header_where_it_leads() -> None:
    answer = make_app().test_client().get("/auth/me", headers={"Host": "evil.example"})
    assert answer.get_json()["type"] == "/auth/errors#token-missing"


def test_guards_alone_have_no_page_and_a_urn() -> None:
    app = bare_app()
    LinkedAuth(app, parts=[])
    app.add_url_rule("/", "home", Auth.auth_required(lambda: "home"))
    client = app.test_client()
    assert client.get("/").get_json()["type"] == "urn:flask-linked-auth:error:token-missing"
    assert client.get("/auth/errors").status_code == 404


def test_other_http_errors_are_explained_together() -> None:
    from flask import abort

    from flask_linked_auth import json_errors

    app = make_app()
    json_errors(app)
    app.add_url_rule("/tea", "tea", lambda: abort(418))
    client = app.test_client()
    for _ in range(3):
        follow(client, "/tea", client.get("/tea"))


def test_the_page_is_for_anybody_and_says_nothing_of_who_asks() -> None:
    app = make_app()
    Auth.protect(app)
    client = app.test_client()
    pages = {
        client.get("/auth/errors", headers=headers).text for headers in ({}, {"Authorization": "Bearer x"})
    }
    assert len(pages) == 1


def test_the_page_cannot_be_framed_and_runs_nothing() -> None:
    page = make_app().test_client().get("/auth/errors")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert page.headers["X-Frame-Options"] == "DENY"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert not re.search(r"<script|\bstyle=|\bon\w+=|https?://", page.text)


def test_the_page_speaks_the_readers_language() -> None:
    client = make_app().test_client()
    spanish = client.get("/auth/errors", headers={"Accept-Language": "es"})
    english = client.get("/auth/errors")
    assert '<html lang="es">' in spanish.text
    assert '<html lang="en">' in english.text
    assert (spanish.headers["Content-Language"], english.headers["Content-Language"]) == ("es", "en")
    assert "Qué hacer:" in spanish.text
    assert anchors(spanish.text) == anchors(english.text)
    told = [set(re.findall(r"<p>(.+?)</p>", page.text)) for page in (spanish, english)]
    untranslated = told[0] & told[1]
    assert len(untranslated) == 1
    assert "tea" in untranslated.pop()  # the host's own, in the host's own words


class OutOfTea(errors.Conflict):
    """A host's own error. It stands on every page as long as it lives, so it is not made inside of a test."""

    slug = "out-of-tea"
    title = "No <b>tea</b>"
    meaning = "The `pot` is <i>empty</i>."


def test_a_hosts_own_errors_stand_there_too_and_escape_nothing() -> None:
    app = make_app()

    @app.get("/tea")
    def tea() -> str:
        raise OutOfTea

    client = app.test_client()
    explained = follow(client, "/tea", client.get("/tea"))
    assert "409 No <b>tea</b>. The pot is <i>empty</i>." in explained
    assert "<i>" not in client.get("/auth/errors").text


def test_the_page_is_no_form_and_other_methods_are_refused_in_our_shape() -> None:
    client = make_app().test_client()
    assert refused(client.post("/auth/errors", json={}), 405, "method-not-allowed")
    assert client.get("/auth/errors/").status_code == 200


def test_a_host_replaces_the_page_by_a_template_of_its_own(tmp_path: Any) -> None:
    (tmp_path / "linked_auth").mkdir()
    (tmp_path / "linked_auth/errors.html").write_text("{{ errors | length }} {{ language }} {{ path() }}")
    app = make_app()
    app.template_folder = str(tmp_path)
    app.jinja_env.globals["path"] = lambda: request.path
    assert re.fullmatch(r"\d\d en /auth/errors", app.test_client().get("/auth/errors").text)
