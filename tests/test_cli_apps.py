"""`flask linked-auth app …` and `scopes …`: what an operator does with linked apps, and is told when it cannot be."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flask_linked_auth import Accounts, LinkedAuth
from flask_linked_auth.apps.changes import find_app
from flask_linked_auth.apps.keys import NewKey, add_key
from flask_linked_auth.links.keys import dump_key, generate_key
from flask_linked_auth.sealing import Sealer
from flask_linked_auth.transactions import commit
from tests.links.both_sides import shared
from tests.tiny import edit, in_database, make_app, state_of, told

if TYPE_CHECKING:
    from click.testing import Result
    from flask import Flask


@pytest.fixture
def app() -> Flask:
    return make_app(shared())


def run(app: Flask, *words: str, typed: str | None = None) -> Result:
    return app.test_cli_runner().invoke(args=["linked-auth", *words], input=typed)


def done(app: Flask, *words: str, typed: str | None = None) -> str:
    """The output of a command that succeeds."""
    result = run(app, *words, typed=typed)
    assert result.exit_code == 0, (result.output, result.exception)
    return str(result.stdout)


def told_to_programs(app: Flask, *words: str) -> Any:
    return json.loads(done(app, *words, "--json"))


def fails(app: Flask, *words: str, typed: str | None = None) -> str:
    """The one complaint of a command that fails in a civil way."""
    result = run(app, *words, typed=typed)
    assert result.exit_code in {1, 2}, (result.output, result.exception)
    assert isinstance(result.exception, SystemExit)
    return str(result.output).partition("Error: ")[2].strip()


def with_scopes(app: Flask, folder: Path) -> Flask:
    file = folder / "scopes.toml"
    file.write_text('[scopes]\n"read:user" = "See who people are."\n"read:posts" = "See their posts."\n')
    done(app, "scopes", "set", str(file))
    return app


def test_an_app_is_made_shown_changed_and_removed(app: Flask, tmp_path: Path) -> None:
    with_scopes(app, tmp_path)
    with told(app) as heard:
        said = done(
            app,
            "app",
            "create",
            "billing",
            "--address",
            "https://billing.example.com/",
            "--required",
            "read:user",
        )
    assert re.fullmatch(r"Created app billing, client id App_[\w-]{24}\.\n", said)
    assert [name for name, _ in heard] == ["app.registered", "app.scopes-changed"]
    facts = told_to_programs(app, "app", "show", "billing")
    assert facts["address"] == "https://billing.example.com"
    assert (facts["required"], facts["optional"], facts["ceiling"]) == (["read:user"], [], None)
    assert (facts["needs_agreement"], facts["joins_by_email"], facts["active"]) == (True, False, True)
    changed = (
        "--optional",
        "read:posts",
        "--no-agreement",
        "--join-by-email",
        "--ceiling",
        "read:user",
        "--inactive",
    )
    assert done(app, "app", "change", "billing", *changed) == "Changed app billing.\n"
    facts = told_to_programs(app, "app", "show", facts["client_id"])
    assert (facts["required"], facts["optional"], facts["ceiling"]) == (
        ["read:user"],
        ["read:posts"],
        ["read:user"],
    )
    assert (facts["needs_agreement"], facts["joins_by_email"], facts["active"]) == (False, True, False)
    done(app, "app", "change", "billing", "--no-scopes", "--no-ceiling", "--active")
    facts = told_to_programs(app, "app", "show", "billing")
    assert (facts["required"], facts["optional"], facts["ceiling"], facts["active"]) == ([], [], None, True)
    assert done(app, "app", "remove", "billing", typed="y\n").endswith("Removed app billing.\n")
    assert told_to_programs(app, "app", "list") == []


def test_every_fact_can_be_set(app: Flask) -> None:
    given = {
        "name": "Billing",
        "description": "Sends invoices.",
        "address": "https://b.example.com",
        "users_path": "/users/",
        "webhook_url": "https://b.example.com/hook",
        "redirect_url": "https://b.example.com/back",
        "dialect": "signature",
    }
    options = [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", value)]
    facts = told_to_programs(app, "app", "create", "billing", *options, "--accept", "signature")
    assert {name: facts[name] for name in given} == given
    assert facts["accepts"] == ["signature"]


def test_the_list_names_what_is_special(app: Flask) -> None:
    done(app, "app", "create", "zoo")
    done(app, "app", "create", "billing", "--address", "https://b.example.com", "--no-agreement")
    done(app, "app", "change", "zoo", "--inactive")
    first, second = (line.split("\t") for line in done(app, "app", "list").splitlines())
    assert (first[0], *first[2:]) == ("billing", "https://b.example.com", "no agreement")
    assert (second[0], *second[2:]) == ("zoo", "-", "inactive")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("create", "Not a slug"), "slug: "),
        (("create", "tiny"), "This is this service's own name."),
        (("create", "billing"), "There is a linked app of this name already."),
        (("create", "x", "--address", "ftp://x"), "address: "),
        (("create", "x", "--address", "https://x/?y"), "address: "),
        (("create", "x", "--required", "read:nothing"), "Not defined: read:nothing."),
        (("create", "x", "--dialect", "morse"), "Invalid value"),
        (("change", "nobody", "--inactive"), "There is no linked app nobody."),
        (("change", "billing"), "Say what shall be changed"),
        (("show", "nobody"), "There is no linked app nobody."),
        (("remove", "nobody", "--yes"), "There is no linked app nobody."),
    ],
)
def test_what_cannot_be_is_said_in_a_line(app: Flask, words: tuple[str, ...], complaint: str) -> None:
    done(app, "app", "create", "billing")
    assert complaint in fails(app, "app", *words)
    assert len(told_to_programs(app, "app", "list")) == 1


def test_removing_is_asked_about(app: Flask) -> None:
    done(app, "app", "create", "billing")
    result = run(app, "app", "remove", "billing", typed="n\n")
    assert (result.exit_code, "Aborted!" in result.output) == (1, True)
    assert len(told_to_programs(app, "app", "list")) == 1
    assert told_to_programs(app, "app", "remove", "billing", "--yes") == {"removed": "billing"}


def _give_key(app: Flask, slug: str, use: str, **values: Any) -> bytes:
    key = generate_key("HS512")

    def deed(transaction: Any) -> None:
        row = add_key(transaction, find_app(transaction, slug), use, NewKey("HS512", dump_key(key), "k1"))
        for name, value in values.items():
            setattr(row, name, value)

    with app.app_context():
        commit(state_of(app), deed)
    assert isinstance(key.signing, bytes)
    return key.signing


def test_of_keys_everything_is_shown_but_the_keys(app: Flask) -> None:
    done(app, "app", "create", "billing")
    secret = _give_key(app, "billing", "link_in")
    _give_key(app, "billing", "link_out", active_from=2**40)
    _give_key(app, "billing", "signature_in", expires_at=1)
    _give_key(app, "billing", "signature_out", expires_at=2**31)
    shown = done(app, "app", "show", "billing")
    assert re.findall(r"^key\t(.*)$", shown, re.MULTILINE) == [
        "link_in\tHS512\tk1\tactive\t-",
        "link_out\tHS512\tk1\tnext\t-",
        "signature_in\tHS512\tk1\tretired\t1970-01-01T00:00:01Z",
        "signature_out\tHS512\tk1\tending\t2038-01-19T03:14:08Z",
    ]
    for said in (shown, done(app, "app", "show", "billing", "--json"), done(app, "app", "list", "--json")):
        assert secret.hex() not in said
        assert "sealed" not in said
        assert "v1." not in said


# Scopes.


def test_scopes_are_defined_by_a_file(app: Flask, tmp_path: Path) -> None:
    done(app, "app", "create", "billing")
    file = tmp_path / "scopes.toml"
    file.write_text(
        """
        [scopes]
        "read:user" = "See who people are."
        webhook = { description = "Tell us.", name = "Telling" }
        "read:posts" = { description = "See posts.", apps_only = true }
        [apps.billing]
        required = ["read:user"]
        optional = ["read:posts"]
        """
    )
    assert done(app, "scopes", "set", str(file)) == "Defined 3 scopes; changed apps: billing.\n"
    assert done(app, "scopes", "set", str(file)) == "Defined 3 scopes; changed apps: none.\n"
    assert done(app, "scopes", "list").splitlines() == [
        "read:posts\tread:posts\tSee posts.\tapps only",
        "read:user\tread:user\tSee who people are.\tapps only",
        "webhook\tTelling\tTell us.\tapps only",
    ]
    facts = told_to_programs(app, "app", "show", "billing")
    assert (facts["required"], facts["optional"]) == (["read:user"], ["read:posts"])


def test_the_file_may_be_json(app: Flask, tmp_path: Path) -> None:
    file = tmp_path / "scopes.json"
    file.write_text('{"scopes": {"read:user": "See who people are."}}')
    assert told_to_programs(app, "scopes", "set", str(file)) == {"scopes": ["read:user"], "changed_apps": []}
    (scope,) = told_to_programs(app, "scopes", "list")
    assert scope == {
        "slug": "read:user",
        "name": "read:user",
        "description": "See who people are.",
        "apps_only": True,
    }


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[scopes", "scopes.toml: "),
        ("[other]", "only the tables scopes and apps"),
        ("scopes = 1", "scopes: this is no table"),
        ("[scopes]\nx = 1", "scopes.x: a text, or a table"),
        ('[scopes]\nx = {describtion = "x"}', "scopes.x: a text, or a table"),
        ("[scopes]\nx = {}", "a description of 1 to 255 characters"),
        ('[scopes]\n"Read:all" = "x"', "action:data or data"),
        ("[apps]\nnobody = {required = []}", "There is no linked app nobody."),
        ("[apps]\nbilling = 1", "apps.billing: a table"),
        ("[apps]\nbilling = {required = 1}", "apps.billing.required: a list"),
        ('[apps]\nbilling = {required = ["x"]}', "Not defined: x."),
    ],
)
def test_a_file_that_cannot_be_read_changes_nothing(
    app: Flask, tmp_path: Path, text: str, complaint: str
) -> None:
    done(app, "app", "create", "billing")
    file = tmp_path / "scopes.toml"
    file.write_text('[scopes]\n"read:user" = "See."\n' if text.startswith("[apps]") else "")
    file.write_text(file.read_text() + text)
    assert complaint in fails(app, "scopes", "set", str(file))
    assert told_to_programs(app, "scopes", "list") == []


def test_a_file_that_is_not_there(app: Flask, tmp_path: Path) -> None:
    assert "does not exist" in fails(app, "scopes", "set", str(tmp_path / "nothing.toml"))


# Help, and what the parts add to other commands.


def _commands(app: Flask) -> list[tuple[str, ...]]:
    group: Any = app.cli.commands["linked-auth"]
    found: list[tuple[str, ...]] = []
    for name, command in group.commands.items():
        inner = getattr(command, "commands", None)
        found += [(name, each) for each in inner] if inner else [(name,)]
    return found


def test_every_command_has_help_with_an_example(app: Flask) -> None:
    commands = _commands(app)
    assert len(commands) > 25
    for words in commands:
        # A long line is broken behind a hyphen, too.
        said = " ".join(done(app, *words, "--help").split()).replace("- ", "-").partition("Example")[2]
        assert "linked-auth " + " ".join(words) in said, words


def test_what_is_new_answers_for_programs(app: Flask) -> None:
    former = {"user", "keys", "routes", "prune", "create-tables", "config", "explain"}
    plain = {("people", "link"), ("people", "unlink"), ("app", "set-key")}
    for words in _commands(app):
        if words[0] not in former and words not in plain:
            assert "--json" in done(app, *words, "--help"), words


def test_two_parts_add_to_one_group_and_neither_alone_has_the_other(app: Flask) -> None:
    assert "rotate" in done(app, "app", "--help")
    assert "create" in done(app, "app", "--help")
    bare = make_app(LinkedAuth(parts=[Accounts()]))
    assert run(bare, "app", "--help").exit_code == 2


def test_reencrypt_seals_the_keys_of_apps_anew(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/tiny.db"
    old, new = "o" * 40 + "1", "n" * 40 + "2"
    app = make_app(shared(), database=address, encryption_keys=[old])
    done(app, "app", "create", "billing")
    _give_key(app, "billing", "link_in")
    app = make_app(shared(), database=address, encryption_keys=[new, old])
    assert done(app, "keys", "reencrypt") == "Sealed anew: 1.\n"
    assert done(app, "keys", "reencrypt") == "Sealed anew: 0.\n"
    with in_database(app) as (db, rows):
        (row,) = db.session.query(rows.AppKey)
        assert Sealer([new]).open(row.sealed, f"app_key:{row.id}")


def test_prune_deletes_what_every_part_says_is_over(app: Flask) -> None:
    done(app, "app", "create", "billing")
    _give_key(app, "billing", "link_in")
    _give_key(app, "billing", "link_out")
    done(app, "app", "invite", "billing")
    with in_database(app) as (db, rows):
        db.session.add(rows.UsedNonce(id="n", expires_at=1))
        db.session.add(rows.UsedNonce(id="m", expires_at=2**40))
        db.session.commit()
    edit(app, "PairingCode", expires_at=1)
    with in_database(app) as (db, rows):
        db.session.query(rows.AppKey).filter_by(use="link_in").update({"expires_at": 1})
        db.session.commit()
    said = done(app, "prune")
    for line in (
        "1 app keys",
        "1 used nonces",
        "0 one-time tokens",
        "1 pairing codes",
        "0 mailed links",
        "0 logins",
    ):
        assert f"Deleted {line}." in said
    assert "1 " not in done(app, "prune").replace("100", "")
