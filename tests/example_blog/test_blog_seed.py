"""`flask seed`: believable people and posts, made once, and not where the world could log in as them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from example_blog.database import db
from example_blog.people import User
from example_blog.posts import Post, schema
from example_blog.seed import read_people
from flask_linked_auth.accounts.passwords import complaints
from tests.example_blog.walker import problem, run

if TYPE_CHECKING:
    from flask import Flask

    from tests.example_blog.conftest import Make

SECRET = "q3Zt8vLm1xRw6yKc9pHd2sNf5bGj7eUa"


def rows(app: Flask) -> tuple[list[str], list[tuple[int, str]]]:
    with app.app_context():
        people = list(db.session.scalars(select(User.email).order_by(User.id)))
        posts = [(each.owner_id, each.title) for each in db.session.scalars(select(Post).order_by(Post.id))]
        return people, posts


def test_it_prints_accounts_that_one_can_log_in_with(blog: Flask) -> None:
    printed = run(blog, "seed")
    client = blog.test_client()
    for person in read_people():
        assert person["email"] in printed
        assert person["password"] in printed
        body = {"email": person["email"], "password": person["password"]}
        assert client.post("/api/v1/users/login", json=body).status_code == 200


def test_there_is_something_to_read_and_somebody_to_administer(blog: Flask) -> None:
    run(blog, "seed")
    page = blog.test_client().get("/api/v1/blogposts/").get_json()
    assert page["count"] >= 10
    assert len({post["owner_name"] for post in page["results"]}) >= 3
    dates = [post["created_at"] for post in page["results"]]
    assert dates == sorted(dates, reverse=True)
    assert sum(person.get("is_admin", False) for person in read_people()) == 1


def test_a_second_time_it_adds_nothing_and_changes_nothing(blog: Flask) -> None:
    run(blog, "seed")
    client, person = blog.test_client(), read_people()[1]
    login = client.post("/api/v1/users/login", json={key: person[key] for key in ("email", "password")})
    headers = {"Authorization": f"Bearer {login.get_json()['token']}"}
    client.put("/api/v1/users/me", json={"name": "Somebody"}, headers=headers)
    mine = [post["id"] for post in client.get("/api/v1/blogposts/").get_json()["results"]
            if post["owner_name"] == "Somebody"]  # fmt: skip
    assert client.delete(f"/api/v1/blogposts/{mine[0]}", headers=headers).status_code == 204
    before = rows(blog)
    assert "Added 0 people and 0 posts" in run(blog, "seed")
    assert rows(blog) == before
    assert client.get("/api/v1/users/me", headers=headers).get_json()["name"] == "Somebody"


def test_the_passwords_and_posts_are_such_as_the_blog_itself_accepts() -> None:
    for person in read_people():
        context = [person["name"], person["email"], "blog"]
        assert complaints(person["password"], min_length=15, context=context) == []
        for post in person["posts"]:
            assert schema.validate({"title": post["title"], "content": post["content"]}) == {}


def test_not_in_production_unless_forced(make_blog: Make, database_url: str) -> None:
    world = make_blog(
        "production",
        DATABASE_URL=database_url,
        LINKED_AUTH_ISSUER="https://blog.example.com",
        LINKED_AUTH_SECRET=SECRET,
    )
    run(world, "db", "upgrade")
    refused = world.test_cli_runner().invoke(args=["seed"])
    assert refused.exit_code == 1
    assert "public" in refused.output
    assert rows(world) == ([], [])
    assert "Added 4 people" in run(world, "seed", "--force")


def test_without_tables_it_says_what_to_do_first(empty_blog: Flask) -> None:
    refused = empty_blog.test_cli_runner().invoke(args=["seed"])
    assert refused.exit_code == 1
    assert "db upgrade" in refused.output
    problem(empty_blog.test_client().get("/api/v1/blogposts/"), 500, "internal-error")
