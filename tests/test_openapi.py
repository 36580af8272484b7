"""The API document: valid, made from the schemas, routes and guards there are, and true; and the page that shows it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Blueprint, Flask
from flask.views import MethodView
from flask_sqlalchemy import SQLAlchemy
from jsonschema import Draft202012Validator
from marshmallow import Schema, fields
from openapi_spec_validator import validate
from sqlalchemy import String, Uuid
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from flask_linked_auth import Auth, LinkedAuth, UserMixin, describe, errors, public, scope
from flask_linked_auth.openapi import Answer, Body, Page, routes as served
from tests.tiny import PASSWORD, make_admin, make_app, refused, register


@pytest.fixture
def app() -> Flask:
    return make_app()


def read(app: Flask, **options: Any) -> dict[str, Any]:
    """The document of an app, which is a valid one."""
    answer = app.test_client().get("/auth/openapi.json", **options)
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    document = answer.get_json()
    validate(document)
    assert isinstance(document, dict)
    return document


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def resolved(document: dict[str, Any], node: Any) -> Any:
    """`node` with what its references point to in their place."""
    if isinstance(node, dict) and "$ref" in node:
        target: Any = document
        for name in node["$ref"].removeprefix("#/").split("/"):
            target = target[name]
        return resolved(document, target)
    if isinstance(node, dict):
        return {name: resolved(document, each) for name, each in node.items()}
    return [resolved(document, each) for each in node] if isinstance(node, list) else node


def operation(app: Flask, method: str, path: str) -> dict[str, Any]:
    document = read(app)
    found = resolved(document, document["paths"][path][method.lower()])
    assert isinstance(found, dict)
    return found


def slugs(told: dict[str, Any], status: int) -> set[str]:
    content = told["responses"][str(status)]["content"]["application/problem+json"]
    return set(content["schema"]["allOf"][1]["properties"]["slug"]["enum"])


def ways(told: dict[str, Any]) -> list[set[str]]:
    return [set(each) for each in told.get("security", [])]


# What is in it.


OURS = (
    "linked_auth_accounts.",
    "linked_auth_agreed_apps.",
    "linked_auth_agreements.",
    "linked_auth_links.",
    "linked_auth_my_links.",
)


def test_every_json_endpoint_of_ours_is_in_the_document_with_words(app: Flask) -> None:
    document = read(app)
    told = {(method, path) for method, path, _ in operations(document)}
    ours = {
        (method, rule.rule.replace("<", "{").replace(">", "}"))
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith(OURS) and "linked_auth_rest" not in rule.arguments
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    # How two services set up a link is between the two of them.
    setting_up = {("POST", f"/v1/auth/app/{each}") for each in ("pair", "pair/confirm", "keys")}
    assert told == ours - {("GET", "/auth"), ("GET", "/auth/errors")} - setting_up
    assert len(told) > 15
    for method, path, each in operations(document):
        assert each["summary"], (method, path)
        assert len(each["summary"]) < 80
        assert not set(each["summary"]) & set("`\n")
        assert each["tags"]
    ids = [each["operationId"] for *_, each in operations(document)]
    assert len(set(ids)) == len(ids)
    assert {"register", "login", "change_me", "show_user"} <= set(ids)


def test_every_example_fits_its_schema(app: Flask) -> None:
    document, checked = read(app), 0
    everything = resolved(document, document)
    for method, path, each in operations(everything):
        for content in [each.get("requestBody", {}), *each["responses"].values()]:
            for media in content.get("content", {}).values():
                examples = [one["value"] for one in media.get("examples", {}).values()]
                for example in [media["example"]] if "example" in media else examples:
                    Draft202012Validator(media["schema"]).validate(example)
                    checked += 1
        for parameter in each.get("parameters", []):
            assert (method, path, parameter["schema"].get("type")) != (method, path, None)
    assert checked > 100


def test_the_examples_can_be_sent_as_they_stand(app: Flask) -> None:
    client, document = app.test_client(), read(app)

    def example(path: str, method: str = "post") -> Any:
        return document["paths"][path][method]["requestBody"]["content"]["application/json"]["example"]

    registered = client.post("/auth/register", json=example("/auth/register"))
    assert registered.status_code == 201, registered.text
    assert client.post("/auth/login", json=example("/auth/login")).status_code == 200
    token = {"Authorization": f"Bearer {registered.get_json()['token']}"}
    for method in ("put", "patch"):
        done = client.open("/auth/me", method=method, json=example("/auth/me", method), headers=token)
        assert done.status_code == 200, done.text
    assert example("/auth/me", "patch") == {"name": "Ada Lovelace"}  # of a change, one field is enough
    changed = client.post("/auth/me/password", json=example("/auth/me/password"), headers=token)
    assert changed.status_code == 200
    token = {"Authorization": f"Bearer {changed.get_json()['token']}"}
    assert client.post("/auth/logout", json=example("/auth/logout"), headers=token).status_code == 204


@pytest.mark.parametrize("path", ["/auth/me", "/auth/me/logins", "/auth/users", "/auth/users/1"])
def test_answers_have_the_members_that_are_told_and_no_others(app: Flask, path: str) -> None:
    ana = make_admin(register(app))
    told = operation(app, "GET", path.replace("/1", "/{user_id}"))
    schema = told["responses"]["200"]["content"]["application/json"]["schema"]
    answer = ana.get(path).get_json()
    Draft202012Validator(schema).validate(answer)
    if "results" in answer:
        schema, answer = schema["properties"]["results"]["items"], answer["results"][0]
    parts = schema.get("allOf") or schema.get("anyOf") or [schema]
    assert {name for part in parts for name in part["properties"]} == set(answer)


def test_tokens_have_the_members_that_are_told(app: Flask) -> None:
    told = operation(app, "POST", "/auth/register")
    schema = told["responses"]["201"]["content"]["application/json"]["schema"]
    given = register(app).given
    Draft202012Validator(schema).validate(given)
    assert {name for part in schema["allOf"] for name in part["properties"]} == set(given)
    validity = operation(app, "POST", "/auth/validate-token")["responses"]["200"]
    assert "valid" in json.dumps(validity)


def test_bodies_say_what_the_code_takes() -> None:
    told = operation(make_app(password_min_length=20), "POST", "/auth/register")
    schema = told["requestBody"]["content"]["application/json"]["schema"]
    assert schema["required"] == ["email", "password"]
    assert schema["additionalProperties"] is False
    assert (schema["properties"]["password"]["minLength"], schema["properties"]["password"]["maxLength"]) == (
        20,
        1024,
    )
    assert schema["properties"]["email"]["maxLength"] == 254
    assert schema["properties"]["username"]["type"] == ["string", "null"]
    change = operation(make_app(), "PATCH", "/auth/me")["requestBody"]["content"]["application/json"]
    assert "required" not in change["schema"]


def test_login_wants_exactly_one_name(app: Flask) -> None:
    told = operation(app, "POST", "/auth/login")
    check = Draft202012Validator(told["requestBody"]["content"]["application/json"]["schema"])
    assert check.is_valid({"email": "ana@example.com", "password": PASSWORD})
    assert check.is_valid({"username": "ana", "password": PASSWORD})
    assert not check.is_valid({"email": "ana@example.com", "username": "ana", "password": PASSWORD})
    assert not check.is_valid({"password": PASSWORD})


def test_pages_have_bounds(app: Flask) -> None:
    told = operation(app, "GET", "/auth/users")
    bounds = {each["name"]: each["schema"] for each in told["parameters"]}
    assert bounds["page"]["minimum"] == bounds["page"]["default"] == 1
    assert (bounds["page_size"]["default"], bounds["page_size"]["maximum"]) == (20, 100)
    ana = register(app)
    assert ana.get("/auth/users?page_size=100").status_code == 200
    refused(ana.get("/auth/users?page_size=101"), 400, "malformed-request")
    assert slugs(told, 400) == {"malformed-request", "rival-credentials"}


# The host's own user model.


def with_key(kind: Any) -> Flask:
    class Base(DeclarativeBase):
        pass

    db = SQLAlchemy(model_class=Base)

    class Person(UserMixin, db.Model):  # type: ignore[name-defined,misc]
        __tablename__ = "person"
        id: Mapped[Any] = mapped_column(kind, primary_key=True, default=uuid.uuid4)  # type: ignore[assignment]

    return make_app(LinkedAuth(db=db, user_model=Person))


def test_keys_are_of_the_type_of_the_hosts_user_model() -> None:
    def key(app: Flask) -> Any:
        told = operation(app, "GET", "/auth/users/{user_id}")
        (parameter,) = told["parameters"]
        login = operation(app, "POST", "/auth/login")["responses"]["200"]["content"]["application/json"]
        assert login["schema"]["allOf"][1]["properties"]["user_id"] == parameter["schema"]
        return parameter["schema"]["type"], parameter["schema"].get("format")

    assert key(make_app()) == ("integer", None)
    assert key(with_key(Uuid)) == ("string", "uuid")
    assert key(with_key(String(40))) == ("string", None)


def test_what_the_user_model_lacks_is_not_told() -> None:
    class Base(DeclarativeBase):
        pass

    db = SQLAlchemy(model_class=Base)

    class Person(db.Model):  # type: ignore[name-defined,misc]
        __tablename__ = "person"
        id: Mapped[int] = mapped_column(primary_key=True)
        email: Mapped[str] = mapped_column(unique=True)
        password_hash: Mapped[str]

    app = make_app(LinkedAuth(db=db, user_model=Person))
    person = resolved(document := read(app), document["components"]["schemas"]["Person"])
    assert list(person["properties"]) == ["id", "email"]
    login = operation(app, "POST", "/auth/login")["requestBody"]["content"]["application/json"]
    assert Draft202012Validator(login["schema"]).is_valid(login["example"])
    assert "username" not in json.dumps(login)


# Credentials and errors.


def test_each_error_comes_with_its_slugs_and_headers(app: Flask) -> None:
    told = operation(app, "PATCH", "/auth/users/{user_id}")
    of_people = {"token-missing", "token-invalid", "token-expired", "token-revoked", "user-unknown"}
    assert slugs(told, 401) >= of_people | {"app-not-found", "wrong-app-token", "expired", "replayed"}
    assert slugs(told, 403) >= {"forbidden-scope", "agreement-not-accepted"}
    schemes = {"unknown-auth-schema", "authorization-header-forbidden-schema"}
    assert slugs(operation(app, "GET", "/auth/me"), 401) == of_people | schemes
    assert slugs(told, 404) == {"not-found"}
    assert slugs(told, 415) == {"unsupported-media-type"}
    assert "WWW-Authenticate" in told["responses"]["401"]["headers"]
    assert "Retry-After" in told["responses"]["503"]["headers"]
    login = operation(app, "POST", "/auth/login")
    assert slugs(login, 401) == {"invalid-credentials"}
    assert "Retry-After" in login["responses"]["429"]["headers"]
    assert "content" not in operation(app, "POST", "/auth/logout-all")["responses"]["204"]


def test_the_example_of_an_error_is_the_answer(app: Flask) -> None:
    told = operation(app, "GET", "/auth/me")["responses"]["401"]["content"]["application/problem+json"]
    answer = app.test_client().get("/auth/me").get_json()
    assert {**told["examples"]["token-missing"]["value"], "detail": answer["detail"]} == answer


def test_the_ways_to_prove_who_one_is(app: Flask) -> None:
    schemes = read(app)["components"]["securitySchemes"]
    assert schemes["bearer"] | {"description": ""} == {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "",
    }
    assert (schemes["apiToken"]["in"], schemes["apiToken"]["name"]) == ("header", "api-token")
    cookie = {"bearer"}, {"apiToken"}, {"cookie"}
    assert ways(operation(app, "GET", "/auth/me")) == [*cookie]
    assert ways(operation(app, "PATCH", "/auth/me")) == [*cookie[:2], {"cookie", "csrfToken"}]
    assert slugs(operation(app, "PATCH", "/auth/me"), 403) == {"csrf-failed"}
    assert ways(operation(app, "POST", "/auth/login")) == []
    assert ways(operation(app, "POST", "/auth/validate-token")) == [*cookie[:2]]
    assert set() in ways(operation(app, "POST", "/auth/logout"))  # the refresh token in the body will do


def test_without_pages_there_is_no_cookie_to_tell_of() -> None:
    app = make_app(pages=False)
    assert set(read(app)["components"]["securitySchemes"]) == {"bearer", "apiToken", "link", "signature"}
    told = operation(app, "PATCH", "/auth/me")
    assert ways(told) == [{"bearer"}, {"apiToken"}]
    assert "403" not in told["responses"]


# The host's own views.


class NoteSchema(Schema):
    """A note."""

    id = fields.Integer(dump_only=True)
    text = fields.String(required=True, metadata={"examples": ["Milk"]})
    secret = fields.String(load_only=True)


def test_a_hosts_views_are_added_by_describe_and_their_guards_tell_of_themselves(app: Flask) -> None:
    @app.post("/notes")
    @describe(body=NoteSchema, answers={201: Answer(NoteSchema, headers={"Location": "Where it is."})})
    @scope(["write:notes"])
    def add_note() -> str:
        """Write a note.

        It is kept for good.
        """
        return ""

    @app.get("/notes/<int:note_id>")
    @Auth.auth_required(optional=True)
    @describe(answers={200: NoteSchema}, errors=[errors.NotFound])
    def show_note(note_id: int) -> str:
        return ""

    @app.get("/notes")
    @describe(answers={200: Page(NoteSchema)}, parameters={"q": {"type": "string", "maxLength": 50}})
    @public
    def list_notes() -> str:
        """List them."""
        return ""

    @app.delete("/notes/<int:note_id>")
    @describe(answers={204: None})
    @Auth.auth_required(fresh=timedelta(minutes=5))
    def drop_note(note_id: int) -> str:
        """Drop it."""
        return ""

    add = operation(app, "POST", "/notes")
    assert (add["summary"], add["tags"]) == ("Write a note", ["App"])
    assert add["description"].startswith("It is kept for good.")
    assert add["security"][0] == {"bearer": ["write:notes"]}
    assert slugs(add, 403) == {"forbidden-scope", "csrf-failed", "agreement-not-accepted"}
    assert add["responses"]["201"]["headers"]["Location"]["required"]
    body = add["requestBody"]["content"]["application/json"]["schema"]
    assert set(body["properties"]) == {"text", "secret"}
    assert set(add["responses"]) == {"201", "400", "401", "403", "413", "415", "422", "503"}
    show = operation(app, "GET", "/notes/{note_id}")
    assert show["parameters"][0]["schema"] == {"type": "integer", "minimum": 0}
    assert ways(show)[0] == set()
    assert "token-missing" not in slugs(show, 401)
    answer = show["responses"]["200"]["content"]["application/json"]["schema"]
    assert (set(answer["properties"]), answer["required"]) == ({"id", "text"}, ["id", "text"])
    listed = operation(app, "GET", "/notes")
    assert [each["name"] for each in listed["parameters"]] == ["q", "page", "page_size"]
    assert set(listed["responses"]) == {"200", "400"}
    assert "login-too-old" in slugs(operation(app, "DELETE", "/notes/{note_id}"), 401)


def test_protect_and_method_views_count_and_what_is_not_described_stays_out(app: Flask) -> None:
    inside = Blueprint("inside", __name__, url_prefix="/inside")

    class Shelf(MethodView):
        @describe(answers={200: {"type": "object", "properties": {"n": {"type": "integer"}}}})
        def get(self) -> dict[str, int]:
            """Look at the shelf."""
            return {"n": 1}

        @describe(body=Body({"type": "object"}, optional=True), answers={204: None}, tags="Carpentry")
        def put(self) -> str:
            """Mend the shelf."""
            return ""

        def delete(self) -> str:
            return ""

    inside.add_url_rule("/shelf", view_func=Shelf.as_view("shelf"))
    inside.add_url_rule("/quiet", "quiet", lambda: "")
    Auth.protect(inside)
    app.register_blueprint(inside)
    document = read(app)
    assert set(document["paths"]["/inside/shelf"]) == {"get", "put"}
    assert "/inside/quiet" not in document["paths"]
    look, mend = (document["paths"]["/inside/shelf"][method] for method in ("get", "put"))
    assert (look["operationId"], mend["operationId"]) == ("shelf_get", "shelf_put")
    assert (look["tags"], mend["tags"]) == (["Inside"], ["Carpentry"])
    assert (look["summary"], mend["requestBody"]["required"]) == ("Look at the shelf", False)
    assert ways(look) == [{"bearer"}, {"apiToken"}, {"cookie"}]


def test_a_view_on_two_paths_is_two_operations(app: Flask) -> None:
    from flask_linked_auth.accounts.routes import me

    api = Blueprint("api", __name__, url_prefix="/api")
    api.add_url_rule("/me", "me", me)
    api.add_url_rule("/myself", "myself", me)
    app.register_blueprint(api)
    document = read(app)
    ids = [document["paths"][path]["get"]["operationId"] for path in ("/auth/me", "/api/me", "/api/myself")]
    assert ids == ["me", "api_me", "api_me_2"]


def test_converters_become_schemas(app: Flask) -> None:
    rule = "/x/<uuid:a>/<string(length=3):b>/<any(red, blue):c>/<int(min=2, max=9):d>/<path:e>"

    @app.get(rule)
    @describe()
    def x(**parts: Any) -> str:
        """X."""
        return ""

    told = operation(app, "GET", "/x/{a}/{b}/{c}/{d}/{e}")
    assert {each["name"]: each["schema"] for each in told["parameters"]} == {
        "a": {"type": "string", "format": "uuid"},
        "b": {"type": "string", "minLength": 3, "maxLength": 3},
        "c": {"type": "string", "enum": ["red", "blue"]},
        "d": {"type": "integer", "minimum": 2, "maximum": 9},
        "e": {"type": "string", "minLength": 1},
    }


def test_schemas_may_hold_schemas_and_share_a_name(app: Flask) -> None:
    def other() -> type[Schema]:
        class NoteSchema(Schema):
            inner = fields.Nested(Inner, required=True)
            colour = fields.String(allow_none=True, metadata={"enum": ["red", None]})

        return NoteSchema

    class Inner(Schema):
        at = fields.DateTime()

    @app.get("/both")
    @describe(answers={200: {"type": "object", "properties": {"a": NoteSchema, "b": other()}}})
    def both() -> str:
        """Give both."""
        return ""

    @app.get("/list")
    @describe(answers={200: NoteSchema(many=True)})
    def notes() -> str:
        """List."""
        return ""

    document = read(app)
    assert {"Note", "Note2", "Inner"} <= set(document["components"]["schemas"])
    told = operation(app, "GET", "/both")["responses"]["200"]["content"]["application/json"]
    assert set(told["example"]) == {"a", "b"}
    assert set(told["example"]["b"]["inner"]) == {"at"}
    told = operation(app, "GET", "/list")["responses"]["200"]["content"]["application/json"]
    assert told["schema"]["type"] == "array"
    assert told["example"] == [{"id": 1, "text": "Milk"}]


def test_describe_refuses_what_is_no_error_of_ours() -> None:
    with pytest.raises(TypeError, match="ValueError"):
        describe(errors=[ValueError])  # type: ignore[list-item]


def test_a_hook_may_change_the_document_or_give_another() -> None:
    auth = LinkedAuth()

    @auth.api_document
    def mend(document: dict[str, Any]) -> None:
        document["info"]["title"] = "Mended"
        document["servers"] = [{"url": "https://api.example.com"}]

    document = read(make_app(auth), environ_overrides={"SCRIPT_NAME": "/sub"})
    assert document["info"]["title"] == "Mended"
    assert document["servers"] == [{"url": "https://api.example.com"}]

    @auth.api_document
    def replace(document: dict[str, Any]) -> dict[str, Any]:
        return {**document, "paths": {}}

    assert read(make_app(auth))["paths"] == {}


# How it is served.


def test_it_is_made_once_and_kept_by_clients(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    client = app.test_client()
    first = client.get("/auth/openapi.json")
    monkeypatch.delattr("flask_linked_auth.openapi.document.build")
    assert client.get("/auth/openapi.json").data == first.data
    assert first.headers["Cache-Control"] == "no-cache"
    again = client.get("/auth/openapi.json", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    elsewhere = client.get(
        "/auth/openapi.json",
        headers={"If-None-Match": first.headers["ETag"]},
        environ_overrides={"SCRIPT_NAME": "/sub"},
    )
    assert elsewhere.status_code == 200


def test_it_is_right_under_another_prefix_and_a_script_root() -> None:
    app = make_app(prefix="/api/v1/auth")
    client = app.test_client()
    document = client.get("/api/v1/auth/openapi.json", environ_overrides={"SCRIPT_NAME": "/blog"}).get_json()
    assert document["servers"] == [{"url": "/blog"}]
    assert "/api/v1/auth/login" in document["paths"]
    assert client.get("/api/v1/auth/openapi.json").get_json()["servers"] == [{"url": "/"}]
    page = client.get("/api/v1/auth/docs", environ_overrides={"SCRIPT_NAME": "/blog"}).text
    assert 'data-document="/blog/api/v1/auth/openapi.json"' in page
    assert 'src="/blog/api/v1/auth/docs/docs.js' in page


@pytest.mark.parametrize("root", ['/"x', "/<script>", "/\u00e9"])
def test_a_strange_script_root_stays_a_text(app: Flask, root: str) -> None:
    answer = app.test_client().get(
        "/auth/openapi.json", environ_overrides={"SCRIPT_NAME": root.encode().decode("latin-1")}
    )
    assert answer.get_json()["servers"] == [{"url": root}]


def test_it_can_be_turned_off() -> None:
    client = make_app(docs=False).test_client()
    for path in ("/auth/openapi.json", "/auth/docs", "/auth/docs/docs.js"):
        refused(client.get(path), 404, "not-found")


def test_other_methods_are_our_405(app: Flask) -> None:
    for path in ("/auth/openapi.json", "/auth/docs"):
        refused(app.test_client().post(path), 405, "method-not-allowed")


def policy(answer: Any) -> dict[str, list[str]]:
    parts = (each.split() for each in answer.headers["Content-Security-Policy"].split(";"))
    return {name: values for name, *values in parts}


def test_the_page_has_no_script_or_style_in_it_and_needs_no_other_site(app: Flask) -> None:
    client = app.test_client()
    answer = client.get("/auth/docs")
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    assert "<style" not in answer.text
    assert " style=" not in answer.text
    assert answer.text.count("<script") == answer.text.count("></script>") == 2
    assert "http" not in answer.text.replace("http-equiv", "")
    told = policy(answer)
    assert (told["default-src"], told["script-src"], told["frame-ancestors"]) == (
        ["'none'"],
        ["'self'"],
        ["'none'"],
    )
    assert answer.headers["X-Frame-Options"] == "DENY"
    for name in ("swagger-ui.css", "swagger-ui-bundle.js", "docs.js", "docs.css"):
        file = client.get(f"/auth/docs/{name}")
        assert (file.status_code, file.headers["X-Content-Type-Options"]) == (200, "nosniff")
        assert file.mimetype in {"text/css", "text/javascript", "application/javascript"}
        assert "ETag" in file.headers
        file.close()


@pytest.mark.parametrize(
    "name", ["swagger-ui.js", "linked_auth.css", "..", "%2e%2e/config.py", "docs.js%00", "x"]
)
def test_no_other_file_is_served(app: Flask, name: str) -> None:
    refused(app.test_client().get(f"/auth/docs/{name}"), 404, "not-found")


def test_without_the_package_there_is_a_plain_list_that_says_how_to_get_more(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served, "find_spec", lambda name: None)
    answer = app.test_client().get("/auth/docs")
    assert answer.status_code == 200
    assert "<script" not in answer.text
    assert "flask-linked-auth[docs-ui]" in answer.text
    for _, path, each in operations(read(app)):
        assert path in answer.text
        assert each["operationId"]
    assert "script-src" not in policy(answer)
    refused(app.test_client().get("/auth/docs/swagger-ui-bundle.js"), 404, "not-found")


def test_a_host_with_a_policy_of_its_own_keeps_it(app: Flask) -> None:
    @app.after_request
    def strict(response: Any) -> Any:
        response.headers["Content-Security-Policy"] = "default-src 'self'"
        return response

    answer = app.test_client().get("/auth/docs")
    assert answer.headers.getlist("Content-Security-Policy") == ["default-src 'self'"]
