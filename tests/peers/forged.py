"""Credentials as an attacker or a careless pair might make them: by hand, with nothing of ours, nothing checked."""

from __future__ import annotations

import hmac
import json
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import jwt
from cryptography.hazmat.primitives.serialization import load_pem_private_key

ABSENT = object()


def token(
    private_key: str, algorithm: str, *, app: str, aud: str, said: str | None = None, **claims: Any
) -> str:
    """A `Link` credential; `said` is the App of the header if it is not the token's, ABSENT leaves a claim out."""
    now = time.time()
    every = {
        "sub": "",
        "iss": "",
        "app": app,
        "aud": aud,
        "exp": now + 600,
        "iat": now - 1,
        "typ": "JWT",
        **claims,
    }
    kept = {name: value for name, value in every.items() if value is not ABSENT}
    key: Any = bytes.fromhex(private_key)
    if algorithm == "EdDSA":
        key = load_pem_private_key(key, None)
    return f"Link App={said or app},Token={jwt.PyJWS().encode(json.dumps(kept).encode(), key, algorithm)}"


def signature(
    private_key: str,
    algorithm: str,
    *,
    app: str,
    method: str,
    body: str,
    params: str = "{}",
    headers: str = "{}",
    signed_headers: str = "",
    date: str = "",
) -> str:
    """A `Signature` credential of the Django package; what it covers is given as Python would print it."""
    date = date or datetime.now(UTC).isoformat()
    covered = {
        "timestamp": date,
        "app": app,
        "method": method,
        "params": params,
        "body": body,
        "headers": headers,
    }
    hash_name = {"HS256": "sha256", "HS512": "sha512"}[algorithm]
    mac = hmac.digest(bytes.fromhex(private_key), urlencode(covered).encode(), hash_name).hex()
    return f"Signature App={app},Nonce={mac},SignedHeaders={signed_headers},Date={date}"
