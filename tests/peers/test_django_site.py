"""The Django site is what it should be: the package's own headers open its own views, and its client calls out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.peers.academy import Academy
    from tests.peers.ear import Ear

VIEWS = ["function", "class", "async", "jwt"]


def _header(printed: str) -> dict[str, str]:
    name, _, value = printed.strip().partition(": ")
    return {name: value}


@pytest.mark.parametrize("algorithm", ["HS256", "HS512", "EdDSA"])
def test_a_token_of_the_package_opens_every_view(academy: Academy, slug: str, algorithm: str) -> None:
    app = academy.has_app(slug, algorithm)
    header = _header(academy.told("command", name="sign_jwt", arguments=[app["id"], 7]))
    for view in VIEWS:
        answer = academy.ask("GET", f"/posts/{view}", header)
        assert answer.status_code == 200, answer.text
        assert answer.json() | {"given": ...} == {
            "app": slug,
            "sub": 7,
            "user": None,
            "given": ...,
            "params": {},
            "data": {},
        }
        assert answer.headers["Service"] == academy.name


@pytest.mark.parametrize("algorithm", ["HS256", "HS512"])
def test_a_signature_of_the_package_opens_the_views_that_want_one(
    academy: Academy, slug: str, algorithm: str
) -> None:
    app = academy.has_app(slug, algorithm)
    arguments = [app["id"], 7, "post", "{}", "{'a': 1}"]
    header = _header(academy.told("command", name="sign_request", arguments=arguments))
    for view in ("signature", "async-signature"):
        answer = academy.ask("POST", f"/posts/{view}", header, json={"a": 1})
        assert (answer.status_code, answer.json().get("app")) == (200, slug), answer.text


def test_without_a_credential_its_views_are_closed(academy: Academy) -> None:
    for view in [*VIEWS, "signature", "async-signature", "other", "no-scope"]:
        answer = academy.ask("GET", f"/posts/{view}")
        assert (answer.status_code, answer.json()) == (401, {"detail": "no-authorization-header"})
    assert academy.ask("GET", "/v1/auth/app/user/").status_code == 401
    assert academy.ask("POST", "/control/people", json={}).status_code == 403


@pytest.mark.parametrize("how", ["sync", "async"])
def test_its_client_calls_out(academy: Academy, slug: str, ear: Ear, how: str) -> None:
    academy.has_app(slug, app_url=ear.address)
    answer = academy.calls(slug, "GET", "/hello", how=how, params={"q": "1"}, user=3)
    assert (answer["status"], answer["body"]) == (200, '{"heard": true}')
    assert (ear.last.method, ear.last.target) == ("GET", "/hello?q=1")
    assert ear.last.headers["authorization"].startswith(f"Link App={academy.name},Token=ey")


def test_its_authorize_page_takes_an_agreement(academy: Academy, slug: str) -> None:
    academy.has_app(slug, require_an_agreement=True, required=["read:posts"], optional=["write:posts"])
    person = academy.told("user", username=f"ana-{slug}")["id"]
    cookies = academy.told("session", user=person)
    path = f"/v1/auth/authorize/{slug}"
    assert academy.ask("GET", path, allow_redirects=False).status_code == 302
    page = academy.ask("GET", path, cookies=cookies)
    assert (page.status_code, "read:posts" in page.text) == (200, True), page.text
    agreed = academy.agrees(person, slug, {"write:posts": "on"})
    assert (agreed.status_code, agreed.headers.get("Location")) == (
        302,
        f"http://127.0.0.1:9/back?app={academy.name}&status=authorized",
    )
    assert academy.told("agreements", slug=slug) == [
        {"user": person, "agreement_version": 1, "optional": ["write:posts"]}
    ]
