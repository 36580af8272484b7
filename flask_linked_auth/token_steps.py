"""An access token's checks one by one, each with its reason: the same functions as `tokens.claims.verify`, in order.

Neither a signature nor a secret is ever in the words.
"""

from __future__ import annotations

import json
from binascii import a2b_base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from time import time
from typing import TYPE_CHECKING, Any

from jwt.exceptions import PyJWTError

from .errors import InvalidToken, Problem, RevokedToken
from .tokens.access import TYP, expected_of, key_reader
from .tokens.claims import (
    MAX_LENGTH,
    check_audience,
    check_issuer,
    check_presence,
    check_purpose,
    check_times,
    key_for,
    read_claims,
    read_header,
    signed_payload,
)
from .tokens.keys import secret_key
from .tokens.refresh import PREFIX, login_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from .state import State
    from .tokens.ring import Held

__all__ = ["Step", "life_of", "standing", "token_steps"]

_BROKEN = (InvalidToken, PyJWTError, ValueError, RecursionError)
_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_TYPES = {
    "JWT": "an ID token, or a token of another issuer",
    "jwt": "a token of another issuer",
    None: "none is given, as in tokens of other issuers",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One check: what is looked at, whether it holds (None if it decides nothing), and why."""

    name: str
    good: bool | None
    words: str


def token_steps(token: str, state: State) -> Iterator[Step]:
    """Every check up to the first that fails; what an unverified token says of itself comes as hearsay."""
    now = time()
    try:
        header = read_header(token)
    except _BROKEN as error:
        words = "" if token.startswith(PREFIX) else _words(error)  # what it may be says the same, and more
        yield Step("shape", False, f"{words} {_what_it_may_be(token, state)}".strip())
        return
    yield Step("shape", True, f"three parts of base64url, {len(token)} characters")
    expected = expected_of(state.settings, state.tokens, own=state.database is not None)
    members = ", ".join(
        f"{name} {_shown(header.get(name))}" for name in ("typ", "alg", "kid") if name in header
    )
    try:
        check_purpose(header, expected)
    except _BROKEN as error:
        yield Step("header", False, f"{_words(error)} {_purpose(header)}")
        yield from _hearsay(token, now)
        return
    yield Step("header", True, members)
    step, held = _key_step(header, state, now)
    yield step
    if held is None:
        yield from _hearsay(token, now)
        return
    try:
        payload = signed_payload(token, held.key)
    except _BROKEN:
        yield Step(
            "signature", False, "It is not by this key over this header and payload: one of them was altered."
        )
        yield from _hearsay(token, now)
        return
    yield Step("signature", True, f"right, by {held.key.algorithm}")
    yield from _claim_steps(payload, token, state)


def _what_it_may_be(token: str, state: State) -> str:
    """A guess at what was handed in by mistake."""
    if len(token) > MAX_LENGTH:
        return f"It has {len(token)} characters, and {MAX_LENGTH} are read."
    bare = token.strip("\"' \t\r\n")
    if bare.startswith("fla_rt_"):
        prefix = state.parts["accounts"].settings.prefix if "accounts" in state.parts else "/auth"
        where = f"exchange it at POST {prefix}/refresh for an access token"
        return f"This is a refresh token: {where}.{_login_of(bare, state)}"
    if bare.startswith("fla_ot_"):
        return "This is the code of a mailed link, which is good for the page that the link leads to only."
    if bare.lower().startswith("bearer "):
        return "The word Bearer stands there twice."
    if bare != token:
        return "There are quotation marks or white space around it."
    if any(each.isspace() for each in token):
        return "There is white space within it: it may have been wrapped or cut when it was copied."
    if "=" in token:
        return "There is padding (=) in it, which tokens do not have (RFC 7515 section 2)."
    dots = token.count(".")
    if dots == 4:
        return "Five parts are an encrypted token, which nothing here makes."
    return f"It has {dots + 1} part{'s' if dots else ''}." if dots != 2 else ""


def _login_of(token: str, state: State) -> str:
    if state.database is None:
        return ""
    row = login_of(state.database.db.session(), state.database.rows.Login, token)
    if row is None:
        return " No login knows it."
    return f" Its login {life_of(row, time())}."


def life_of(login: Any, now: float) -> str:
    """Until when a login goes on, or since when it is over."""
    if login.ended_at is not None:
        return f"ended {_when(login.ended_at, now)}"
    return f"{'expires' if login.expires_at > now else 'expired'} {_when(login.expires_at, now)}"


def _purpose(header: Mapping[str, Any]) -> str:
    typ = header.get("typ")
    if typ == TYP:
        return f"It has {', '.join(_shown(name) for name in sorted(header.keys() - {'alg', 'typ', 'kid'}))}."
    known = _TYPES.get(typ) if typ is None or isinstance(typ, str) else None
    return f"An access token's typ is {TYP}; here it is {_shown(typ)}{f' ({known})' if known else ''}."


# The key


def _key_step(header: Mapping[str, Any], state: State, now: float) -> tuple[Step, Held | None]:
    known: dict[str, Held] = {}
    try:
        known.update((held.key.kid, held) for held in state.ring.held())
        key = key_for(header, state.ring)
    except Problem as problem:
        kid = header.get("kid")
        why = _why_no_key(header, known.get(kid) if isinstance(kid, str) else None, state)
        return Step(
            "key", False, f"{problem.detail} {why}" if problem.status == 401 else problem.detail
        ), None
    known.update((held.key.kid, held) for held in state.ring.held())  # it may have been fetched just now
    held = known[key.kid]
    return Step("key", True, f"{key.kid}, {key.algorithm}: {_key_words(held, state, now)}"), held


def _why_no_key(header: Mapping[str, Any], held: Held | None, state: State) -> str:
    kid = header.get("kid")
    if "kid" not in header:
        return f"The header names no key, which is admitted only where there is one; there are {len(state.ring)}."
    if held is None:
        return f"The key {_shown(kid)} is none of ours: {', '.join(state.ring) or 'there are none'}."
    if held.status(time()) == "retired":
        return f"The key {kid} was retired {_when(held.accepted_until or 0, time())}, and every token by it is void."
    return f"The key {kid} is for {held.key.algorithm}; the header says {_shown(header.get('alg'))}."


def _key_words(held: Held, state: State, now: float) -> str:
    if held.active_from:
        return f"made here, {held.status(now)}" + (
            "" if held.accepted_until is None else f", accepted until {_moment(held.accepted_until)}"
        )
    if state.settings.secret and held.key.kid == secret_key(state.settings.secret).kid:
        return "LINKED_AUTH_SECRET"
    return (
        "one of LINKED_AUTH_SECRET_FALLBACKS" if held.key.algorithm == "HS256" else "published by the issuer"
    )


# The claims


def _claim_steps(payload: bytes, token: str, state: State) -> Iterator[Step]:
    now, expected = time(), expected_of(state.settings, state.tokens, own=state.database is not None)
    claims: dict[str, Any] = {}

    def read() -> None:
        claims.update(read_claims(payload))
        check_presence(claims, expected)

    checks: tuple[tuple[str, Callable[[], None], Callable[[], str]], ...] = (
        ("claims", read, lambda: ", ".join(sorted(claims))),
        ("issuer", lambda: check_issuer(claims, expected), lambda: _against(claims, "iss", expected.issuer)),
        (
            "audience",
            lambda: check_audience(claims, expected),
            lambda: _against(claims, "aud", expected.audience),
        ),
        ("times", lambda: check_times(claims, expected, now), lambda: _times(claims, state, now)),
        ("subject", lambda: _check_subject(claims, state), lambda: f"user {_shown(claims['sub'])}"),
    )
    for name, check, words in checks:
        try:
            check()
        except _BROKEN as error:
            yield Step(name, False, _words(error) + (f" {words()}." if claims else ""))
            return
        yield Step(name, True, words())
    yield from _standing_steps(claims, token, state)


def _check_subject(claims: Mapping[str, Any], state: State) -> None:
    if state.database is not None:
        try:
            key_reader(state.database.key_type)(claims["sub"])
        except ValueError as error:
            raise InvalidToken(f"The subject is {error}.") from None


def _against(claims: Mapping[str, Any], name: str, wanted: str) -> str:
    given = claims.get(name)
    return f"{name} is {_shown(given)}" + ("" if given == wanted else f", and must be {_shown(wanted)}")


def _times(claims: Mapping[str, Any], state: State, now: float) -> str:
    words = {
        "iat": "issued",
        "nbf": "valid from",
        "exp": "expired" if claims.get("exp", now) < now else "expires",
    }
    told = [f"{word} {_when(claims[name], now)}" for name, word in words.items() if name in claims]
    if {"iat", "exp"} <= claims.keys() and claims["exp"] - claims["iat"] > state.tokens.access_lifetime:
        told.append(f"made for {_span(claims['exp'] - claims['iat'])}")
    return ", ".join(told) + f" ({state.settings.leeway} s are forgiven)"


def _standing_steps(claims: Mapping[str, Any], token: str, state: State) -> Iterator[Step]:
    if state.database is None:
        yield Step(
            "revocation",
            None,
            "not known here: this service has no database, a token is good until it expires",
        )
    else:
        login = claims.get("sid")
        row = None if login is None else state.database.db.session().get(state.database.rows.Login, login)
        of_login = "outside any login" if login is None else f"login {_shown(login)}"
        of_login += f", which {life_of(row, time())}" if row is not None else ""
        try:
            state.readers["bearer"](token)
        except Problem as problem:
            hint = (
                f" It has generation {claims.get('gen', 0)}, {of_login}."
                if isinstance(problem, RevokedToken)
                else ""
            )
            yield Step("revocation", False, problem.detail + hint)
            return
        yield Step("revocation", True, f"not revoked (generation {claims.get('gen', 0)}, {of_login})")
        yield standing(state, key_reader(state.database.key_type)(claims["sub"]))
    carried = claims.get("scope")
    words = (
        "carries no list, so that the person's own count" if carried is None else f"only {_shown(carried)}"
    )
    yield Step("scopes", None, f"the token {words if carried is None else 'carries ' + words}")


def standing(state: State, user_id: Any, *, decides: bool = False) -> Step:
    """Whether there is such a person, and an active one; it `decides` for cookies, of which a guard reads the row."""
    from sqlalchemy.exc import DataError

    database = state.database_in_use()
    session = database.db.session()
    try:
        user = session.get(database.rows.User, user_id)
    except DataError:  # a number that the column is too small for
        session.rollback()
        user = None
    later = "" if decides else ": the guard does not look, but what reads g.user answers 401 user-unknown"
    if user is None:
        return Step("person", False if decides else None, f"nobody has this id{later}")
    if not getattr(user, "active", True):
        return Step(
            "person", False if decides else None, f"deactivated, by a change that ended no login{later}"
        )
    return Step("person", True, "active, an administrator" if getattr(user, "is_admin", False) else "active")


def _hearsay(token: str, now: float) -> Iterator[Step]:
    """What the token says of itself, though nobody vouches for it: mostly enough to see where it comes from."""
    try:
        claims = read_claims(a2b_base64(token.split(".")[1].translate(str.maketrans("-_", "+/")) + "=="))
    except _BROKEN:
        return
    told = [f"{name} {_shown(claims[name])}" for name in ("iss", "aud", "sub") if name in claims]
    told += (
        [f"{'expired' if claims['exp'] < now else 'expires'} {_when(claims['exp'], now)}"]
        if "exp" in claims
        else []
    )
    if told:
        yield Step("it says", None, f"unverified: {', '.join(told)}")


# Words


def _words(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "It is nested too deeply."
    ours = isinstance(error, InvalidToken) or str(error).endswith(".")
    return str(error) if ours else "It is not a JSON object in UTF-8."


def _shown(value: Any) -> str:
    """A value of a stranger's for a terminal: on one line, without control characters, and short."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 100 else f"{text[:96]} ..."


def _span(seconds: float) -> str:
    left, words = int(abs(seconds)), list[str]()
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if count and len(words) < 2:
            words.append(f"{count} {unit}{'s' if count > 1 else ''}")
    return " ".join(words) or "0 seconds"


def _when(moment: float, now: float) -> str:
    return f"in {_span(moment - now)}" if moment > now else f"{_span(now - moment)} ago"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
