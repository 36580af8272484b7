"""Keys are replaced while calls go on: ours and theirs, in tokens and in signatures, with an overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flask_linked_auth.apps.keys import retire_keys
from flask_linked_auth.links.keys import ALGORITHMS, LinkKey, generate_key, key_from_hex
from flask_linked_auth.links.link import Link
from tests.peers.linked import BOTH_WAYS
from tests.peers.test_their_calls import refused, told

if TYPE_CHECKING:
    from tests.peers.linked import Linked, Linking

HOUR = 3600


def _over(linked: Linked, use: str, key: LinkKey) -> None:
    """A new key, and the end of the overlap."""
    linked.do(lambda deed, row: retire_keys(deed, row, use, after=0))
    linked.add_key(use, key)


def _status(linked: Linked, path: str, headers: dict[str, str]) -> tuple[int, str]:
    answer = linked.pair.ask("GET", path, headers)
    return answer.status_code, answer.json().get("slug", "")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_they_replace_their_key(linking: Linking, algorithm: Any) -> None:
    linked = linking(algorithm)
    assert told(linked.called("GET", "/posts/function"))["by"] == "link"
    there = linked.there(private_key="", public_key=None)
    new = key_from_hex(algorithm, private=there["private_key"], public=there["public_key"])
    refused(linked.called("GET", "/posts/function"), 401, "wrong-app-token")
    linked.add_key("link_in", new.public() if algorithm == "EdDSA" else new, overlap=HOUR)
    assert told(linked.called("GET", "/posts/function", user=3))["by"] == "link"
    for view in ("function", "async", "jwt"):
        for key in (linked.theirs, new):
            assert _status(linked, f"/posts/{view}", linked.token(key)) == (200, "")
    assert _status(linked, "/posts/jwt", linked.token(generate_key(algorithm))) == (401, "wrong-app-token")


@pytest.mark.parametrize("algorithm", ["HS256", "HS512"])
def test_they_replace_their_key_while_they_sign(linking: Linking, algorithm: Any) -> None:
    linked = linking(algorithm, accepts=BOTH_WAYS)
    there = linked.there(private_key="")
    new = key_from_hex(algorithm, private=there["private_key"])
    linked.add_key("legacy_in", new, overlap=HOUR)
    assert told(linked.called("POST", "/posts/function", mode="signature", json={}))["by"] == "signature"
    for view in ("function", "signature", "async-signature"):
        for key in (linked.theirs, new):
            assert _status(linked, f"/posts/{view}", linked.signature(key)) == (200, "")
    strange = linked.signature(generate_key(algorithm))
    assert _status(linked, "/posts/signature", strange) == (401, "wrong-app-token")


def test_after_the_overlap_the_former_key_is_told_from_a_wrong_one(linking: Linking) -> None:
    linked = linking(accepts=BOTH_WAYS)
    held = linked.token()  # seen before, and remembered
    assert _status(linked, "/posts/function", held) == (200, "")
    for use in ("link_in", "legacy_in"):
        _over(linked, use, generate_key("HS512"))
    former = (401, "wrong-legacy-app-token")
    assert _status(linked, "/posts/function", held) == former
    assert _status(linked, "/posts/function", linked.token()) == former
    assert _status(linked, "/posts/function", linked.signature()) == former
    refused(linked.called("GET", "/posts/function"), *former)
    assert _status(linked, "/posts/function", linked.token(generate_key("HS512"))) == (401, "wrong-app-token")


def test_every_key_signs_requests_of_our_own_profile(linking: Linking) -> None:
    linked = linking(accepts=["signature"])
    every = [generate_key(algorithm) for algorithm in ALGORITHMS]
    for key in every:
        linked.add_key("signature_in", key.public() if key.algorithm == "EdDSA" else key, overlap=HOUR)
    for key in every:
        there = Link("academy", linked.pair.name, linked.pair.address, key, dialect="signature")
        for view in ("function", "signature", "async-signature"):
            headers = there.sign("GET", f"{linked.pair.address}/posts/{view}", body=None)
            assert _status(linked, f"/posts/{view}", headers) == (200, "")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_we_replace_our_key(linking: Linking, algorithm: Any) -> None:
    linked = linking(algorithm)
    statuses = [linked.calls("GET", "/posts/function", 7).status_code]
    new = generate_key(algorithm)
    linked.add_key("link_out", new, overlap=HOUR)
    statuses.append(linked.calls("GET", "/posts/function", 7).status_code)
    given = {"private_key": new.private_hex()}
    if algorithm == "EdDSA":
        given = {"private_key": linked.theirs.private_hex(), "public_key": new.public_hex()}
    linked.there(**given)
    statuses.append(linked.calls("GET", "/posts/function", 7).status_code)
    statuses.append(linked.calls("GET", "/posts/function", 7, how="async").status_code)
    # The newest key signs at once, so the site is to have it first.
    assert statuses == [200, 401, 200, 200]


def test_we_replace_our_key_while_we_sign(linked: Linked) -> None:
    new = generate_key("HS512")
    linked.there(private_key=new.private_hex())
    # Over there only the former key signs until it is forgotten (mistake of the package).
    linked.academy.told("forget_old_key", slug=linked.pair.name)
    assert linked.calls("GET", "/posts/signature", mode="signature").status_code == 401
    linked.add_key("legacy_out", new, overlap=HOUR)
    for how in ("sync", "async"):
        assert linked.calls("GET", "/posts/signature", mode="signature", how=how).status_code == 200
