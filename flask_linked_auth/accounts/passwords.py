"""Passwords: which are refused, how they are hashed, and how many may be hashed at once.

By NIST SP 800-63B-4 section 3.1.1: long rather than complicated, never cut, never changed but for NFKC.
"""

from __future__ import annotations

import base64
import hashlib
import re
import threading
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import pairwise

import bcrypt

from ..catalogs import _
from ..errors import Unavailable

__all__ = [
    "MAX_LENGTH",
    "Hasher",
    "complaints",
    "hash_password",
    "needs_rehash",
    "normalise",
    "verify_password",
]

MAX_LENGTH = 1024  # code points, so at most 4096 bytes: checked before any work is done (CVE-2013-1443)
SLOT_PATIENCE = 0.5  # seconds to wait for a free hashing slot

_TAG = "fla1:"
_DOMAIN = b"flask_linked_auth password v1\0"
_BCRYPT = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}", re.ASCII).fullmatch
_NEVER = "abcdefghijklmnopqrstuu" + "." * 31  # a salt and a digest: verifying against them is real work

_LITTLE = 8  # characters: what a password has beside a known word must be more, or a date would do
_VARIETY = 6  # characters that a whole password must have when each run counts as one
_ROWS = (
    *("1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop", "azertyuiop"),
    *("1qaz", "2wsx", "3edc", "4rfv", "5tgb", "6yhn", "7ujm", "1q2w3e4r5t6y7u8i9o0p", "!@#$%^&*()"),
)
_STEPS = frozenset(pair for row in (*_ROWS, "abcdefghijklmnopqrstuvwxyz") for pair in pairwise(row))
_LEET = str.maketrans("4@310!5$7", "aaeloisst")
_EDGES = re.compile(r"^[\W\d_]+|[\W\d_]+$")

_TOO_LONG = _("Use at most %(most)s characters.", most=MAX_LENGTH)
_UNSTORABLE = _("This has a character that no keyboard types and no database keeps.")
_COMMON = _("This is one of the first passwords that are guessed. Several unrelated words are better.")
_PREDICTABLE = _("This is a row, a run or a repetition, which is guessed early. Several words are better.")
_PERSONAL = _("This is little else than your name, your e-mail address or the name of this service.")


def normalise(password: str) -> str:
    """NFKC: the same password from any keyboard is the same text."""
    return unicodedata.normalize("NFKC", password)


def complaints(password: str, *, min_length: int, context: Iterable[str]) -> list[str]:
    """What is wrong with a new password, as sentences; none when it is fine.

    `context` are words that an attacker knows: the e-mail address, the names, the service's name.
    """
    if len(password) > MAX_LENGTH:
        return [_TOO_LONG]
    if "\0" in password or any("\ud800" <= character <= "\udfff" for character in password):
        return [_UNSTORABLE]
    normal = normalise(password)
    found: list[str] = []
    # The shorter of both: some characters become a whole phrase by NFKC (U+FDFA becomes 18 letters).
    if min(len(password), len(normal)) < min_length:
        found.append(_("Use at least %(least)s characters.", least=min_length))
    folded = normal.casefold()
    if _is_predictable(folded, min_length):
        found.append(_PREDICTABLE)
    elif _is_common(folded):
        found.append(_COMMON)
    if _is_personal(folded, context):
        found.append(_PERSONAL)
    return found


def hash_password(password: str, *, cost: int) -> str:
    """`fla1:` and bcrypt, at `cost` (the logarithm of its rounds, 4 to 31), of a SHA-256 of the whole text.

    Any length is taken. There is no key in it whose loss or rotation would lock people out.
    """
    return _TAG + bcrypt.hashpw(_prehash(password), bcrypt.gensalt(cost)).decode()


def verify_password(password: str, stored: str | None, *, cost: int) -> bool:
    """Whether the password is the stored one; bcrypt hashes from elsewhere (`$2a$`, `$2b$`, `$2y$`) count.

    None and what is no hash of ours take one bcrypt of `cost` as well and are False: how long the answer
    takes does not tell whether there is such a person (CVE-2024-39329, CVE-2025-13473).
    """
    text = stored or ""
    ours = text.startswith(_TAG)
    digest = text.removeprefix(_TAG)
    # Elsewhere bcrypt was given the password itself, of which it reads 72 bytes.
    secret = _prehash(password) if ours else password.encode(errors="surrogatepass")[:72]
    if _BCRYPT(digest) and (ours or b"\0" not in secret):
        try:
            return bcrypt.checkpw(secret, digest.encode())
        except ValueError:
            pass  # shaped like a hash, and bcrypt reads neither its cost nor its salt
    bcrypt.checkpw(_prehash(password), f"$2b${cost:02}${_NEVER}".encode())
    return False


def needs_rehash(stored: str | None, *, cost: int) -> bool:
    """Whether a password just verified should be hashed anew: it came from elsewhere, or at another cost."""
    text = stored or ""
    match = _BCRYPT(text.removeprefix(_TAG))
    return match is not None and not (text.startswith(_TAG) and int(match[1]) == cost)


class Hasher:
    """Hashes and verifies at one `cost`, at most `at_once` at a time in this process.

    Else many logins at once would take every processor for seconds. Three times as many may wait, for half a
    second; the rest is told at once. Raises Unavailable.
    """

    def __init__(self, at_once: int, cost: int) -> None:
        self._slots = threading.BoundedSemaphore(at_once)
        # Who waits takes a thread from everybody else.
        self._room = threading.BoundedSemaphore(4 * at_once)
        self._cost = cost

    def hash(self, password: str) -> str:
        """`hash_password` in a slot."""
        with self._slot():
            return hash_password(password, cost=self._cost)

    def verify(self, password: str, stored: str | None) -> bool:
        """`verify_password` in a slot: one bcrypt for everybody, known or not."""
        with self._slot():
            return verify_password(password, stored, cost=self._cost)

    def needs_rehash(self, stored: str | None) -> bool:
        """`needs_rehash` for this cost."""
        return needs_rehash(stored, cost=self._cost)

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if not self._room.acquire(blocking=False):
            raise Unavailable("Too many logins at once; try again.", retry_after=1)
        try:
            if not self._slots.acquire(timeout=SLOT_PATIENCE):
                raise Unavailable("Too many logins at once; try again.", retry_after=1)
            try:
                yield
            finally:
                self._slots.release()
        finally:
            self._room.release()


def _prehash(password: str) -> bytes:
    # Beyond the bound NFKC is left out: it takes quadratic time on long rows of combining marks.
    text = normalise(password) if len(password) <= MAX_LENGTH else password
    digest = hashlib.sha256(_DOMAIN + text.encode(errors="surrogatepass")).digest()
    # Base64, because bcrypt stops at a NUL byte; 44 characters, below its 72.
    return base64.b64encode(digest)


def _is_predictable(text: str, min_length: int) -> bool:
    # Said twice, a good password is still good.
    repeated = len(_unit(text)) < min(len(text), min_length)
    return repeated or len(_without_runs(text)) < min(len(text), min_length, _VARIETY)


def _unit(text: str) -> str:
    """What the text is a repetition of; the text itself when it is none."""
    return text[: (text + text).find(text, 1)] if text else ""


def _without_runs(text: str) -> str:
    """The text with each run (`aaaa`, `4567`, `dcba`, `qwert`) of three or more reduced to its first."""
    kept = []
    run = 1
    step = None
    for position, character in enumerate(text):
        before = text[position - 1] if position else ""
        now = _step(before, character)
        run = run + 1 if now is not None and now == step else (2 if now is not None else 1)
        step = now
        kept.append(character)
        if run == 3:
            del kept[-2:]
        elif run > 3:
            kept.pop()
    return "".join(kept)


def _step(before: str, character: str) -> int | None:
    if before == character:
        return 0
    if (before, character) in _STEPS:
        return 1
    return -1 if (character, before) in _STEPS else None


def _is_common(text: str) -> bool:
    """In the lists as it is or without separators, or a word of them with no more than a tail round it."""
    squeezed = re.sub(r"[\W_]+", "", text)
    passwords, words = _known_words()
    if text in passwords or squeezed in passwords:
        return True
    core = _EDGES.sub("", text)
    edge = text.replace(core, "", 1) if core else text
    unit = _unit(re.sub(r"[\W_]+", "", core))
    forms = {core, unit, core.translate(_LEET), unit[::-1]}
    return len(_without_runs(edge)) <= _LITTLE and not forms.isdisjoint(words)


def _is_personal(text: str, context: Iterable[str]) -> bool:
    pieces: set[str] = set()
    for known in context:
        folded = normalise(known[:MAX_LENGTH]).casefold()
        pieces.update((re.sub(r"[\W_]+", "", folded), *re.split(r"[\W_]+", folded)))
    left = squeezed = re.sub(r"[\W_]+", "", text)
    for piece in sorted((piece for piece in pieces if len(piece) >= 3), key=len, reverse=True):
        left = left.replace(piece, "")
    return left != squeezed and (len(_without_runs(left)) <= _LITTLE or _is_common(left))


@cache
def _known_words() -> tuple[frozenset[str], frozenset[str]]:
    """30,000 leaked passwords, and the same with as many English words and names again."""
    # Here, because it takes 20 MB: only processes in which passwords are chosen need it.
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # type: ignore[import-untyped, unused-ignore]

    passwords = frozenset(FREQUENCY_LISTS["passwords"])
    return passwords, passwords.union(*FREQUENCY_LISTS.values())
