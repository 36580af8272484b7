"""Where a call may go: to the link's own origin, by paths that stay behind its address, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st
from requests import Request, Session

from flask_linked_auth.link_errors import ForeignAddress
from flask_linked_auth.links.client import Service
from flask_linked_auth.links.link import Link
from flask_linked_auth.links.outgoing import Caller, origin_of
from tests.links.neighbour import KEYS, Neighbour, link_to, said_by

ADDRESS = "https://billing.example/api"
CALLER = Caller(Link("shop", "billing", ADDRESS, KEYS["HS256"]))

INSIDE = {
    "/invoices": "/api/invoices",
    "invoices": "/api/invoices",
    "/invoices?page=2": "/api/invoices?page=2",
    "?page=2": "/api?page=2",
    "": "/api",
    "/": "/api/",
    "/a//b": "/api/a//b",
    "/a.b/..c/...": "/api/a.b/..c/...",
    "/x?next=//evil.example/../\\": "/api/x?next=//evil.example/../\\",
    "@evil.example": "/api/@evil.example",
    "/http://evil.example": "/api/http://evil.example",
    ":8080/x": "/api/:8080/x",
    "https://billing.example/other": "/other",
    "HTTPS://Billing.Example:443/other": "/other",
    "/crème brûlée": "/api/crème brûlée",
}


@pytest.mark.parametrize("path", INSIDE)
def test_a_path_is_put_behind_the_address(path: str) -> None:
    url = CALLER.address_of(path)
    assert (
        url.removeprefix("https://billing.example").removeprefix("HTTPS://Billing.Example:443")
        == INSIDE[path]
    )


OUTSIDE = [
    "//evil.example/x",
    "///evil.example/x",
    "\\\\evil.example/x",
    "/\\evil.example/x",
    "\\evil.example",
    "/x\\..\\y",
    "/../admin",
    "..",
    "../admin",
    "/a/../../admin",
    "/./x",
    "/%2e%2e/admin",
    "/.%2E/admin",
    "/a/%2e%2e%2fadmin",
    "/a%2f..%2f..%2fadmin",
    "/a/..;/admin",
    "https://evil.example/x",
    "http://billing.example/x",
    "https://billing.example:8443/x",
    "https://billing.example.evil.example/x",
    "https://billing.example@evil.example/x",
    "https://ada:secret@billing.example/x",
    "https:/evil.example",
    "https:evil.example",
    "https://billing.example/../x",
    "https://billing.example\\@evil.example/x",
    "ftp://billing.example/x",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "https://[billing.example/x",
    "https://billing.example:port/x",
    "\t//evil.example",
    "/x\r\nHost: evil.example",
    "/x\x00",
    "/x?a=\n",
    "ht\ntps://billing.example/x",
]


@pytest.mark.parametrize("path", OUTSIDE)
def test_a_path_that_leads_away_is_refused_and_nothing_is_sent(path: str, billing: Neighbour) -> None:
    with pytest.raises(ForeignAddress):
        CALLER.address_of(path)
    with Service(link_to(billing.address)) as service, pytest.raises(ForeignAddress) as caught:
        service.get(path)
    assert "secret" not in str(caught.value)
    assert billing.arrived == []


@given(st.text(st.sampled_from("/\\.%2eE5cfF:@?#[]evilhttps \t\n;"), max_size=24))
def test_no_path_at_all_leaves_the_origin(path: str) -> None:
    try:
        url = CALLER.address_of(path)
    except ForeignAddress:
        return
    assert origin_of(url) == ("https", "billing.example", 443)
    prepared = Session().prepare_request(Request("GET", url))
    assert origin_of(prepared.url or "") == ("https", "billing.example", 443)


def test_origins_are_compared_as_browsers_do() -> None:
    assert (
        origin_of("http://Example.com") == origin_of("http://example.com:80/x") == ("http", "example.com", 80)
    )
    assert origin_of("http://example.com:0") == ("http", "example.com", 0)
    assert origin_of("https://bücher.example") == ("https", "xn--bcher-kva.example", 443)
    assert origin_of("http://[::1]:5000/") == ("http", "::1", 5000)
    assert origin_of(f"https://{'ü' * 70}.example") is None


@pytest.mark.parametrize("dialect", ["link", "signature"])
@pytest.mark.parametrize(
    ("path", "arrives"),
    [
        ("/a b?c=d e&f=%20", "/a%20b?c=d%20e&f=%20"),
        ("/%7eada/%C3%A9?q=%7e", "/~ada/%C3%A9?q=~"),
        ("/é?é", "/%C3%A9?%C3%A9"),
        ("/a%2Fb%25/;x=1", "/a%2Fb%25/;x=1"),
        ("/x?#top", "/x"),
        ("?", "/"),
        ("/x?a=1&a=2&b", "/x?a=1&a=2&b"),
        ("/[x]|'\"<>{}^`", "/%5Bx%5D%7C'%22%3C%3E%7B%7D%5E%60"),
        ("/x?a=\"<>|{}[]'`^\\", None),
    ],
)
def test_what_is_signed_is_what_arrives(
    path: str, arrives: str | None, dialect: str, billing: Neighbour
) -> None:
    link = link_to(billing.address, dialect=dialect)
    with Service(link, 7) as service:
        assert service.get(path).status_code == 200
    assert said_by(billing.last, link) == "7"
    assert arrives is None or billing.last.target == arrives


def test_params_are_part_of_what_is_signed(billing: Neighbour) -> None:
    link = link_to(billing.address, dialect="signature")
    with Service(link, 7) as service:
        service.params = {"v": "1"}
        service.get("/x?a=1", params={"q": ["ñ", "2 3"], "none": None})
    assert billing.last.target == "/x?a=1&v=1&q=%C3%B1&q=2+3"
    assert said_by(billing.last, link) == "7"


def test_an_address_with_a_path_and_a_slash_at_its_end(billing: Neighbour) -> None:
    with Service(link_to(f"{billing.address}/api/")) as service:
        service.get("/x")
        service.get(f"{billing.address}/elsewhere")
        service.get(b"y")
    assert [each.target for each in billing.arrived] == ["/api/x", "/elsewhere", "/api/y"]


def test_a_prepared_request_may_be_sent_too(billing: Neighbour, elsewhere: Neighbour) -> None:
    link = link_to(billing.address)
    with Service(link, 7) as service:
        request = Request("GET", "/x")
        service.send(service.prepare_request(request))
        assert request.url == "/x"
        foreign = Request("GET", f"{elsewhere.address}/x").prepare()
        with pytest.raises(ForeignAddress):
            service.send(foreign)
    assert said_by(billing.last, link) == "7"
    assert elsewhere.arrived == []


def test_a_link_without_a_web_address_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="address"):
        Service(Link("shop", "billing", "ftp://billing.example", KEYS["HS256"]))
