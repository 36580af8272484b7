"""The old signature covers what Python prints of a request: we print what Django does, whatever is in it."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from flask_linked_auth.links.wire import form_of, legacy_body, read_legacy, sign_legacy, verify_legacy
from tests.peers.academy import key_of

if TYPE_CHECKING:
    from flask_linked_auth.links.keys import LinkKey
    from tests.peers.academy import Academy
    from tests.peers.ear import Ear

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
# The site and its row are the same for every example, as they are for every request to a real one.
once = settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])

# No lone surrogates, which are no text, no NUL, which no database takes, and not what stands for broken UTF-8.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufffd"), max_size=8)
# Larger ones are refused before anything is signed.
numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
bodies = st.dictionaries(texts, values, max_size=3) | st.lists(values, max_size=3)
# As browsers and libraries write them, and as nobody should.
odd = st.sampled_from(["=", "&", ";", "+", "%", "%zz", "[]", "a", "a=b"])
pieces = texts.map(quote) | texts.map(quote_plus) | odd
queries = st.lists(pieces, max_size=6).map("".join).filter(lambda text: "\ufffd" not in unquote(text))


@pytest.fixture
def key(academy: Academy, slug: str, ear: Ear) -> LinkKey:
    return key_of(academy.has_app(slug, app_url=ear.address), "HS512")


def _admitted(academy: Academy, header: str, query: str, data: bytes, content_type: str) -> bool:
    # Not by Requests, which would quote the query anew.
    connection = HTTPConnection(urlsplit(academy.address).netloc, timeout=60)
    try:
        headers = {"Authorization": header, "Content-Type": content_type}
        connection.request("POST", f"/posts/signature?{query}", data, headers)
        return connection.getresponse().status == 200
    finally:
        connection.close()


@once
@given(data=bodies)
def test_any_json(academy: Academy, slug: str, key: LinkKey, data: Any) -> None:
    sent = json.dumps(data).encode()
    covered: dict[str, Any] = {"method": "POST", "params": {}, "body": legacy_body(sent, JSON)}
    assert _admitted(academy, sign_legacy(key, sender=slug, **covered), "", sent, JSON)


@once
@given(query=queries)
def test_any_query(academy: Academy, slug: str, key: LinkKey, query: str) -> None:
    covered: dict[str, Any] = {"method": "POST", "params": form_of(query), "body": {}}
    assert _admitted(academy, sign_legacy(key, sender=slug, **covered), query, b"{}", JSON)


@once
@given(form=queries)
def test_any_form(academy: Academy, slug: str, key: LinkKey, form: str) -> None:
    sent = form.encode()
    covered: dict[str, Any] = {"method": "POST", "params": {}, "body": legacy_body(sent, FORM)}
    assert _admitted(academy, sign_legacy(key, sender=slug, **covered), "", sent, FORM)


@once
@given(data=bodies, params=st.dictionaries(texts, texts, max_size=3))
def test_any_json_and_params_of_its_client(
    academy: Academy, slug: str, ear: Ear, key: LinkKey, data: Any, params: dict[str, str]
) -> None:
    # Requests leaves out an empty name or body, and does not say so to whoever has signed it.
    params = {name: value for name, value in params.items() if name}
    called = academy.calls(slug, "POST", "/hello", mode="signature", json=data, params=params)
    assert called.get("status") == 200, called
    heard = ear.last
    body = legacy_body(heard.body, heard.headers.get("content-type", ""))
    fields = read_legacy(heard.authorization[1])
    query = form_of(urlsplit(heard.target).query)
    claims = verify_legacy(fields, [key], method="POST", params=query, body=body, headers=heard.headers)
    assert claims.app == academy.name
