"""Forged and foreign tokens at a real guarded view, each beside a good one made in the same way."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm

from flask_linked_auth import Auth
from tests.faults.lab import PASSWORD, SECRET, bearer, create_tables, log_in, make_app, register, running

ISSUER = "https://lab.example"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with running(f"sqlite:///{tmp_path_factory.mktemp('tokens') / 'test.db'}") as made:
        register(made)
        register(made, "bea@example.com")
        yield made


def _claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    claims = {"iss": ISSUER, "sub": "1", "aud": f"{ISSUER}/auth", "iat": now, "exp": now + 600, "jti": "j1",
              "gen": 0, "auth_time": now}  # fmt: skip
    return {name: value for name, value in (claims | changes).items() if value is not ...}


def _sign(
    app: Any, claims: dict[str, Any], *, key: Any = SECRET, algorithm: str = "HS256", **header: Any
) -> str:
    kid = app.extensions["linked_auth"].ring.signing().kid
    head = {"typ": "at+jwt", "kid": kid} | header
    return jwt.encode(claims, key, algorithm, headers={n: v for n, v in head.items() if v is not ...})


def _status(app: Any, token: str) -> int:
    answer = app.test_client().get("/guarded", headers=bearer(token))
    validated = app.test_client().post("/auth/validate-token", headers=bearer(token))
    assert answer.status_code == validated.status_code
    assert validated.json["valid"] is (answer.status_code == 200)
    if answer.status_code == 401:
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    return int(answer.status_code)


def _part(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_the_claims_below_are_good_ones(app: Any) -> None:
    assert _status(app, _sign(app, _claims())) == 200
    assert _status(app, _sign(app, _claims(sub="2"))) == 200
    assert _status(app, _sign(app, _claims(), kid=...)) in {200, 401}


NOW = int(time.time())
BAD_CLAIMS: dict[str, dict[str, Any]] = {
    "full-width sub": {"sub": "１"},  # noqa: RUF001
    "signed sub": {"sub": "+1"},
    "padded sub": {"sub": "01"},
    "blank sub": {"sub": " 1"},
    "underscore sub": {"sub": "0_1"},
    "negative sub": {"sub": "-1"},
    "number sub": {"sub": 1},
    "true sub": {"sub": True},
    "list sub": {"sub": ["1"]},
    "no sub": {"sub": ...},
    "huge sub": {"sub": str(2**63)},
    "endless sub": {"sub": "9" * 4000},
    "other audience": {"aud": "https://lab.example/oauth"},
    "audience of another service": {"aud": "https://other.example/auth"},
    "longer audience": {"aud": "https://lab.example/auth/"},
    "cased audience": {"aud": "https://LAB.example/auth"},
    "list audience": {"aud": ["https://lab.example/auth"]},
    "no audience": {"aud": ...},
    "other issuer": {"iss": "https://other.example"},
    "part of the issuer": {"iss": "https://lab"},
    "list issuer": {"iss": [ISSUER]},
    "no issuer": {"iss": ...},
    "expired": {"iat": NOW - 1000, "exp": NOW - 400},
    "text exp": {"exp": str(NOW + 600)},
    "fraction exp": {"exp": NOW + 600.5},
    "no exp": {"exp": ...},
    "endless": {"exp": NOW + 10**7},
    "10**400 exp": {"exp": 10**400},
    "from the future": {"iat": NOW + 3600, "exp": NOW + 4000},
    "not yet": {"nbf": NOW + 3600},
    "no jti": {"jti": ...},
    "no iat": {"iat": ...},
    "negative gen": {"gen": -1},
    "text gen": {"gen": "0"},
    "NUL sid": {"sid": "a\0b"},
    "list scope": {"scope": ["read:posts"]},
}


@pytest.mark.parametrize("changes", BAD_CLAIMS.values(), ids=BAD_CLAIMS)
def test_wrong_claims_signed_with_the_right_key(app: Any, changes: dict[str, Any]) -> None:
    claims = _claims(**changes)
    token = (
        f"{_part({'alg': 'HS256', 'typ': 'at+jwt', 'kid': app.extensions['linked_auth'].ring.signing().kid})}"
        f".{_part(claims)}"
    )
    mac = _part(hmac.new(SECRET.encode(), token.encode(), hashlib.sha256).digest())
    good = token.partition(".")[0] + "." + _part(_claims())
    good += "." + _part(hmac.new(SECRET.encode(), good.encode(), hashlib.sha256).digest())
    assert _status(app, good) == 200
    assert _status(app, f"{token}.{mac}") == 401


@pytest.mark.parametrize(
    "typ", ["JWT", "jwt", "rt+jwt", "at+JWT", "application/at+jwt", "id+jwt", "", None, ..., 1]
)
def test_a_token_of_another_purpose(app: Any, typ: Any) -> None:
    assert _status(app, _sign(app, _claims(), typ="at+jwt")) == 200
    header = {"alg": "HS256", "kid": app.extensions["linked_auth"].ring.signing().kid}
    if typ is not ...:
        header["typ"] = typ
    signed = f"{_part(header)}.{_part(_claims())}"
    mac = _part(hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).digest())
    assert _status(app, f"{signed}.{mac}") == 401


def test_a_refresh_token_is_no_access_token_and_the_reverse(app: Any) -> None:
    body = log_in(app)
    client = app.test_client()
    assert _status(app, body["refresh_token"]) == 401
    assert client.get("/guarded", headers={"api-token": body["refresh_token"]}).status_code == 401
    assert client.post("/auth/refresh", json={"refresh_token": body["access_token"]}).status_code == 401
    assert client.post("/auth/logout", json={"refresh_token": body["access_token"]}).status_code == 204
    assert _status(app, body["access_token"]) == 200
    assert client.post("/auth/refresh", json={"refresh_token": body["refresh_token"]}).status_code == 200


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", None, ["HS256"], "HS512", "hs256", 1])
@pytest.mark.parametrize("signature", ["", "kept"])
def test_an_algorithm_of_the_tokens_own_choice(app: Any, alg: Any, signature: str) -> None:
    good = log_in(app)["token"]
    head, payload, mac = good.split(".")
    header = json.loads(base64.urlsafe_b64decode(head + "=="))
    assert _status(app, f"{_part(header)}.{payload}.{mac}") in {200, 401}
    assert _status(app, f"{_part({**header, 'alg': alg})}.{payload}.{mac if signature else ''}") == 401
    assert _status(app, good) == 200


def test_the_signature_binds_every_part(app: Any) -> None:
    good = log_in(app)["token"]
    head, payload, mac = good.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    assert _status(app, f"{head}.{_part({**claims, 'sub': '2'})}.{mac}") == 401
    assert _status(app, f"{head}.{_part({**claims, 'exp': claims['exp'] + 1})}.{mac}") == 401
    for token in (
        f"{head}.{payload}.", f"{head}.{payload}", f"{good}.", f"{good}.x", f".{payload}.{mac}", f"{good}=",
        f"{head}..{mac}", f"{good}\n", f" {good}", f"{good[:-1]}", good.upper(), f"{good},{good}",
        f"{head}.{payload}.{mac[::-1]}",
        json.dumps({"payload": payload, "protected": head, "signature": mac}),
        good + "A" * 9000,
    ):  # fmt: skip
        assert _status(app, token.replace("\n", " ")) == 401, token[-30:]
    assert _status(app, good) == 200


def test_keys_that_the_token_brings_along(app: Any) -> None:
    own = "x" * 40
    k = _part(own.encode())
    for header in (
        {"jwk": {"kty": "oct", "k": k}}, {"jku": "https://evil.example/jwks"}, {"x5u": "https://evil.example"},
        {"x5c": ["AAAA"]}, {"kid": "../../dev/null"}, {"kid": "' OR 1=1 --"}, {"kid": ""}, {"kid": "\0"},
        {"kid": "k-unknown"}, {"crit": ["exp"]}, {"b64": False, "crit": ["b64"]}, {"zip": "DEF"}, {},
    ):  # fmt: skip
        assert _status(app, _sign(app, _claims(), key=own, **header)) == 401, header
        if header and "kid" not in header:
            assert _status(app, _sign(app, _claims(), **header)) == 401, header
    assert _status(app, _sign(app, _claims())) == 200


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_the_published_key_signs_nothing(tmp_path: Any, algorithm: str) -> None:
    """The public key as a shared secret, in every form in which one can write it (CVE-2022-29217)."""
    with running(f"sqlite:///{tmp_path / 'test.db'}", algorithm=algorithm) as app:
        register(app)
        good = log_in(app)["token"]
        assert _status(app, good) == 200
        published = app.test_client().get("/auth/jwks").json
        (jwk,) = published["keys"]
        assert jwk.keys().isdisjoint({"d", "p", "q", "dp", "dq", "qi", "k", "oth"})
        public = jwt.PyJWK(jwk).key
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        forms = [
            pem, pem.strip(), pem.replace(b"\n", b"\r\n"), pem.replace(b"\n", b""),
            public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            json.dumps(jwk).encode(), json.dumps(published).encode(), jwk.get("n", jwk.get("x", "")).encode(),
            base64.urlsafe_b64decode(jwk.get("n", jwk.get("x", "")) + "=="), jwk["kid"].encode(), b"",
        ]  # fmt: skip
        for secret in forms:
            for kid in (jwk["kid"], ...):
                header = {"alg": "HS256", "typ": "at+jwt"} | ({} if kid is ... else {"kid": kid})
                signed = f"{_part(header)}.{_part(_claims())}"
                mac = _part(hmac.new(secret, signed.encode(), hashlib.sha256).digest())
                assert _status(app, f"{signed}.{mac}") == 401
        # A pair of the attacker's own under our key id.
        other = ec.generate_private_key(ec.SECP256R1())
        forged = jwt.encode(_claims(), other, "ES256", headers={"typ": "at+jwt", "kid": jwk["kid"]})
        assert _status(app, forged) == 401
        own = ECAlgorithm.to_jwk(other.public_key(), as_dict=True)
        forged = jwt.encode(
            _claims(), other, "ES256", headers={"typ": "at+jwt", "kid": jwk["kid"], "jwk": own}
        )
        assert _status(app, forged) == 401


def test_a_token_of_a_sister_service_with_the_same_secret(app: Any, tmp_path: Any) -> None:
    sister = create_tables(make_app(f"sqlite:///{tmp_path / 'test.db'}", issuer="https://sister.example"))
    with sister.app_context():
        foreign = Auth.generate_token(1)
    with app.app_context():
        own = Auth.generate_token(1)
    assert (_status(sister, foreign), _status(app, own)) == (200, 200)
    assert (_status(app, foreign), _status(sister, own)) == (401, 401)


def test_a_token_outlives_nothing_in_the_cache(tmp_path: Any) -> None:
    with running(f"sqlite:///{tmp_path / 'test.db'}", access_lifetime=1, leeway=0) as app:
        token = register(app)["token"]
        assert _status(app, token) == 200
        time.sleep(2.1)
        answer = app.test_client().get("/guarded", headers=bearer(token))
        assert (answer.status_code, answer.json["slug"]) == (401, "token-expired")


MARKS = {
    "password": "quartz-SECRETMARK-lantern-19",
    "new password": "copper-SECRETMARK-meadow-58",
    "wrong password": "wrong-SECRETMARK-wrong",
}


def test_no_secret_in_any_log_and_no_line_that_was_not_ours(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("sqlalchemy.engine").setLevel(logging.NOTSET)
    with running(database_url) as app:
        client = app.test_client()
        made = client.post(
            "/auth/register",
            json={"email": "log@example.com", "password": MARKS["password"], "name": "Ada"},
            headers={"User-Agent": "agent\x1b[31m"},
        )
        bodies = [made.json, log_in(app, "log@example.com", MARKS["password"])]
        for email in (
            "log@example.com",
            "x\r\nERROR forged line\u2028\x1b[31m@example.com",
            MARKS["wrong password"],
        ):
            client.post("/auth/login", json={"email": email, "password": MARKS["wrong password"]})
        bodies.append(client.post("/auth/refresh", json={"refresh_token": bodies[0]["refresh_token"]}).json)
        client.get("/guarded", headers=bearer(bodies[0]["token"]))
        client.get("/guarded", headers=bearer(bodies[0]["token"] + "x"))
        client.post("/auth/validate-token", headers=bearer(bodies[1]["token"]))
        changed = client.post(
            "/auth/me/password",
            json={"current_password": MARKS["password"], "new_password": MARKS["new password"]},
            headers=bearer(bodies[2]["token"]),
        )
        bodies.append(changed.json)
        client.post("/auth/refresh", json={"refresh_token": bodies[0]["refresh_token"]})
        app.test_cli_runner().invoke(args=["linked-auth", "keys", "rotate", "--after", "0"])
        client.post("/auth/logout", headers=bearer(bodies[3]["token"]))
        state = app.extensions["linked_auth"]
        shown = [
            repr(each)
            for each in (state, state.settings, state.parts, state.ring, state.verifier, state.store)
        ]
    logged = [record for record in caplog.records if record.name.startswith("flask_linked_auth")]
    assert len(logged) >= 6
    texts = [record.getMessage() for record in logged] + [str(record.args) for record in logged] + shown
    secrets = ["SECRETMARK", SECRET]
    secrets += [body[name] for body in bodies for name in ("access_token", "refresh_token")]
    secrets += [body["access_token"].rpartition(".")[2] for body in bodies]
    for text in texts:
        assert not any(secret in text for secret in secrets), text[:200]
    for record in logged:
        assert record.getMessage().isprintable(), repr(record.getMessage())
        assert "forged" not in record.getMessage()
    assert PASSWORD not in "".join(texts)
