"""What wire.md says of the package's guards and deeds holds for the release that we speak with.

These are its mistakes that only guards, rows and pages of ours can show not to have; those of the credentials
themselves are in test_mistakes_not_shared.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.peers import forged
from tests.peers.academy import Academy, open_academy

if TYPE_CHECKING:
    from tests.peers.ear import Ear


def _header(academy: Academy, app: dict[str, Any], subject: object = "") -> dict[str, str]:
    given = {"app": app["slug"], "aud": academy.name, "sub": str(subject)}
    return {"Authorization": forged.token(app["private_key"], "HS512", **given)}


def _person(academy: Academy, name: str, **values: Any) -> int:
    made: int = academy.told("user", username=name, **values)["id"]
    return made


def test_scopes_are_skipped_for_a_service_itself(academy: Academy, slug: str) -> None:
    app = academy.has_app(slug, require_an_agreement=True, required=[], optional=[])
    for path in ("/posts/function", "/posts/other", "/posts/async"):
        assert academy.ask("GET", path, _header(academy, app)).status_code == 200


def test_scopes_are_looked_at_before_the_signature(academy: Academy, slug: str) -> None:
    academy.has_app(slug, require_an_agreement=True)
    header = forged.signature("00" * 64, "HS512", app=slug, method="GET", body="{}")
    answer = academy.ask("GET", "/posts/signature", {"Authorization": header})
    assert (answer.status_code, answer.json()) == (401, {"detail": "forbidden-scope"})


def test_get_user_hands_over_whom_the_pair_names(academy: Academy, slug: str, ear: Ear) -> None:
    app = academy.has_app(slug, app_url=ear.address)
    root = _person(academy, f"root-{slug}", is_superuser=True)
    ear.answers["/v1/auth/app/user/5"] = {
        "id": 5,
        "username": f"root-{slug}",
        "email": f"root-{slug}@example.com",
    }
    answer = academy.ask("GET", "/posts/function?get_user=1", _header(academy, app, 5))
    assert answer.json()["user"]["id"] == root


def test_an_agreement_is_looked_up_by_the_number_of_the_sender(academy: Academy, slug: str) -> None:
    app = academy.has_app(slug, require_an_agreement=True, required=["read:posts"])
    ana = _person(academy, f"ana-{slug}", credentials={slug: 4100})
    academy.told("agreement", slug=slug, user=ana, optional=[])
    assert academy.ask("GET", "/posts/function", _header(academy, app, ana)).status_code == 200
    answer = academy.ask("GET", "/posts/function", _header(academy, app, 4100))
    assert (answer.status_code, answer.json()) == (400, {"detail": "agreement-not-accepted"})


def test_a_scope_added_after_the_agreement_counts_at_once(academy: Academy, slug: str) -> None:
    needs: dict[str, Any] = {"require_an_agreement": True}
    app = academy.has_app(slug, **needs, required=["read:user"])
    ana = _person(academy, f"ana-{slug}")
    academy.told("agreement", slug=slug, user=ana, optional=[])
    before = academy.ask("GET", "/posts/function", _header(academy, app, ana))
    assert (before.status_code, before.json()) == (401, {"detail": "forbidden-scope"})
    assert (
        academy.has_app(slug, **needs, required=["read:user", "read:posts"])["agreement_version"]
        > app["agreement_version"]
    )
    assert academy.ask("GET", "/posts/function", _header(academy, app, ana)).status_code == 200


def test_optional_scopes_that_were_agreed_do_not_work(academy: Academy, slug: str) -> None:
    both = ["read:posts", "write:posts"]
    app = academy.has_app(slug, require_an_agreement=True, optional=both)
    for chosen, status in ((both[:1], 401), (both, 500)):
        person = _person(academy, f"somebody-{len(chosen)}-{slug}")
        academy.told("agreement", slug=slug, user=person, optional=chosen)
        answer = academy.ask("GET", "/posts/function", _header(academy, app, person))
        assert answer.status_code == status


def test_another_process_goes_on_admitting_a_deleted_app(academy: Academy, slug: str) -> None:
    app = academy.has_app(slug)
    with open_academy(academy.folder) as other:
        assert other.ask("GET", "/posts/function", _header(academy, app)).status_code == 200
        academy.told("remove_app", slug=slug)
        assert academy.ask("GET", "/posts/function", _header(academy, app)).status_code == 401
        assert other.ask("GET", "/posts/function", _header(academy, app)).status_code == 200


def test_the_form_stores_scopes_that_the_app_never_asked_for(academy: Academy, slug: str) -> None:
    academy.has_app(slug, require_an_agreement=True, required=["read:posts"], optional=["write:posts"])
    academy.has_app(f"{slug}-other", required=["admin:all"])
    person = _person(academy, f"ana-{slug}")
    answer = academy.agrees(person, slug, {"admin:all": "on"})
    assert answer.status_code == 302
    assert academy.told("agreements", slug=slug)[0]["optional"] == ["admin:all"]


def test_every_view_is_handed_the_private_key(academy: Academy, slug: str) -> None:
    answer = academy.ask("GET", "/posts/function", _header(academy, academy.has_app(slug)))
    assert "private_key" in answer.json()["given"]


STUMBLING_BLOCKS: dict[str, Any] = {
    "an id that is no number": {"id": "x", "type": "t"},
    "a list of texts": ["a"],
    "a text": "x",
    "data that is a text": {"id": 1, "type": "t", "data": "text"},
    "a type that is too long": {"id": 1, "type": "x" * 51},
}


@pytest.mark.parametrize("name", STUMBLING_BLOCKS)
def test_odd_webhooks_are_server_errors(academy: Academy, slug: str, name: str) -> None:
    header = _header(academy, academy.has_app(slug))
    answer = academy.ask("POST", "/v1/auth/app/webhook", header, json=STUMBLING_BLOCKS[name])
    assert answer.status_code == 500


def test_a_pair_that_is_down_is_a_server_error(academy: Academy, slug: str) -> None:
    header = _header(academy, academy.has_app(slug), 5)
    assert academy.ask("GET", "/posts/function?get_user=1", header).status_code == 500


#: What its client was given, and whether its own guards admit it.
CALLS: dict[str, tuple[str, dict[str, Any], bool]] = {
    "GET": ("GET", {}, False),
    "GET with params": ("GET", {"params": {"q": "1"}}, False),
    "POST without a body": ("POST", {}, False),
    "POST of a form": ("POST", {"data": {"a": "1"}}, False),
    "POST with a header": ("POST", {"json": {"a": 1}, "headers": {"X-A": "b"}}, False),
    "POST of JSON": ("POST", {"json": {"a": 1}}, True),
    "POST of JSON with params as lists": ("POST", {"json": {"a": 1}, "params": {"q": ["1"]}}, True),
}


@pytest.mark.parametrize("name", CALLS)
def test_its_signed_calls_do_not_reach_itself(academy: Academy, name: str) -> None:
    method, given, admitted = CALLS[name]
    academy.has_app(academy.name, app_url=academy.address)
    answer = academy.calls(academy.name, method, "/posts/signature", mode="signature", **given)
    assert (answer.get("status") == 200) is admitted, answer


def test_its_own_webhook_arrives_empty_and_raises(academy: Academy, slug: str, ear: Ear) -> None:
    academy.has_app(slug, webhook_url=f"{ear.address}/hook")
    done = academy.told("send_webhook", slug=slug, kind="user.created", data={"id": 1})
    assert "error" in done
    # The payload is handed over where `Service.webhook` takes an address, which it ignores.
    assert (ear.last.method, ear.last.target, ear.last.body) == ("POST", "/hook", b"")
    assert ear.last.headers["authorization"].startswith(f"Link App={academy.name},Token=")


def test_credentials_are_checked_at_the_users_path(academy: Academy, slug: str, ear: Ear) -> None:
    academy.has_app(slug, app_url=ear.address)
    ana = _person(academy, f"ana-{slug}", credentials={slug: 5})
    for told, health in (([{"id": 5}], "HEALTHY"), ([], "NOT_FOUND")):
        ear.answers["/v1/auth/app/user/"] = told
        (found,) = academy.told("check_credentials", user=ana, slugs=[slug])
        assert ear.last.target == f"/v1/auth/app/user/?email=ana-{slug}@example.com&id=5"
        assert found["health"] == {slug: {"id": 5, "status": health}}
