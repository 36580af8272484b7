"""The welcome page, the health check, and what happens when the database goes away and comes back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from tests.example_blog.walker import join, problem, run

if TYPE_CHECKING:
    from flask import Flask

    from tests.example_blog.conftest import Make

NOBODY_LISTENS = "postgresql://postgres@127.0.0.1:1/blog"


def test_the_links_of_the_welcome_page_lead_somewhere(blog: Flask) -> None:
    client = blog.test_client()
    page = client.get("/")
    assert page.status_code == 200
    links = set(re.findall(r'(?:href|src)="([^"]+)"', page.text))
    assert {"/auth/docs", "/account/login?next=/", "/account/register?next=/"} <= links
    for link in links:
        assert link.startswith("/")
        with client.get(link.replace("&amp;", "&")) as answer:
            assert answer.status_code == 200


def test_the_welcome_page_loads_and_runs_nothing_from_elsewhere(blog: Flask) -> None:
    page = blog.test_client().get("/", headers={"Host": "evil.example.com"})
    assert not re.search(r"<script|<style|style=|\son\w+=|evil\.example\.com", page.text)
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "http://localhost:5000/api/v1/users/login" in page.text


def test_health(blog: Flask) -> None:
    answer = blog.test_client().get("/health")
    assert (answer.status_code, answer.get_json()) == (200, {"status": "ok"})
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "path", ["/health", "/api/v1/blogposts/", "/api/v1/blogpost/1", "/api/v1/users/login"]
)
def test_without_its_database_the_blog_asks_to_come_again(make_blog: Make, path: str) -> None:
    client = make_blog(DATABASE_TEST_URL=NOBODY_LISTENS).test_client()
    body = {"email": "ada@example.com", "password": "x"}
    answer = client.post(path, json=body) if path.endswith("login") else client.get(path)
    problem(answer, 503, "unavailable")
    assert answer.headers["Retry-After"].isdigit()
    assert "127.0.0.1" not in answer.text
    assert client.get("/").status_code == 200


def test_it_recovers_when_the_database_is_back(make_blog: Make, postgresql_url: str) -> None:
    app = make_blog(DATABASE_TEST_URL=postgresql_url)
    run(app, "db", "upgrade")
    ada = join(app, "Ada")
    post, client = ada.write(), app.test_client()
    _let_in(postgresql_url, False)
    for path in ("/health", "/api/v1/blogposts/", f"/api/v1/blogposts/{post['id']}"):
        problem(client.get(path), 503, "unavailable")
    gone = [
        ada.call("POST", "/api/v1/blogposts/", {"title": "x", "content": "y"}),
        ada.call("GET", "/api/v1/users/me"),
    ]
    for answer in gone:
        assert answer.headers["Retry-After"]
        problem(answer, 503, "unavailable")
    _let_in(postgresql_url, True)
    assert client.get("/health").status_code == 200
    assert ada.write("Back again")["id"] > post["id"]
    assert client.get("/api/v1/blogposts/").get_json()["count"] == 2


def _let_in(address: str, allow: bool) -> None:
    """Throw everybody out of the database and lock it, or open it again."""
    url = make_url(address)
    server = url.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
    with psycopg.connect(server, autocommit=True) as connection:
        statement = sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS {}")
        connection.execute(statement.format(sql.Identifier(str(url.database)), sql.SQL(str(allow).lower())))
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [url.database]
        )
