"""Who may read, write, change and delete posts, and what a post looks like."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, text

from example_blog.database import db
from tests.example_blog.walker import Person, problem

if TYPE_CHECKING:
    from flask import Flask
    from sqlalchemy.orm import Session

POSTS = "/api/v1/blogposts"
BOTH = pytest.mark.parametrize("path", [POSTS, "/api/v1/blogpost"])


@BOTH
def test_a_post_from_writing_to_deleting(blog: Flask, ada: Person, path: str) -> None:
    made = ada.call("POST", f"{path}/", {"title": "  On walking home ", "content": " It takes an hour.\n"})
    assert made.status_code == 201
    post = made.get_json()
    assert (post["title"], post["content"]) == ("On walking home", " It takes an hour.\n")
    assert (post["owner_id"], post["owner_name"]) == (ada.id, "Ada")
    assert post["created_at"] == post["modified_at"]
    assert made.headers["Location"] == f"{path}/{post['id']}"
    reader = blog.test_client()
    assert reader.get(made.headers["Location"]).get_json() == post

    changed = ada.call("PUT", f"{path}/{post['id']}", {"title": "Slowly"})
    assert changed.status_code == 200
    assert changed.get_json() | {"modified_at": ""} == post | {"title": "Slowly", "modified_at": ""}
    assert ada.call("PATCH", f"{path}/{post['id']}", {"content": "Two."}).get_json()["content"] == "Two."
    assert ada.call("PUT", f"{path}/{post['id']}", {}).get_json()["title"] == "Slowly"

    deleted = ada.call("DELETE", f"{path}/{post['id']}")
    assert (deleted.status_code, deleted.data) == (204, b"")
    assert "Content-Type" not in deleted.headers
    problem(reader.get(f"{path}/{post['id']}"), 404, "not-found")


def test_reading_never_deletes(blog: Flask, ada: Person) -> None:
    post = ada.write()
    for _ in range(2):  # an older delete route was a GET
        assert ada.call("GET", f"{POSTS}/{post['id']}").get_json() == post


def test_the_list_is_paged_newest_first(blog: Flask, ada: Person) -> None:
    ids = [ada.write(f"Number {n}")["id"] for n in range(5)]
    reader = blog.test_client()
    first = reader.get(f"{POSTS}/?page_size=2").get_json()
    assert first.keys() == {"count", "next", "previous", "results"}
    second = reader.get(first["next"]).get_json()
    third = reader.get(second["next"]).get_json()
    assert [post["id"] for page in (first, second, third) for post in page["results"]] == ids[::-1]
    assert (first["count"], first["previous"], third["next"]) == (5, None, None)
    assert reader.get(second["previous"]).get_json() == first
    assert reader.get(f"{POSTS}/?page=9").get_json()["results"] == []


def test_the_list_takes_two_queries_however_long_it_is(blog: Flask, ada: Person) -> None:
    for n in range(7):
        ada.write(f"Number {n}")
    with blog.app_context():
        engine = db.engine
    asked: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    assert len(blog.test_client().get(f"{POSTS}/").get_json()["results"]) == 7
    assert len(asked) == 2


def test_who_reads_sees_the_same_with_and_without_a_token(blog: Flask, ada: Person, staff: Person) -> None:
    path = f"{POSTS}/{ada.write()['id']}"
    answers = [blog.test_client().get(path), ada.call("GET", path), staff.call("GET", path)]
    assert len({answer.data for answer in answers}) == 1


@BOTH
def test_without_a_token_nothing_is_written(blog: Flask, ada: Person, path: str) -> None:
    post, anybody = ada.write(), blog.test_client()
    problem(anybody.post(f"{path}/", json={"title": "x", "content": "y"}), 401, "token-missing")
    problem(anybody.put(f"{path}/{post['id']}", json={"title": "x"}), 401, "token-missing")
    problem(anybody.patch(f"{path}/{post['id']}", json={"title": "x"}), 401, "token-missing")
    problem(anybody.delete(f"{path}/{post['id']}"), 401, "token-missing")
    problem(anybody.delete(f"{path}/999"), 401, "token-missing")  # not even what there is
    assert anybody.get(f"{path}/{post['id']}").get_json() == post


@BOTH
def test_somebody_elses_post_is_refused(ada: Person, grace: Person, path: str) -> None:
    post = ada.write()
    for method, body in (("PUT", {"title": "Mine"}), ("PATCH", {"title": "Mine"}), ("DELETE", None)):
        problem(grace.call(method, f"{path}/{post['id']}", body), 403, "forbidden")
        problem(grace.call(method, f"{path}/999", body), 404, "not-found")
    assert grace.call("GET", f"{path}/{post['id']}").get_json() == post


def test_whether_it_may_be_changed_comes_before_whether_the_change_is_good(
    ada: Person, grace: Person
) -> None:
    post = ada.write()
    problem(grace.call("PUT", f"{POSTS}/{post['id']}", {"title": ""}), 403, "forbidden")
    problem(ada.call("PUT", f"{POSTS}/{post['id']}", {"title": ""}), 422, "invalid-fields")


def test_staff_changes_and_deletes_what_is_not_theirs(ada: Person, staff: Person) -> None:
    post = ada.write()
    changed = staff.call("PUT", f"{POSTS}/{post['id']}", {"title": "Edited"})
    assert changed.status_code == 200
    assert changed.get_json()["owner_id"] == ada.id
    assert staff.call("DELETE", f"{POSTS}/{post['id']}").status_code == 204


def test_who_is_staff_no_more_is_refused_at_once(blog: Flask, ada: Person, staff: Person) -> None:
    post = ada.write()
    with blog.app_context():
        db.session.execute(text("UPDATE users SET is_admin = false WHERE id = :id"), {"id": staff.id})
        db.session.commit()
    problem(staff.call("PUT", f"{POSTS}/{post['id']}", {"title": "Edited"}), 403, "forbidden")


def test_whose_a_post_is_follows_from_the_token(ada: Person, grace: Person) -> None:
    post = ada.write()
    for field in ("owner_id", "owner", "owner_name", "id", "created_at", "modified_at", "nonsense"):
        body = {"title": "x", "content": "y", field: grace.id}
        made = problem(ada.call("POST", f"{POSTS}/", body), 422, "invalid-fields")
        changed = problem(ada.call("PUT", f"{POSTS}/{post['id']}", body), 422, "invalid-fields")
        assert made["errors"].keys() == changed["errors"].keys() == {field}


NO_POSTS: list[tuple[dict[str, Any], set[str]]] = [
    ({}, {"title", "content"}),
    ({"title": "x"}, {"content"}),
    ({"title": "  \t ", "content": " \n"}, {"title", "content"}),
    ({"title": "x" * 129, "content": "y" * 50_001}, {"title", "content"}),
    ({"title": "two\nlines", "content": "y"}, {"title"}),
    ({"title": "a bell\x07", "content": "y"}, {"title"}),
    ({"title": None, "content": None}, {"title", "content"}),
    ({"title": 1, "content": ["y"]}, {"title", "content"}),
]


def test_what_is_no_post_is_refused_by_field(ada: Person) -> None:
    for body, fields in NO_POSTS:
        answer = ada.call("POST", f"{POSTS}/", body)
        assert problem(answer, 422, "invalid-fields")["errors"].keys() == fields


def test_the_longest_post_in_any_script(ada: Person) -> None:
    title, content = "猫" * 128, "é" * 50_000
    answer = ada.call(
        "POST",
        f"{POSTS}/",
        data=f'{{"title": "{title}", "content": "{content[:20_000]}"}}'.encode(),
        content_type="application/json",
    )
    assert answer.status_code == 201
    assert answer.get_json()["title"] == title
    whole = ada.call("POST", f"{POSTS}/", {"title": "x", "content": "y" * 50_000})
    assert len(whole.get_json()["content"]) == 50_000


def test_content_is_kept_as_it_was_written(ada: Person) -> None:
    content = "<script>alert(1)</script>\r\n\t'; DROP TABLE blogposts; -- {{ 7 * 7 }} 🦦"
    answer = ada.call("POST", f"{POSTS}/", {"title": "<b>Hi</b>", "content": content})
    assert answer.get_json()["content"] == content
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.content_type == "application/json"


def test_modified_at_moves_with_a_change(ada: Person) -> None:
    post = ada.write()
    time.sleep(1.1)
    changed = ada.call("PUT", f"{POSTS}/{post['id']}", {"title": "Later"}).get_json()
    assert changed["created_at"] == post["created_at"]
    assert changed["modified_at"] > post["modified_at"]


def test_a_post_deleted_in_the_meantime_cannot_be_changed(blog: Flask, ada: Person) -> None:
    post = ada.write()
    _just_before_writing(blog, "DELETE FROM blogposts")
    problem(ada.call("PUT", f"{POSTS}/{post['id']}", {"title": "x"}), 404, "not-found")


def test_a_post_deleted_in_the_meantime_is_deleted(blog: Flask, ada: Person) -> None:
    post = ada.write()
    _just_before_writing(blog, "DELETE FROM blogposts")
    assert ada.call("DELETE", f"{POSTS}/{post['id']}").status_code == 204
    problem(ada.call("DELETE", f"{POSTS}/{post['id']}"), 404, "not-found")


def test_an_author_deleted_in_the_meantime_is_401(blog: Flask, ada: Person) -> None:
    _just_before_writing(blog, "DELETE FROM users")
    answer = ada.call("POST", f"{POSTS}/", {"title": "x", "content": "y"})
    problem(answer, 401, "user-unknown")
    with blog.app_context():
        assert db.session.scalar(text("SELECT count(*) FROM blogposts")) == 0


def _just_before_writing(blog: Flask, statement: str) -> None:
    """Let somebody else run this statement once, between the next view's reading and its writing."""
    with blog.app_context():
        engine = db.engine

    def meddle(session: Session, *_: Any) -> None:
        with engine.begin() as other:
            other.execute(text(statement))

    event.listen(db.session, "before_flush", meddle, once=True)


def test_the_database_itself_deletes_posts_with_their_owner(blog: Flask, ada: Person, grace: Person) -> None:
    ada.write()
    kept = grace.write()
    with blog.app_context():
        db.session.execute(text("DELETE FROM users WHERE id = :id"), {"id": ada.id})
        db.session.commit()
        assert list(db.session.scalars(text("SELECT id FROM blogposts"))) == [kept["id"]]
