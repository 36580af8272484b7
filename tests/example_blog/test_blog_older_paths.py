"""The walk of an older client over the older paths, in its order."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from tests.example_blog.walker import PASSWORD, Person, join, problem

if TYPE_CHECKING:
    from flask import Flask

USERS = "/api/v1/users"
ADA = {"name": "Ada", "email": "ada@example.com", "password": PASSWORD}


def test_create_user_answers_201_with_a_token_that_is_good(blog: Flask) -> None:
    client = blog.test_client()
    created = client.post(f"{USERS}/", json=ADA)
    assert created.status_code == 201
    body = created.get_json()
    assert body["token"] == body["access_token"]
    assert body["user"]["email"] == "ada@example.com"
    assert created.headers["Cache-Control"] == "no-store"
    me = client.get(f"{USERS}/me", headers={"api-token": body["token"]})
    assert me.get_json()["id"] == body["user_id"]


def test_the_subject_of_a_token_is_text(ada: Person) -> None:
    payload = ada.tokens["token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["sub"] == str(ada.id)


def test_an_address_in_use_is_refused_in_any_spelling(blog: Flask, ada: Person) -> None:
    for email in ("ada@example.com", "ADA@Example.COM", "\uff41da@example.com"):
        answer = blog.test_client().post(f"{USERS}/", json=ADA | {"email": email})
        assert problem(answer, 409, "taken")["errors"].keys() == {"email"}


def test_what_is_missing_is_named(blog: Flask) -> None:
    client = blog.test_client()
    for left_out in ({"password"}, {"email"}, {"email", "password"}):
        body = {key: value for key, value in ADA.items() if key not in left_out}
        answer = client.post(f"{USERS}/", json=body)
        assert problem(answer, 422, "invalid-fields")["errors"].keys() == left_out


def test_an_empty_body_is_no_crash(blog: Flask) -> None:
    client = blog.test_client()
    problem(client.post(f"{USERS}/"), 415, "unsupported-media-type")
    problem(client.post(f"{USERS}/", content_type="application/json"), 400, "malformed-request")


def test_nobody_chooses_what_is_not_theirs_to_choose(blog: Flask, ada: Person) -> None:
    for field in ("is_admin", "active", "id", "password_hash", "posts", "blogposts", "created_at"):
        made = blog.test_client().post(f"{USERS}/", json=ADA | {"email": "eve@example.com", field: 1})
        changed = ada.call("PUT", f"{USERS}/me", {field: 1})
        assert problem(made, 422, "invalid-fields")["errors"].keys() == {field}
        assert problem(changed, 422, "invalid-fields")["errors"].keys() == {field}


def test_login(blog: Flask, ada: Person) -> None:
    client = blog.test_client()
    answer = client.post(f"{USERS}/login", json={"email": "Ada@example.com", "password": PASSWORD})
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.get_json()["user_id"] == ada.id


def test_a_wrong_password_and_a_wrong_address_are_the_same(blog: Flask, ada: Person) -> None:
    client = blog.test_client()
    wrong = client.post(f"{USERS}/login", json={"email": ada.email, "password": "wrong"})
    nobody = client.post(f"{USERS}/login", json={"email": "nobody@example.com", "password": "wrong"})
    problem(wrong, 401, "invalid-credentials")
    assert (wrong.status_code, wrong.data, wrong.headers) == (nobody.status_code, nobody.data, nobody.headers)


def test_login_with_a_field_missing(blog: Flask) -> None:
    answer = blog.test_client().post(f"{USERS}/login", json={"email": "ada@example.com"})
    assert problem(answer, 422, "invalid-fields")["errors"].keys() == {"password"}


def test_me(ada: Person) -> None:
    answer = ada.call("GET", f"{USERS}/me")
    assert answer.status_code == 200
    me = answer.get_json()
    assert (me["id"], me["email"], me["name"], me["is_admin"]) == (ada.id, ada.email, "Ada", False)
    assert not {"password", "password_hash"} & me.keys()


def test_put_changes_what_is_given_and_keeps_the_rest(ada: Person) -> None:
    changed = ada.call("PUT", f"{USERS}/me", {"name": "Ada L."})
    assert changed.status_code == 200
    assert (changed.get_json()["name"], changed.get_json()["email"]) == ("Ada L.", ada.email)
    assert ada.call("PATCH", f"{USERS}/me", {"name": "Ada"}).get_json()["name"] == "Ada"


def test_put_cannot_take_somebody_elses_address(ada: Person, grace: Person) -> None:
    problem(ada.call("PUT", f"{USERS}/me", {"email": grace.email.upper()}), 409, "taken")
    assert ada.call("GET", f"{USERS}/me").get_json()["email"] == ada.email


def test_put_is_no_way_to_a_plain_password(ada: Person) -> None:
    problem(ada.call("PUT", f"{USERS}/me", {"password": "amber-lantern-meadow-48"}), 422, "invalid-fields")


def test_people_see_names_and_staff_sees_everything_but_hashes(
    ada: Person, grace: Person, staff: Person
) -> None:
    page = ada.call("GET", f"{USERS}/?page_size=2").get_json()
    assert (page["count"], page["previous"]) == (3, None)
    assert page["next"] == f"{USERS}/?page=2&page_size=2"
    assert page["results"] == [
        {"id": ada.id, "username": None, "name": "Ada"},
        {"id": grace.id, "username": None, "name": "Grace"},
    ]
    rest = ada.call("GET", page["next"]).get_json()
    assert (rest["next"], len(rest["results"])) == (None, 1)
    whole = staff.call("GET", f"{USERS}/{ada.id}")
    assert whole.get_json()["email"] == ada.email
    assert "fla1:" not in whole.text + staff.call("GET", f"{USERS}/").text


def test_one_user(ada: Person, grace: Person) -> None:
    answer = ada.call("GET", f"{USERS}/{grace.id}")
    assert answer.get_json() == {"id": grace.id, "username": None, "name": "Grace"}
    for nobody in ("2147483647", "99999999999999999999", "0", "01", "\uff11", "ada", "%00"):
        problem(ada.call("GET", f"{USERS}/{nobody}"), 404, "not-found")


@pytest.mark.parametrize("path", [f"{USERS}/", f"{USERS}/1", f"{USERS}/me"])
def test_no_token_a_bad_one_and_that_of_somebody_gone_are_told_apart(ada: Person, path: str) -> None:
    client = ada.client
    problem(client.get(path), 401, "token-missing")
    problem(client.get(path, headers={"api-token": "not.a.token"}), 401, "token-invalid")
    assert ada.call("DELETE", f"{USERS}/me").status_code == 204
    problem(ada.call("GET", path), 401, "token-revoked")


def test_whoever_leaves_takes_their_posts_along(blog: Flask, ada: Person, grace: Person) -> None:
    mine, hers = ada.write(), grace.write()
    answer = ada.call("DELETE", f"{USERS}/me")
    assert (answer.status_code, answer.data) == (204, b"")
    client = blog.test_client()
    problem(client.get(f"/api/v1/blogpost/{mine['id']}"), 404, "not-found")
    assert client.get("/api/v1/blogpost/").get_json()["results"] == [hers]
    problem(ada.call("POST", "/api/v1/blogpost/", {"title": "x", "content": "y"}), 401, "token-revoked")
    login = client.post(f"{USERS}/login", json={"email": ada.email, "password": PASSWORD})
    problem(login, 401, "invalid-credentials")
    assert join(blog, "Ada").id not in {ada.id, grace.id}  # a key is never given to somebody else


def test_paths_with_and_without_the_slash_are_the_same(blog: Flask) -> None:
    for path in ("", "/", "/login", "/login/"):
        problem(blog.test_client().post(USERS + path, json={}), 422, "invalid-fields")
