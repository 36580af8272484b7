"""Keys rotate with an overlap, secrets change with a fallback, and no request in flight is refused meanwhile."""

from __future__ import annotations

from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from flask_linked_auth import Auth
from tests.tiny import (
    OTHER_SECRET,
    SECRET,
    Person,
    bearer,
    edit,
    in_database,
    log_in,
    make_app,
    refused,
    register,
    state_of,
)

if TYPE_CHECKING:
    from flask import Flask

ALGORITHMS = ["HS256", "RS256", "ES256", "EdDSA"]


def kid_of(person: Person) -> str:
    return str(jwt.get_unverified_header(person.access)["kid"])


def rotate(app: Flask, *more: str) -> str:
    """A rotation some time after the last one; the id of the new key."""
    with in_database(app) as (db, rows):
        db.session.query(rows.SigningKey).update({"active_from": rows.SigningKey.active_from - 20})
        db.session.commit()
    result = app.test_cli_runner().invoke(args=["linked-auth", "keys", "rotate", *more])
    assert result.exit_code == 0, result.output
    return str(result.output.split()[1])


def statuses(app: Flask) -> dict[str, str]:
    with app.app_context():
        held = [each for each in state_of(app).ring.held() if not each.key.kid.startswith("s-")]
        return {each.key.kid: each.status(time()) for each in held}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_token_is_signed_with_the_algorithm_of_the_setting(algorithm: str) -> None:
    app = make_app(algorithm=algorithm)
    ana = register(app)
    header = jwt.get_unverified_header(ana.access)
    assert (header["alg"], header["typ"]) == (algorithm, "at+jwt")
    assert ana.get("/auth/me").status_code == 200
    assert ana.get("/auth/me").status_code == 200
    assert log_in(app).get("/auth/me").status_code == 200  # the key of the first token is still there
    assert kid_of(log_in(app)) == kid_of(ana)


@pytest.mark.parametrize("algorithm", ALGORITHMS[1:])
@pytest.mark.parametrize("memory", [True, False])
def test_the_first_key_is_made_once_and_kept(tmp_path: Path, algorithm: str, memory: bool) -> None:
    app = make_app(algorithm=algorithm, database="sqlite://" if memory else f"sqlite:///{tmp_path / 'k.db'}")
    people = [register(app, f"p{n}@example.com") for n in range(3)]
    assert len({kid_of(person) for person in people}) == 1
    for person in people:
        assert person.get("/auth/me").status_code == 200
    assert len(people[0].get("/auth/jwks").get_json()["keys"]) == 1


def test_hs256_publishes_no_key() -> None:
    app = make_app()
    rotate(app, "--after", "0")
    register(app)
    assert app.test_client().get("/auth/jwks").get_json() == {"keys": []}


@pytest.mark.parametrize("algorithm", ["HS256", "ES256"])
def test_a_new_key_signs_while_the_former_one_is_still_accepted(tmp_path: Path, algorithm: str) -> None:
    app = make_app(database=f"sqlite:///{tmp_path / 'k.db'}", algorithm=algorithm)
    ana = register(app)
    kid = rotate(app, "--after", "0")
    ben = register(app, "ben@example.com")
    assert kid_of(ben) == kid != kid_of(ana)
    for person in (ana, ben, ana):
        assert person.get("/auth/me").status_code == 200
    assert statuses(app)[kid] == "active"
    assert set(statuses(app).values()) == {"active"}


@pytest.mark.parametrize("algorithm", ["HS256", "EdDSA"])
def test_the_next_key_is_published_before_it_signs(tmp_path: Path, algorithm: str) -> None:
    app = make_app(database=f"sqlite:///{tmp_path / 'k.db'}", algorithm=algorithm)
    ana = register(app)
    kid = rotate(app, "--after", "100")
    assert kid_of(log_in(app)) == kid_of(ana)
    assert statuses(app)[kid] == "next"
    if algorithm != "HS256":
        assert {key["kid"] for key in ana.get("/auth/jwks").get_json()["keys"]} == {kid_of(ana), kid}
    edit_key(app, kid, active_from=int(time()) - 1)  # a hundred seconds go by
    fresh = make_app(database=f"sqlite:///{tmp_path / 'k.db'}", algorithm=algorithm)
    assert kid_of(log_in(fresh)) == kid


def edit_key(app: Flask, kid: str, **values: Any) -> None:
    with in_database(app) as (db, rows):
        for name, value in values.items():
            setattr(db.session.get_one(rows.SigningKey, kid), name, value)
        db.session.commit()


def test_a_former_key_is_retired_when_its_last_token_is_over(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'k.db'}"
    app = make_app(database=url, algorithm="ES256", access_lifetime=100)
    ana = register(app)
    kid = rotate(app, "--after", "0")
    assert ana.get("/auth/me").status_code == 200
    edit_key(app, kid_of(ana), active_from=int(time()) - 1000)
    edit_key(
        app, kid, active_from=int(time()) - 170
    )  # a lifetime, the leeway of 5 s and the minute to spare ago
    later = make_app(database=url, algorithm="ES256", access_lifetime=100)
    assert statuses(later) == {kid_of(ana): "retired", kid: "active"}
    refused(ana.elsewhere(later).get("/auth/me"), 401, "token-invalid")
    assert [key["kid"] for key in ana.elsewhere(later).get("/auth/jwks").get_json()["keys"]] == [kid]


def test_a_key_that_is_retired_by_hand_is_void_at_once_for_known_tokens_too(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'k.db'}"
    here, there = (make_app(database=url, algorithm="ES256", revocation_interval=0) for _ in range(2))
    ana = register(here)
    for app in (here, there):
        assert ana.elsewhere(app).get("/auth/me").status_code == 200
    kid = rotate(here, "--after", "0", "--retire", kid_of(ana))
    assert statuses(here) == {kid_of(ana): "retired", kid: "active"}
    for app in (here, there):
        refused(ana.elsewhere(app).get("/auth/me"), 401, "token-invalid")
    again = Person(here, ana.refresh().get_json())  # nobody is logged out by it
    assert kid_of(again) == kid
    for app in (here, there):
        assert again.elsewhere(app).get("/auth/me").status_code == 200


def test_of_two_keys_made_in_one_second_the_later_one_follows(tmp_path: Path) -> None:
    app = make_app(database=f"sqlite:///{tmp_path / 'k.db'}", algorithm="ES256")
    ana = register(app)
    result = app.test_cli_runner().invoke(args=["linked-auth", "keys", "rotate", "--after", "0"])
    kid = result.output.split()[1]
    with app.app_context():
        starts = {held.key.kid: held.active_from for held in state_of(app).ring.held()}
    assert starts[kid] > starts[kid_of(ana)]


def test_another_process_takes_a_token_of_a_key_it_has_not_met(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'k.db'}"
    here, there = (make_app(database=url, algorithm="ES256") for _ in range(2))
    ana = register(here)
    assert ana.elsewhere(there).get("/auth/me").status_code == 200
    rotate(here, "--after", "0")
    ben = register(here, "ben@example.com")
    assert kid_of(ben) != kid_of(ana)
    state_of(there).ring._asked_at -= 10  # it asked a while ago, as a process does that has run for longer
    assert ben.elsewhere(there).get("/auth/me").status_code == 200


def test_three_rotations_refuse_nobody(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'k.db'}"
    apps = [make_app(database=url, algorithm="EdDSA", revocation_interval=0) for _ in range(2)]
    people = [register(apps[0])]
    for n in range(3):
        rotate(apps[n % 2], "--after", "0")
        people.append(register(apps[(n + 1) % 2], f"p{n}@example.com"))
        people.append(Person(apps[0], people[0].elsewhere(apps[n % 2]).refresh().get_json()))
        for person in people:
            for app in apps:
                state_of(app).ring._asked_at -= 10
                assert person.elsewhere(app).get("/auth/me").status_code == 200
        people[0] = people.pop()
    assert len({kid_of(person) for person in people}) >= 3


def test_a_change_of_algorithm_is_a_rotation(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'k.db'}"
    ana = register(make_app(database=url))
    asymmetric = make_app(database=url, algorithm="RS256")
    ben = register(asymmetric, "ben@example.com")
    assert [jwt.get_unverified_header(p.access)["alg"] for p in (ana, ben)] == ["HS256", "RS256"]
    for person in (ana, ben):
        assert person.elsewhere(asymmetric).get("/auth/me").status_code == 200


def test_a_token_whose_algorithm_is_not_that_of_its_key_is_refused(tmp_path: Path) -> None:
    # CVE-2022-29217 and its sisters: the public key as an HMAC secret.
    app = make_app(algorithm="ES256")
    ana = register(app)
    assert ana.get("/auth/me").status_code == 200
    (public,) = app.test_client().get("/auth/jwks").get_json()["keys"]
    pem = jwt.PyJWK(public).key.public_bytes(*_pem())
    with app.app_context():
        claims = dict(Auth.decode_token(ana.access))
    import base64
    import hashlib
    import hmac
    import json

    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    for secret in (pem, pem.strip(), json.dumps(public).encode()):
        header = {"alg": "HS256", "typ": "at+jwt", "kid": public["kid"]}
        signed = f"{part(json.dumps(header).encode())}.{part(json.dumps(claims).encode())}"
        token = f"{signed}.{part(hmac.digest(secret, signed.encode(), hashlib.sha256))}"
        refused(app.test_client().get("/auth/me", headers=bearer(token)), 401, "token-invalid")


def _pem() -> tuple[Any, Any]:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return Encoding.PEM, PublicFormat.SubjectPublicKeyInfo


# Secrets.


def test_a_new_secret_with_the_former_as_fallback_refuses_nobody(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'k.db'}"
    ana = register(make_app(database=url))
    new = make_app(database=url, secret=OTHER_SECRET, secret_fallbacks=[SECRET])
    ben = register(new, "ben@example.com")
    assert kid_of(ana) != kid_of(ben)
    for person in (ana, ben):
        assert person.elsewhere(new).get("/auth/me").status_code == 200
    assert ana.elsewhere(new).refresh().status_code == 200
    gone = make_app(database=url, secret=OTHER_SECRET)
    refused(ana.elsewhere(gone).get("/auth/me"), 401, "token-invalid")
    assert ben.elsewhere(gone).get("/auth/me").status_code == 200


def test_sealed_keys_open_with_former_secrets_until_they_are_sealed_anew(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'k.db'}"
    keys = {"algorithm": "ES256", "database": url}
    ana = register(make_app(**keys))
    between = make_app(**keys, secret=OTHER_SECRET, secret_fallbacks=[SECRET])
    assert ana.elsewhere(between).get("/auth/me").status_code == 200
    result = between.test_cli_runner().invoke(args=["linked-auth", "keys", "reencrypt"])
    assert result.output == "Sealed anew: 1.\n"
    assert ana.elsewhere(between).get("/auth/me").status_code == 200
    after = make_app(**keys, secret=OTHER_SECRET)
    assert ana.elsewhere(after).get("/auth/me").status_code == 200


def test_encryption_keys_rotate_without_the_secret(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'k.db'}"
    first, second = "first-Kq82nVbT71xLpZ-encryption-key", "second-Wm93cRyG46sJhD-encryption-key"
    keys = {"algorithm": "EdDSA", "database": url}
    ana = register(make_app(**keys, encryption_keys=[first]))
    both = make_app(**keys, encryption_keys=[second, first])
    assert ana.elsewhere(both).get("/auth/me").status_code == 200
    both.test_cli_runner().invoke(args=["linked-auth", "keys", "reencrypt"])
    assert ana.elsewhere(make_app(**keys, encryption_keys=[second])).get("/auth/me").status_code == 200


def test_a_key_that_cannot_be_opened_is_left_out_and_a_new_one_is_made(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"sqlite:///{tmp_path / 'k.db'}"
    ana = register(make_app(database=url, algorithm="ES256"))
    lost = make_app(database=url, algorithm="ES256", secret=OTHER_SECRET)
    refused(ana.elsewhere(lost).get("/auth/me"), 401, "token-invalid")
    assert "LINKED_AUTH_ENCRYPTION_KEYS" in caplog.text or "cannot be opened" in caplog.text
    again = Person(lost, ana.elsewhere(lost).refresh().get_json())
    assert again.get("/auth/me").status_code == 200
    assert kid_of(again) != kid_of(ana)


def test_the_private_half_is_sealed_to_its_row(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'k.db'}"
    app = make_app(database=url, algorithm="ES256")
    ana = register(app)
    with in_database(app) as (db, rows):
        row = db.session.query(rows.SigningKey).one()
        assert row.sealed.startswith("v1.")
        assert "PRIVATE" not in row.sealed
        db.session.add(
            rows.SigningKey(
                kid="stolen", algorithm="ES256", sealed=row.sealed, created_at=1, active_from=int(time()) + 1
            )
        )
        db.session.commit()
    moved = make_app(database=url, algorithm="ES256")
    assert "stolen" not in statuses(moved)
    assert ana.elsewhere(moved).get("/auth/me").status_code == 200


def test_the_rows_of_the_hosts_transaction_are_not_committed_by_a_new_key() -> None:
    app = make_app(algorithm="ES256")
    with in_database(app) as (db, rows):
        db.session.add(rows.User(email="x@example.com", password_hash="-"))
        db.session.flush()
        Auth.generate_token(1)  # makes the first key
        db.session.rollback()
        assert db.session.query(rows.User).count() == 0


def test_an_edit_of_time_is_seen(tmp_path: Path) -> None:
    app = make_app(database=f"sqlite:///{tmp_path / 'k.db'}", algorithm="ES256")
    register(app)
    edit(app, "SigningKey", accepted_until=int(time()) - 1)
    state_of(app).ring.mark_stale()
    anew = log_in(app)
    assert sorted(statuses(app).values()) == ["active", "retired"]
    assert anew.get("/auth/me").status_code == 200
