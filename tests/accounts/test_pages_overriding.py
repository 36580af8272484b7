"""A host's own templates in place of ours: whole, block by block, and what they are given."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jinja2 import StrictUndefined

from flask_linked_auth.accounts import pages
from tests.tiny import PASSWORD, make_app, register
from tests.visitor import Visitor

if TYPE_CHECKING:
    from flask import Flask


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    app = make_app()
    app.template_folder = str(tmp_path)
    return app


def write(app: Flask, name: str, text: str) -> None:
    path = Path(str(app.template_folder)) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_page_is_replaced_by_a_template_of_the_same_name(app: Flask) -> None:
    write(app, "linked_auth/login.html", "Mine: {{ csrf_token }} {{ form.fields.identifier.label }}")
    assert "E-mail address or user name" in Visitor(app).client.get("/account/login").text


def test_a_block_is_replaced_and_the_rest_stays_ours(app: Flask) -> None:
    write(
        app,
        "linked_auth/login.html",
        """{% extends "linked_auth/original/login.html" %}
        {% block title %}Come in{% endblock %}
        {% block links %}{{ super() }}<a href="/help">Help</a>{% endblock %}
        """,
    )
    visitor = Visitor(app)
    page = visitor.open("/account/login")
    assert (page.heading, page.title) == ("Come in", "Come in \u2013 tiny")
    assert {"/help", "/account/forgot"} < set(page.links)
    register(app)
    assert visitor.send(identifier="ana@example.com", password=PASSWORD).heading == "Your account"


def test_the_layout_of_all_pages_is_the_hosts_own(app: Flask) -> None:
    write(
        app,
        "linked_auth/layout.html",
        """{% extends "linked_auth/original/layout.html" %}
        {% block head %}<link rel="stylesheet" href="/static/mine.css">{% endblock %}
        {% block footer %}<a href="/imprint">Imprint</a>{% endblock %}
        """,
    )
    visitor = Visitor(app)
    for path in ("login", "register", "forgot", "nowhere"):
        assert "/imprint" in visitor.open(f"/account/{path}").links
        assert "/static/mine.css" in visitor.answer.text
        assert "linked_auth.css" in visitor.answer.text


def test_the_fields_of_all_forms_look_as_the_host_wants(app: Flask) -> None:
    write(
        app,
        "linked_auth/fields.html",
        """{% macro field(name) %}<p class="mine"><label for="{{ name }}">{{ _(form.fields[name].label) }}</label>
        <input id="{{ name }}" name="{{ name }}"></p>{% endmacro %}
        """,
    )
    page = Visitor(app).client.get("/account/login").text
    assert page.count('<p class="mine">') == 2
    assert 'name="csrf_token"' in page


def test_a_form_is_made_of_the_fields_that_the_host_wants(app: Flask) -> None:
    write(
        app,
        "linked_auth/register.html",
        """{% extends "linked_auth/original/register.html" %}
        {% from "linked_auth/fields.html" import field with context %}
        {% block fields %}{{ field("email") }}{{ field("password") }}{% endblock %}
        """,
    )
    visitor = Visitor(app)
    page = visitor.open("/account/register")
    (fields,) = page.forms.values()
    assert list(fields) == ["csrf_token", "email", "password"]
    visitor.send(email="ana@example.com", password=PASSWORD)
    assert visitor.path == "/account"


def test_fields_keep_their_macro_in_a_block_that_is_replaced(app: Flask) -> None:
    write(
        app,
        "linked_auth/login.html",
        """{% extends "linked_auth/original/login.html" %}
        {% block fields %}{{ field("identifier") }}{{ field("password") }}<i>mine</i>{% endblock %}
        """,
    )
    page = Visitor(app).client.get("/account/login").text
    assert "<i>mine</i>" in page
    assert 'id="identifier"' in page


def test_every_template_has_a_second_name(app: Flask) -> None:
    with app.test_request_context():
        for template in pages.TEMPLATES.glob("*.html"):
            first, second = (
                app.jinja_env.get_template(name)
                for name in (f"linked_auth/{template.name}", f"linked_auth/original/{template.name}")
            )
            assert first.filename == second.filename == str(template)


def test_our_templates_name_nothing_that_they_are_not_given(app: Flask) -> None:
    app.jinja_env.undefined = StrictUndefined
    visitor = Visitor(app)
    for path in ("login", "register", "forgot", "reset", "verify", "nothing"):
        assert visitor.open(f"/account/{path}").heading, path
    visitor.register()
    for path in ("", "/login", "/password", "/email", "/logins", "/delete", "/logout", "/nothing"):
        assert visitor.open(f"/account{path}").heading, path
        assert visitor.status in {200, 404}
    visitor.open("/account/password")
    assert visitor.send().errors


def test_a_hosts_context_and_filters_are_there(app: Flask) -> None:
    app.context_processor(lambda: {"motto": "<Stay curious>", "form": "not this one"})
    write(
        app,
        "linked_auth/layout.html",
        """{% extends "linked_auth/original/layout.html" %}{% block footer %}{{ motto }}{% endblock %}""",
    )
    page = Visitor(app).client.get("/account/login").text
    assert "&lt;Stay curious&gt;" in page
    assert 'id="identifier"' in page


def test_a_broken_template_of_the_hosts_is_answered_without_a_trace(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    write(app, "linked_auth/layout.html", "{% block title %}{% endblock %}{{ 1 / 0 }}")
    answer = Visitor(app).client.get("/account/login")
    assert (answer.status_code, answer.text) == (500, "Internal error.")
    assert "ZeroDivisionError" in caplog.text
