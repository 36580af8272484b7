"""The part without the accounts, without their pages, and in the wrong place."""

from __future__ import annotations

import pytest

from flask_linked_auth import Accounts, Auth, LinkedAuth
from flask_linked_auth.apps import Apps
from flask_linked_auth.errors import SettingsError
from tests.apps.asking import accepted, add_app, agree, define
from tests.tiny import Person, bare_app, create_tables, in_database, make_app, refused, register
from tests.visitor import Visitor


def test_without_accounts_there_is_json_and_no_page() -> None:
    app, auth = bare_app(database="sqlite://"), LinkedAuth(parts=[Apps()])
    auth.init_app(app)
    assert auth.db is not None
    create_tables(app, auth.db)
    rules = {rule.rule for rule in app.url_map.iter_rules()}
    assert "/auth/agreements" in rules
    assert not any("authorize" in rule or "account" in rule for rule in rules)
    define(app)
    add_app(app)
    with in_database(app) as (db, rows):
        user = rows.User(email="ana@example.com", password_hash="-")
        db.session.add(user)
        db.session.commit()
        ana = Person(app, {"user_id": user.id, "access_token": Auth.generate_token(user.id)})
    agree(ana)
    assert ana.get("/auth/agreements").get_json()["results"][0]["app"] == "billing"
    assert ana.call("DELETE", "/auth/agreements/billing").status_code == 204
    assert accepted(ana) is None
    refused(ana.get("/auth/agreements/x/y"), 404, "not-found")


def test_without_pages_there_is_none_about_apps() -> None:
    app = make_app(pages=False)
    assert not any("authorize" in rule.rule for rule in app.url_map.iter_rules())
    assert register(app).get("/auth/agreements").status_code == 200


def test_without_apps_the_account_does_not_lead_to_them() -> None:
    app = make_app(LinkedAuth(parts=[Accounts()]))
    register(app)
    visitor = Visitor(app)
    visitor.log_in()
    assert "/account/apps" not in visitor.page.links
    visitor.open("/account/apps")
    assert visitor.status == 404


def test_the_endpoints_move_with_those_of_the_accounts() -> None:
    app = make_app(prefix="/api/auth", agreement_path="/api/allow")
    rules = {rule.rule for rule in app.url_map.iter_rules()}
    assert {"/api/auth/agreements", "/api/appuseragreement", "/api/allow/<slug>"} <= rules


def test_accounts_after_apps_are_refused() -> None:
    """Otherwise the pages about apps would just not be there."""
    with pytest.raises(SettingsError, match="before Apps"):
        LinkedAuth(bare_app(database="sqlite://"), parts=[Apps(), Accounts()])
