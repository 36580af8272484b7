"""What the package says is said in the reader's language; slugs, headers and logs stay as they are."""

from __future__ import annotations

import ast
import copy
import logging
import pickle
import re
import struct
from collections.abc import Iterator
from gettext import GNUTranslations
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog as BabelCatalog
from babel.messages.mofile import write_mo
from flask import Flask
from marshmallow import Schema, ValidationError, fields, validate

from flask_linked_auth import LinkedAuth, errors, texts
from flask_linked_auth.catalogs import MAX_HEADER, Catalogs, Text, _, catalogs_in
from flask_linked_auth.complaints import FILLED, PLAIN, recognised
from tests import messages
from tests.tiny import PASSWORD, bearer, logged, make_app, refused, register

SPANISH = {"Accept-Language": "es-MX,es;q=0.9,en;q=0.8"}


# A client that speaks Spanish


def test_an_error_is_answered_in_spanish_and_programs_notice_nothing() -> None:
    client = make_app().test_client()
    body = {"email": "nobody", "password": "short", "is_admin": True}
    spanish = client.post("/auth/register", json=body, headers=SPANISH)
    english = client.post("/auth/register", json=body)
    said, meant = refused(spanish, 422, "invalid-fields"), refused(english, 422, "invalid-fields")
    assert said["title"] == "Campos no válidos"
    assert said["detail"] == "Algunos campos no son válidos."
    assert said["errors"]["email"] == ["No es una dirección de correo electrónico válida."]
    assert said["errors"]["is_admin"] == ["Campo desconocido."]
    assert meant["detail"] == "Some fields are not valid."
    assert {name: said[name] for name in ("type", "slug", "status")} == {
        name: meant[name] for name in ("type", "slug", "status")
    }
    assert spanish.headers["Content-Language"] == "es"
    assert english.headers["Content-Language"] == "en"
    for answer in (spanish, english):
        assert "Accept-Language" in answer.headers["Vary"]


def test_numbers_are_filled_in() -> None:
    app = make_app()
    client = app.test_client()
    short = client.post("/auth/register", json={"email": "a@example.com", "password": "q"}, headers=SPANISH)
    assert "Usa al menos 15 caracteres." in short.get_json()["errors"]["password"]
    large = client.post("/auth/login", data=b"{" * 70_000, content_type="application/json", headers=SPANISH)
    assert large.get_json()["detail"] == "El cuerpo puede tener como máximo 65536 bytes."
    ana = register(app)
    page = ana.get("/auth/users?page=0", headers=SPANISH).get_json()
    assert page["errors"] == {"page": ["Debe indicarse una sola vez, como número entero de 1 a 10000000."]}
    assert page["detail"] == "Petición mal formada."


def test_a_guard_refuses_in_spanish_and_its_challenge_stays_ascii() -> None:
    client = make_app().test_client()
    answer = client.get("/auth/me", headers={**bearer("a.b"), **SPANISH})
    assert (
        refused(answer, 401, "token-invalid")["detail"] == "El token no consta de tres partes en base64url."
    )
    assert (
        'error_description="The token is not three parts of base64url."' in answer.headers["WWW-Authenticate"]
    )


def test_what_is_raised_and_logged_stays_english(caplog: pytest.LogCaptureFixture) -> None:
    app = make_app()
    caught = []

    @app.errorhandler(errors.MissingToken)
    def note(error: errors.MissingToken) -> Any:
        caught.append(str(error))
        return "", 401

    @app.get("/bug")
    def bug() -> str:
        logging.getLogger("flask_linked_auth").error("%s", errors.StaleLogin(60))
        return ""

    client = app.test_client()
    client.get("/auth/me", headers=SPANISH)
    client.get("/bug", headers=SPANISH)
    assert caught[0].startswith("This needs a token")
    assert "This needs a login of at most 60 seconds ago." in logged(caplog.records)


def test_each_request_is_answered_in_its_own_language_even_in_one_app_context() -> None:
    app = make_app()
    with app.app_context():
        client = app.test_client()
        for header, language in (("es", "es"), ("en", "en"), ("es-AR", "es"), ("fr", "en")):
            answer = client.get("/auth/me", headers={"Accept-Language": header})
            assert answer.headers["Content-Language"] == language


def test_an_http_error_without_a_class_is_translated_too() -> None:
    from flask import abort

    from flask_linked_auth import json_errors

    app = make_app()
    json_errors(app)
    app.add_url_rule("/tea", "tea", lambda: abort(418))
    body = refused(app.test_client().get("/tea", headers=SPANISH), 418, "http-error")
    assert (body["title"], body["detail"]) == ("Soy una tetera", "Soy una tetera.")


def test_what_a_host_says_itself_is_left_alone() -> None:
    app = make_app()

    @app.get("/tea")
    def tea() -> str:
        raise errors.NotFound("100% of the %(tea)s is gone.", errors={"pot": ["Is %s."]})

    body = refused(app.test_client().get("/tea", headers=SPANISH), 404, "not-found")
    assert (body["title"], body["detail"]) == ("No encontrado", "100% of the %(tea)s is gone.")
    assert body["errors"] == {"pot": ["Is %s."]}


# A person who reads Spanish


def test_pages_and_mails_are_in_the_language_of_whoever_caused_them() -> None:
    mails: list[Any] = []
    app = make_app(LinkedAuth(mailer=mails.append))
    browser = app.test_client()
    page = browser.get("/account/register", headers=SPANISH)
    assert '<html lang="es">' in page.text
    assert page.headers["Content-Language"] == "es"
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert token
    sent = {"csrf_token": token[1], "email": "nobody", "password": "short", "password_again": "short"}
    origin = {"Origin": "http://localhost"}
    again = browser.post("/account/register", data=sent, headers={**SPANISH, **origin})
    assert again.status_code == 422
    assert "No es una dirección de correo electrónico válida." in again.text
    sent |= {"email": "ana@example.com", "password": PASSWORD, "password_again": PASSWORD}
    welcome = browser.post(
        "/account/register", data=sent, headers={**SPANISH, **origin}, follow_redirects=True
    )
    assert "¡Hola! Tu cuenta ya está creada." in welcome.text
    app.test_client().post("/auth/password/forgot", json={"email": "ana@example.com"})  # an English friend
    assert [mail.language for mail in mails] == ["es", "en"]
    assert mails[0].subject == "Confirma tu correo electrónico para tiny"
    assert "durante 24 horas" in mails[0].text
    assert '<html lang="es">' in mails[0].html
    assert "within 1 hour" in mails[1].text


# Which language


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("es", "es"),
        ("ES", "es"),
        ("es-MX", "es"),
        ("es_MX", "en"),
        ("es-419,es;q=0.9", "es"),
        ("en,es;q=0.9", "en"),
        ("en-GB;q=0.5, es;q=0.6", "es"),
        ("es;q=0.6,en;q=0.6", "es"),
        ("fr-FR, fr;q=0.9, es;q=0.1", "es"),
        ("fr", "en"),
        ("*", "en"),
        ("*;q=0.5, es;q=0.1", "en"),
        ("*;q=0.1, es;q=0.5", "es"),
        ("en;q=0, es;q=0.001", "es"),
        ("es;q=0", "en"),
        ("es;q=0.0", "en"),
        ("es ; q=0.8", "es"),
        ("es;Q=0.8", "es"),
        ("", "en"),
        # what nobody should send
        ("es;q=2", "en"),
        ("es;q=abc", "en"),
        ("es;q=-1", "en"),
        ("es;q=0.12345", "en"),
        ("es;q=1e9", "en"),
        ("es;level=1", "en"),
        (",,,;q=1,=,es", "es"),
        ("../../es", "en"),
        ("e\u0301s", "en"),
        ("es\x00", "en"),
        ("español", "en"),
        ("-", "en"),
        ("-es", "en"),
        ("es-", "en"),
        (";" * 400, "en"),
        ("x" * MAX_HEADER + ",es", "en"),
        ("fr," * 19 + "es", "es"),
        ("fr," * 20 + "es", "en"),
        ("es," + "fr;q=0.1," * 100_000, "es"),
    ],
)
def test_the_best_language_of_a_header(header: str, language: str) -> None:
    assert catalogs_in().negotiate(header).language == language


def test_outside_a_request_it_is_english_or_what_is_given() -> None:
    app = make_app()
    for context in (app.app_context(), None):
        with context or pytest.MonkeyPatch.context():
            assert texts.language() == "en"
            assert texts.gettext("Not found") == "Not found"
            assert texts.in_language("es-CL").gettext("Not found") == "No encontrado"
            assert texts.in_language("xx").language == "en"


def test_the_language_of_a_request_can_be_handed_to_a_worker() -> None:
    app = make_app()
    with app.test_request_context(headers=SPANISH):
        language = texts.language()
        words = texts.words()
        assert words["_"]("Not found") == "No encontrado"
        assert words["language"] == language == "es"
    with app.app_context():
        assert texts.words(texts.in_language(language))["_"]("Not found") == "No encontrado"


def test_the_hosts_flask_babel_decides_where_it_runs(caplog: pytest.LogCaptureFixture) -> None:
    from flask_babel import Babel

    chosen: list[Any] = ["es_AR"]

    def select() -> Any:
        if chosen[0] is None:
            raise RuntimeError("the selector has a bug")
        return chosen[0]

    app = make_app()
    Babel(app, locale_selector=select)
    client = app.test_client()

    def spoken(header: str) -> str:
        return client.get("/auth/me", headers={"Accept-Language": header}).headers["Content-Language"]

    assert spoken("en") == "es"
    chosen[0] = "en"
    assert spoken("es") == "en"
    chosen[0] = "fr"
    assert (
        spoken("es") == "en"
    )  # the host speaks French and we don't: mixing in a third language helps nobody
    chosen[0] = None
    assert spoken("es") == "es"
    assert "the selector has a bug" in logged(caplog.records)


# A host's own words


def write_catalog(folder: Path, language: str, said: dict[str, str]) -> None:
    catalog = BabelCatalog(locale=language)
    for text, translation in said.items():
        catalog.add(text, translation)
    file = folder / language / "LC_MESSAGES" / "linked_auth.mo"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as opened:
        write_mo(opened, catalog)


def test_a_host_adds_a_language_and_changes_words_of_ours(tmp_path: Path) -> None:
    write_catalog(tmp_path, "pt_BR", {"No token": "Sem token"})
    write_catalog(tmp_path, "es", {"No token": "¿Y tu token?", "There is no tea.": "No hay té."})
    write_catalog(tmp_path, "en", {"No token": "Where is your token?"})
    app = make_app(BABEL_TRANSLATION_DIRECTORIES=f"nowhere;{tmp_path}")

    @app.get("/tea")
    def tea() -> str:
        raise errors.NotFound("There is no tea.")

    client = app.test_client()

    def told(path: str, language: str) -> tuple[str, str]:
        body = client.get(path, headers={"Accept-Language": language}).get_json()
        return body["title"], body["detail"]

    english = "This needs a token: Authorization: Bearer <token>."
    assert told("/auth/me", "pt-BR,pt;q=0.9") == ("Sem token", english)
    assert told("/auth/me", "es") == (
        "¿Y tu token?",
        "Esto exige un token: Authorization: Bearer <token>.",
    )
    assert told("/auth/me", "en") == ("Where is your token?", english)
    assert told("/tea", "es") == ("No encontrado", "No hay té.")
    other = make_app().test_client().get("/auth/me", headers={"Accept-Language": "es"})
    assert other.get_json()["title"] == "Falta el token"  # and no other app speaks so


def test_the_folder_translations_beside_the_app_is_found(tmp_path: Path) -> None:
    write_catalog(tmp_path / "translations", "es", {"No token": "Sin token"})
    app = Flask("tiny", root_path=str(tmp_path))
    app.config.update(TESTING=True, SQLALCHEMY_DATABASE_URI="sqlite://", LINKED_AUTH_SECRET="x1" * 24)
    LinkedAuth(app)
    body = app.test_client().get("/auth/me", headers=SPANISH).get_json()
    assert body["title"] == "Sin token"


@pytest.mark.parametrize("slip", ["%(other)s", "%(age)d", "%(age)", "%s %s", "100 %"])
def test_a_slip_in_a_hosts_catalog_makes_no_bug_of_an_error(tmp_path: Path, slip: str) -> None:
    write_catalog(tmp_path, "es", {"This needs a login of at most %(age)s seconds ago.": slip})
    spoken = Catalogs(tmp_path).named("es")
    said = spoken.gettext(errors.StaleLogin(60).detail)
    assert said in {"This needs a login of at most 60 seconds ago.", "60"}


@pytest.mark.parametrize(
    "content",
    [b"", b"no catalog", struct.pack("<IIIIIII", 0x950412DE, 0, 9, 28, 28, 0, 0), b"\xde\x12\x04\x95"],
)
def test_a_catalog_that_cannot_be_read_is_left_out(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    write_catalog(tmp_path, "es", {})
    (tmp_path / "es/LC_MESSAGES/linked_auth.mo").write_bytes(content)
    app = make_app(BABEL_TRANSLATION_DIRECTORIES=str(tmp_path))
    answer = app.test_client().get("/auth/me", headers=SPANISH)
    assert refused(answer, 401, "token-missing")["title"] == "Falta el token"
    assert "cannot be read" in logged(caplog.records)


# Texts


def test_a_text_is_english_and_remembers_what_it_was_made_of() -> None:
    text = _("Use at least %(least)s characters.", least=15)
    assert text == "Use at least 15 characters."
    for each in (text, copy.copy(text), copy.deepcopy(text), pickle.loads(pickle.dumps(text))):
        assert catalogs_in().named("es").gettext(each) == "Usa al menos 15 caracteres."
    assert Text("50%") == "50%"
    assert texts.gettext(Text("")) == ""
    assert catalogs_in().named("es").gettext("") == ""  # and not the catalog's header


def test_plurals(tmp_path: Path) -> None:
    english = catalogs_in().named("en")
    assert [english.ngettext("%(num)s link", "%(num)s links", n) for n in (0, 1, 2)] == [
        "0 links",
        "1 link",
        "2 links",
    ]
    catalog = BabelCatalog(locale="es")
    catalog.add(("%(num)s link", "%(num)s links"), ("%(num)s enlace", "%(num)s enlaces"))
    file = tmp_path / "es/LC_MESSAGES/linked_auth.mo"
    file.parent.mkdir(parents=True)
    buffer = BytesIO()
    write_mo(buffer, catalog)
    file.write_bytes(buffer.getvalue())
    spanish = Catalogs(tmp_path).named("es")
    assert [spanish.ngettext("%(num)s link", "%(num)s links", n) for n in (1, 2)] == ["1 enlace", "2 enlaces"]


def test_values_come_from_people_and_are_never_read_as_a_template() -> None:
    detail = errors.NotFound("There is no %(thing)s.", values={"thing": "%(thing)s %s {0}"}).detail
    assert detail == "There is no %(thing)s %s {0}."
    assert catalogs_in().named("es").gettext(detail) == detail


def test_scopes_are_listed_in_either_language() -> None:
    spanish = catalogs_in().named("es")
    for scopes, any_of, english, said in (
        (("a",), True, "This needs the scope a.", "Esto exige el alcance a."),
        (("a", "b"), False, "This needs the scope a, b.", "Esto exige el alcance a, b."),
        (("a", "b", "c"), True, "This needs the scope a, b or c.", "Esto exige el alcance a, b o c."),
    ):
        problem = errors.MissingScope(scopes, any_of=any_of)
        assert problem.detail == english
        assert spanish.gettext(problem.detail) == said


# What marshmallow says


class Everything(Schema):
    text = fields.String(required=True, validate=validate.Length(min=2, max=3))
    exact = fields.String(validate=validate.Length(equal=4))
    long = fields.String(validate=validate.Length(max=3))
    longer = fields.String(validate=validate.Length(min=5))
    number = fields.Integer(validate=validate.Range(min=1, max=9))
    least = fields.Integer(validate=validate.Range(min=1))
    most = fields.Integer(validate=validate.Range(max=1))
    above = fields.Integer(validate=validate.Range(min=1, min_inclusive=False))
    below = fields.Integer(validate=validate.Range(max=1, max_inclusive=False))
    choice = fields.String(validate=validate.OneOf(["a", "b"]))
    same = fields.String(validate=validate.Equal("x"))
    form = fields.String(validate=validate.Regexp("x"))
    flag = fields.Boolean()
    email = fields.Email()
    url = fields.URL()
    key = fields.UUID()
    day = fields.Date()
    moment = fields.DateTime()
    address = fields.IP()
    listed = fields.List(fields.String())
    mapping = fields.Dict()


WRONG = [
    {},
    {"text": None, "unknown": 1},
    {"text": 1, "number": "x", "flag": "x", "email": "x", "url": "x", "key": "x", "day": "x", "moment": "x"},
    {
        "text": "x",
        "number": 10,
        "exact": "x",
        "long": "xxxx",
        "longer": "x",
        "least": 0,
        "most": 2,
        "above": 1,
    },
    {"below": 1, "choice": "c", "same": "y", "form": "y", "address": "x", "listed": "x", "mapping": "x"},
    {"number": 1.5, "text": b"\xff"},
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_marshmallow_complains_in_spanish(wrong: dict[str, Any]) -> None:
    spanish = catalogs_in().named("es")
    with pytest.raises(ValidationError) as caught:
        Everything().load(wrong)
    complaints = [each for said in caught.value.messages_dict.values() for each in said]
    assert complaints
    for complaint in complaints:
        said = recognised(complaint)
        assert said == complaint
        assert spanish.gettext(said) != complaint
        assert set(re.findall(r"\d+", complaint)) == set(re.findall(r"\d+", spanish.gettext(said)))


def test_a_complaint_of_the_hosts_is_not_taken_for_one_of_marshmallows() -> None:
    for complaint in ("Too short.", "Must be one of:", "Length must be 3. No, 4.\n", ""):
        assert texts.in_language("es").gettext(recognised(complaint)) == complaint
    assert all(recognised(each) == each for each in (*PLAIN, *FILLED))


# The catalogs


@pytest.fixture(params=list(messages.catalogs()), ids=lambda file: file.parts[-3])
def file(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_there_is_spanish() -> None:
    assert "es" in [file.parts[-3] for file in messages.catalogs()]


def test_every_text_has_its_translation_and_none_is_left_over(file: Path) -> None:
    wanted, there = messages.texts_of(messages.extracted()), messages.texts_of(messages.read(file))
    hint = "run `make messages`"
    assert sorted(map(str, wanted.keys() - there.keys())) == [], hint
    assert sorted(map(str, there.keys() - wanted.keys())) == [], hint
    assert [text for text, message in there.items() if not messages.is_whole(message)] == []


def test_the_compiled_catalog_is_the_written_one(file: Path) -> None:
    def read(data: bytes) -> dict[Any, str]:
        catalog = GNUTranslations(BytesIO(data))
        return {text: said for text, said in catalog._catalog.items() if text}  # type: ignore[attr-defined]

    assert read(file.with_suffix(".mo").read_bytes()) == read(messages.compiled(file)), "run `make messages`"


def test_the_same_values_are_filled_in(file: Path) -> None:
    def placeholders(text: str) -> set[str]:
        return set(re.findall(r"%\(\w+\)[a-z]|%[a-z]|`[^`]*`|<[^>]*>|https?://\S+", text))

    for text, message in messages.texts_of(messages.read(file)).items():
        one, *many = text if isinstance(text, tuple) else (text,)
        allowed = placeholders(one).union(*map(placeholders, many))
        said = message.string if isinstance(message.string, tuple | list) else [message.string]
        for each in said:
            assert placeholders(each) == allowed, f"{text!r}: {each!r}"


def test_spanish_is_written_as_spanish_is(file: Path) -> None:
    for text, message in messages.texts_of(messages.read(file)).items():
        one = text[0] if isinstance(text, tuple) else text
        for each in message.string if isinstance(message.string, tuple | list) else [message.string]:
            assert each.strip() == each
            assert each.endswith(".") == one.endswith("."), each
            assert ("?" in each) == ("¿" in each), each
            assert ("!" in each) == ("¡" in each), each


#: The API document is English, like the names in it.
ENGLISH = {"docs.html", "endpoints.html"}
TEMPLATES = sorted(each for each in (messages.PACKAGE / "templates").rglob("*.*") if each.name not in ENGLISH)
#: The same in every language.
WORDS = {"UTC"}


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda file: file.name)
def test_a_template_says_nothing_that_is_not_marked(template: Path) -> None:
    source = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", "", template.read_text("utf-8"), flags=re.DOTALL)
    said = re.sub(r'<[^>]*>|&\w+;|\bclass="[^"]*"', " ", source)
    said += " ".join(re.findall(r'\b(?:aria-label|alt|title|placeholder)="([^"]*)"', source))
    assert set(re.findall(r"[A-Za-z]{2,}", said)) <= WORDS


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Every call by which an error is made to be raised, with where it stands."""
    kinds = {name for name in errors.__all__ if issubclass(getattr(errors, name), errors.Problem)}
    for module in sorted(messages.PACKAGE.rglob("*.py")):
        for statement in ast.walk(ast.parse(module.read_text("utf-8"))):
            node = statement.exc if isinstance(statement, ast.Raise) else None
            name = (
                getattr(node.func, "attr", getattr(node.func, "id", "")) if isinstance(node, ast.Call) else ""
            )
            if isinstance(node, ast.Call) and name in kinds:
                yield f"{module.relative_to(messages.PACKAGE)}:{node.lineno}", node


#: What only operators read, in a terminal.
TERMINAL = ("cli.py", "token_steps.py")


def test_no_error_says_what_no_catalog_can_have() -> None:
    for place, call in calls():
        if place.startswith(TERMINAL):
            continue
        if call.args:
            assert not isinstance(call.args[0], ast.JoinedStr | ast.BinOp), f"{place}: use values="
        for keyword in call.keywords:
            if keyword.arg == "errors":
                lists = [node for node in ast.walk(keyword.value) if isinstance(node, ast.List)]
                bare = [
                    each
                    for node in lists
                    for each in node.elts
                    if isinstance(each, ast.Constant | ast.JoinedStr)
                ]
                assert not bare, f"{place}: mark the complaints with _()"
