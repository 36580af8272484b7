"""Addresses of apps, with the outcome in their query and as targets of a form."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given, strategies as st

from flask_linked_auth.apps.changes import _complaint_of_address
from flask_linked_auth.apps.redirects import form_targets, host_of, with_outcome


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.example/cb", "https://a.example/cb?app=me&status=rejected"),
        ("https://a.example/cb?a=1", "https://a.example/cb?a=1&app=me&status=rejected"),
        ("https://a.example/cb?a=%26&a=+", "https://a.example/cb?a=%26&a=+&app=me&status=rejected"),
        ("https://a.example/cb#part", "https://a.example/cb?app=me&status=rejected#part"),
        ("https://a.example/cb?a=1#/x?app=2", "https://a.example/cb?a=1&app=me&status=rejected#/x?app=2"),
        ("https://a.example/?%61pp=x&stat%75s=authorized", "https://a.example/?app=me&status=rejected"),
        ("https://a.example/?app&status", "https://a.example/?app=me&status=rejected"),
    ],
)
def test_the_outcome_stands_once_in_the_query_before_any_fragment(url: str, expected: str) -> None:
    assert with_outcome(url, app="me", status="rejected") == expected


@given(st.lists(st.text("abps=&%+;é ", max_size=12), max_size=4).map("&".join))
def test_no_query_of_the_apps_own_can_say_how_it_ended(query: str) -> None:
    made = with_outcome(f"https://a.example/cb?{query}", app="me", status="rejected")
    pairs = parse_qsl(urlsplit(made).query, keep_blank_values=True)
    assert [pair for pair in pairs if pair[0] in {"app", "status"}] == [("app", "me"), ("status", "rejected")]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (None, "'self'"),
        ("", "'self'"),
        ("https://a.example/cb?x;y", "'self' https://a.example"),
        ("http://localhost:8000/cb", "'self' http://localhost:8000"),
        ("http://[::1]:8000/cb", "'self' http:"),
        ("https://a;script-src.example/", "'self' https:"),
        ("https://a,b.example/", "'self' https:"),
    ],
)
def test_a_form_may_lead_to_the_origin_of_the_app(url: str | None, expected: str) -> None:
    assert form_targets(url) == expected


@given(st.text(max_size=30).map(lambda text: f"https://{text}"))
def test_no_address_that_an_operator_may_give_adds_to_the_policy(url: str) -> None:
    if _complaint_of_address(url, plain=False) is None:
        assert re.fullmatch(r"'self' https:(//[A-Za-z0-9.-]+(:\d+)?)?", form_targets(url))


def test_people_are_told_the_host() -> None:
    assert host_of("https://a.example:8443/cb?x") == "a.example:8443"
    assert host_of(None) is None
