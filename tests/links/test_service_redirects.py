"""Redirects: followed and signed anew on the link's own origin, never to another one, and never with half a body."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import Any

import pytest
import requests

from flask_linked_auth.links.client import Service
from tests.links.neighbour import Neighbour, link_to, nonce_of, said_by

CODES = [301, 302, 303, 307, 308]


def send_on(target: str, status: int) -> Any:
    def answer(arrived: Any) -> Any:
        if arrived.path == "/start":
            return status, {"Location": target}, b"moved"
        return 200, {}, b"there"

    return answer


@pytest.mark.parametrize("status", CODES)
@pytest.mark.parametrize(
    "target", ["/there?x=1", "there?x=1", "{address}/there?x=1", "//{authority}/there?x=1"]
)
def test_a_redirect_at_home_is_followed_and_signed_anew(status: int, target: str, billing: Neighbour) -> None:
    billing.answer = send_on(target.format(address=billing.address, authority=billing.authority), status)
    link = link_to(billing.address, dialect="signature")
    with Service(link, 7) as service:
        answer = service.post("/start", json={"a": 1})
    assert (answer.text, [each.status_code for each in answer.history]) == ("there", [status])
    assert billing.last.target == "/there?x=1"
    assert [said_by(each, link) for each in billing.arrived] == ["7", "7"]
    assert nonce_of(billing.arrived[0]) != nonce_of(billing.arrived[1])
    kept = status in {307, 308}
    assert billing.last.method == ("POST" if kept else "GET")
    assert billing.last.body == (b'{"a": 1}' if kept else b"")


@pytest.mark.parametrize("status", CODES)
@pytest.mark.parametrize("dialect", ["link", "signature"])
def test_a_redirect_elsewhere_is_not_followed(
    status: int, dialect: str, billing: Neighbour, elsewhere: Neighbour
) -> None:
    billing.answer = send_on(f"{elsewhere.address}/there", status)
    with Service(link_to(billing.address, dialect=dialect), 7) as service:
        answer = service.post("/start", json={"card": 4242})
        assert service.get("/start").status_code == status
    assert (answer.status_code, answer.text, answer.history) == (status, "moved", [])
    assert answer.next is None
    assert elsewhere.arrived == []


@pytest.mark.parametrize(
    "target",
    [
        "//{foreign}/x",
        "///{foreign}/x",
        "\t//{foreign}/x",
        "http:\\\\{foreign}/x",
        "http://{own}@{foreign}/x",
        "http://{foreign}#@{own}/x",
        "https://{own}/x",
        "HTTP://{foreign}/x",
        "http://ada:secret@{own}/x",
        "http://localhost:{port}/x",
        "ftp://{own}/x",
        "http://[{own}/x",
        "http://{own}x/",
    ],
)
def test_a_redirect_in_disguise_is_not_followed(
    target: str, billing: Neighbour, elsewhere: Neighbour
) -> None:
    port = billing.authority.rpartition(":")[2]
    target = target.format(foreign=elsewhere.authority, own=billing.authority, port=port)
    billing.answer = send_on(target, 307)
    # A location that cannot be read as an address at all may be an error.
    with Service(link_to(billing.address), 7) as service, suppress(requests.RequestException):
        assert service.get("/start").status_code == 307
    assert elsewhere.arrived == []
    assert len(billing.arrived) == 1


@pytest.mark.parametrize("dialect", ["link", "signature"])
def test_a_file_is_sent_again_from_its_beginning(dialect: str, billing: Neighbour) -> None:
    billing.answer = send_on("/there", 307)
    link = link_to(billing.address, dialect=dialect)
    file = io.BytesIO(b"left out, sent")
    file.read(10)
    with Service(link, 7) as service:
        assert service.post("/start", data=file).text == "there"
    assert [each.body for each in billing.arrived] == [b"sent", b"sent"]
    assert [said_by(each, link) for each in billing.arrived] == ["7", "7"]


def test_a_generator_that_was_spooled_is_sent_again(billing: Neighbour) -> None:
    billing.answer = send_on("/there", 308)
    link = link_to(billing.address, dialect="signature")
    with Service(link, 7) as service:
        assert service.put("/start", data=(b"x" * 1000 for _ in range(2000))).text == "there"
    assert [len(each.body) for each in billing.arrived] == [2_000_000, 2_000_000]
    assert said_by(billing.last, link) == "7"


def test_a_generator_that_is_gone_is_not_sent_as_nothing(billing: Neighbour) -> None:
    billing.answer = send_on("/there", 307)
    with Service(link_to(billing.address), 7) as service:
        answer = service.post("/start", data=iter([b"one ", b"two"]))
    assert answer.status_code == 307
    assert [each.body for each in billing.arrived] == [b"one two"]
    billing.answer = send_on("/there", 303)
    with Service(link_to(billing.address), 7) as service:
        assert service.post("/start", data=iter([b"one ", b"two"])).text == "there"


def test_a_ring_of_redirects_ends(billing: Neighbour) -> None:
    billing.answer = lambda arrived: (302, {"Location": "/start"}, b"")
    with Service(link_to(billing.address), 7) as service:
        service.max_redirects = 5
        with pytest.raises(requests.TooManyRedirects):
            service.get("/start")
    assert len(billing.arrived) == 6


def test_redirects_can_be_left_alone(billing: Neighbour) -> None:
    billing.answer = send_on("/there", 302)
    with Service(link_to(billing.address), 7) as service:
        answer = service.get("/start", allow_redirects=False)
        assert (answer.status_code, answer.next.url) == (302, f"{billing.address}/there")
        assert service.head("/start").status_code == 302
        assert service.send(answer.next).text == "there"
