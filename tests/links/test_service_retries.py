"""Repetitions: only of what does the same twice as once, each signed anew."""

from __future__ import annotations

import io
import ssl
import time
from email.utils import formatdate
from typing import Any

import pytest
import requests

from flask_linked_auth.links import outgoing
from flask_linked_auth.links.client import Service
from flask_linked_auth.links.outgoing import Attempts
from tests.links.neighbour import Neighbour, link_to, nonce_of, raw, read_head, running, said_by

pytestmark = pytest.mark.usefixtures("no_waiting")

FINE = (200, {}, b"fine")


def busy(status: int = 503, **headers: str) -> Any:
    return status, {name.replace("_", "-"): value for name, value in headers.items()}, b"busy"


@pytest.mark.parametrize("verb", ["get", "head", "options", "put", "delete"])
@pytest.mark.parametrize("status", [502, 503, 504])
def test_what_does_the_same_twice_is_tried_again(verb: str, status: int, billing: Neighbour) -> None:
    billing.answers(busy(status), busy(status), FINE)
    link = link_to(billing.address, dialect="signature")
    with Service(link, 7) as service:
        assert getattr(service, verb)("/x").status_code == 200
    assert [said_by(each, link) for each in billing.arrived] == ["7"] * 3
    assert len({nonce_of(each) for each in billing.arrived}) == 3


def test_it_gives_up_after_two_repetitions_with_the_last_answer(billing: Neighbour) -> None:
    billing.answers(busy())
    with Service(link_to(billing.address)) as service:
        answer = service.get("/x")
    assert (answer.status_code, answer.text, len(billing.arrived)) == (503, "busy", 3)


@pytest.mark.parametrize("verb", ["post", "patch"])
def test_what_does_more_twice_is_not_tried_again(verb: str, billing: Neighbour) -> None:
    billing.answers(busy(), FINE)
    with Service(link_to(billing.address)) as service:
        assert getattr(service, verb)("/x", json={}).status_code == 503
    assert len(billing.arrived) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 408, 429, 500, 501])
def test_other_answers_are_answers(status: int, billing: Neighbour) -> None:
    billing.answers(busy(status), FINE)
    with Service(link_to(billing.address)) as service:
        assert service.get("/x").status_code == status


def test_a_failed_connection_is_tried_again_and_signed_anew(billing: Neighbour) -> None:
    heads: list[bytes] = []

    def drop(connection: Any) -> None:
        heads.append(read_head(connection))

    def answer(connection: Any) -> None:
        heads.append(read_head(connection))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with raw(drop, drop, answer) as address, Service(link_to(address, dialect="signature"), 7) as service:
        assert service.get("/x").text == "ok"
        inputs = [
            line for head in heads for line in head.split(b"\r\n") if line.startswith(b"Signature-Input")
        ]
        assert len(set(inputs)) == 3
        heads.clear()
    with raw(drop) as address, Service(link_to(address)) as service:
        with pytest.raises(requests.ConnectionError):
            service.post("/x", json={})
        assert len(heads) == 1
        with pytest.raises(requests.ConnectionError):
            service.get("/x")
        assert len(heads) == 4


def test_nobody_there_is_an_error_after_three_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("flask_linked_auth.links.transport.time.sleep", pauses.append)
    with running() as gone:
        pass
    with Service(link_to(gone.address)) as service:
        with pytest.raises(requests.ConnectionError):
            service.delete("/x")
        assert len(pauses) == 2
        service.retries = 0
        with pytest.raises(requests.ConnectionError):
            service.delete("/x")
        assert len(pauses) == 2


def test_a_bad_certificate_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "flask_linked_auth.links.transport.time.sleep", lambda pause: pytest.fail("tried again")
    )

    def no_tls(connection: Any) -> None:
        connection.recv(1024)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with raw(no_tls) as address:
        link = link_to(address.replace("http:", "https:"))
        with Service(link) as service, pytest.raises(requests.exceptions.SSLError) as caught:
            service.get("/x")
    assert "ssl" in str(caught.value).lower() or isinstance(caught.value, ssl.SSLError)


@pytest.mark.parametrize("dialect", ["link", "signature"])
def test_a_file_is_rewound_and_a_generator_is_not_repeated(dialect: str, billing: Neighbour) -> None:
    billing.answers(busy(), FINE)
    link = link_to(billing.address, dialect=dialect)
    with Service(link, 7) as service:
        assert service.put("/x", data=io.BytesIO(b"file")).status_code == 200
        assert [each.body for each in billing.arrived] == [b"file", b"file"]
        assert said_by(billing.last, link) == "7"
        billing.answers(busy(), FINE)
        repeated = service.put("/x", data=iter([b"gen", b"erator"])).status_code == 200
    # A generator was spooled if it had to be signed, and then it can be sent again.
    assert repeated is (dialect == "signature")
    assert {each.body for each in billing.arrived[2:]} == {b"generator"}


def test_a_file_that_was_left_behind_by_a_redirect_is_not_rewound(billing: Neighbour) -> None:
    billing.answers((303, {"Location": "/there"}, b""), busy(), FINE)
    with Service(link_to(billing.address)) as service:
        assert service.post("/x", data=io.BytesIO(b"file")).text == "fine"
    assert [(each.method, each.body) for each in billing.arrived[1:]] == [("GET", b""), ("GET", b"")]


def test_a_file_that_became_text_is_sent_again(billing: Neighbour) -> None:
    link = link_to(billing.address, dialect="legacy-signature")
    billing.answers((307, {"Location": "/there"}, b""), busy(), FINE)
    with Service(link) as service:
        options = {"headers": {"Content-Type": "application/json"}, "data": io.BytesIO(b'{"a": 1}')}
        assert service.put("/x", **options).text == "fine"
    assert [each.body for each in billing.arrived] == [b'{"a": 1}'] * 3


def test_a_short_retry_after_is_waited_for_and_a_long_one_is_not(
    billing: Neighbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("flask_linked_auth.links.transport.time.sleep", pauses.append)
    with Service(link_to(billing.address)) as service:
        billing.answers(busy(Retry_After="2"), FINE)
        assert service.get("/x").status_code == 200
        assert pauses == [2]
        billing.answers(busy(Retry_After="3600"), FINE)
        answer = service.get("/x")
        assert (answer.status_code, answer.text, pauses) == (503, "busy", [2])


@pytest.mark.parametrize(
    ("said", "low", "high"),
    [
        ("0", 0, 0.001),
        ("1", 1, 1),
        (" 5 ", 5, 5),
        ("Mon, 23 Nov 2020 17:10:05 GMT", 0, 0.001),
        ("nonsense", 0, 0.001),
        ("-1", 0, 0.001),
        ("1.5", 0, 0.001),
        ("²", 0, 0.001),
        ("Mon, 99 Foo 2026 00:00:00 GMT", 0, 0.001),
        (None, 0, 0.001),
    ],
)
def test_the_pause_is_what_is_asked_for_within_reason(said: str | None, low: float, high: float) -> None:
    pause = Attempts("GET", resendable=True, retries=2).pause_after(503, said)
    assert pause is not None
    assert low <= pause <= high


def test_a_moment_to_come_back_at_is_read_as_well() -> None:
    def pause(seconds: float) -> float | None:
        said = formatdate(time.time() + seconds, usegmt=True)
        return Attempts("GET", resendable=True, retries=2).pause_after(503, said)

    found = pause(4)
    assert found is not None
    assert 2 < found <= 4
    assert pause(60) is None
    assert Attempts("GET", resendable=True, retries=2).pause_after(503, "9" * 5000) is None


def test_pauses_grow_and_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "BACK_OFF", 0.1)
    firsts, seconds = set(), set()
    for _ in range(50):
        attempts = Attempts("get", resendable=True, retries=2)
        firsts.add(attempts.pause_after() or 0)
        seconds.add(attempts.pause_after() or 0)
        assert attempts.pause_after() is None
    assert len(firsts) > 40
    assert 0.05 <= min(firsts) <= max(firsts) <= 0.1 <= min(seconds) <= max(seconds) <= 0.2
