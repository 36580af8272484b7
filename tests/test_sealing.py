"""Sealed secrets open with the right key in the right place, and in no other way."""

from __future__ import annotations

import base64
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, strategies as st

from flask_linked_auth.errors import SealingError, SettingsError
from flask_linked_auth.sealing import Sealer, derive

OLD = "the old sealing key of a test, long enough"
NEW = "the new sealing key of a test, long enough"
PLACE = "signing_key/7/private"
SEALER = Sealer([OLD])


@given(st.binary(max_size=300), st.text(st.characters(exclude_categories=["Cs"])))
def test_what_was_sealed_opens_in_its_place(secret: bytes, context: str) -> None:
    assert SEALER.open(SEALER.seal(secret, context), context) == secret


def test_a_sealed_secret_names_its_format_and_key_and_shows_nothing() -> None:
    sealed = SEALER.seal(b"marked secret", PLACE)
    assert re.fullmatch(r"v1\.[\w-]{8}\.[\w-]+", sealed)
    assert b"marked" not in base64.urlsafe_b64decode(sealed.split(".")[2] + "==")


def test_sealing_twice_gives_two_texts() -> None:
    assert len({SEALER.seal(b"secret", PLACE) for _ in range(1000)}) == 1000


@given(st.text(max_size=30).filter(lambda context: context != PLACE))
def test_a_sealed_secret_that_was_moved_does_not_open(context: str) -> None:
    sealed = SEALER.seal(b"secret", PLACE)
    if any("\ud800" <= character <= "\udfff" for character in context):
        return
    with pytest.raises(SealingError):
        SEALER.open(sealed, context)
    assert SEALER.open(sealed, PLACE) == b"secret"


def test_every_change_of_one_character_is_refused() -> None:
    sealed = SEALER.seal(b"secret", PLACE)
    for position, character in enumerate(sealed):
        for other in "AB-_.=+ \n\0é":
            if other != character:
                with pytest.raises(SealingError):
                    SEALER.open(sealed[:position] + other + sealed[position + 1 :], PLACE)


def test_every_cut_and_every_tail_is_refused() -> None:
    sealed = SEALER.seal(b"secret", PLACE)
    for length in range(len(sealed)):
        with pytest.raises(SealingError):
            SEALER.open(sealed[:length], PLACE)
    for tail in ("A", "AA", "AAAA", "=", "==", "\n", "."):
        with pytest.raises(SealingError):
            SEALER.open(sealed + tail, PLACE)


@given(st.text())
def test_any_text_is_refused_and_nothing_else_happens(text: str) -> None:
    with pytest.raises(SealingError):
        SEALER.open(text, PLACE)


@given(st.from_regex(r"[A-Za-z0-9_-]{0,80}", fullmatch=True))
def test_any_text_under_our_key_id_is_refused(text: str) -> None:
    key_id = SEALER.seal(b"", "").split(".")[1]
    with pytest.raises(SealingError):
        SEALER.open(f"v1.{key_id}.{text}", PLACE)


def test_unused_last_bits_must_be_zero() -> None:
    sealed = SEALER.seal(b"123456", PLACE)  # 12 + 6 + 16 bytes: four bits of the last character are unused
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    changed = sealed[:-1] + last[last.index(sealed[-1]) + 1]
    with pytest.raises(SealingError):
        SEALER.open(changed, PLACE)


# Rotation


def test_a_new_key_seals_and_the_old_one_still_opens() -> None:
    sealed = Sealer([OLD]).seal(b"secret", PLACE)
    rotated = Sealer([NEW, OLD])
    assert rotated.open(sealed, PLACE) == b"secret"
    assert not rotated.is_current(sealed)
    again = rotated.seal(rotated.open(sealed, PLACE), PLACE)
    assert rotated.is_current(again)
    assert Sealer([NEW]).open(again, PLACE) == b"secret"
    assert Sealer([OLD]).is_current(sealed)


def test_a_key_that_is_gone_is_named() -> None:
    sealed = Sealer([OLD]).seal(b"secret", PLACE)
    with pytest.raises(SealingError, match=re.escape(sealed.split(".")[1])) as caught:
        Sealer([NEW]).open(sealed, PLACE)
    assert "LINKED_AUTH_ENCRYPTION_KEYS" in str(caught.value)


def test_another_keys_id_on_it_does_not_open_it() -> None:
    """What one key sealed is bound to its id: relabelled, it does not pass for the newest."""
    rotated = Sealer([NEW, OLD])
    sealed = Sealer([OLD]).seal(b"secret", PLACE)
    _, key_id, text = sealed.split(".")
    current = rotated.seal(b"", "").split(".")[1]
    assert current != key_id
    with pytest.raises(SealingError):
        rotated.open(f"v1.{current}.{text}", PLACE)


@pytest.mark.parametrize("text", ["", "v1", "v1.", "v2.x.y", "plain"])
def test_what_is_not_sealed_is_not_current(text: str) -> None:
    assert not SEALER.is_current(text)


def test_the_same_key_twice_is_one() -> None:
    sealer = Sealer([NEW, NEW, OLD])
    assert sealer.is_current(sealer.seal(b"", ""))
    assert "2 keys" in repr(sealer)


# Settings


@pytest.mark.parametrize(
    "keys", [[], (), "a text in place of a list, long enough", ["short"], [NEW, "x" * 31], [NEW, ""]]
)
def test_weak_or_missing_keys_are_a_settings_error(keys: list[str]) -> None:
    with pytest.raises(SettingsError, match="LINKED_AUTH_ENCRYPTION_KEYS"):
        Sealer(keys)


def test_a_settings_error_does_not_show_the_key() -> None:
    with pytest.raises(SettingsError) as caught:
        Sealer([NEW, "marked-short-key"])
    assert "marked" not in str(caught.value)
    assert "Key 2" in str(caught.value)


def test_the_sealer_is_masked_where_it_is_shown() -> None:
    shown = repr(Sealer([NEW, OLD])) + str(Sealer([NEW, OLD]))
    assert "long enough" not in shown
    assert "2 keys" in shown


def test_many_threads_seal_and_open() -> None:
    def both(number: int) -> bool:
        secret, context = str(number).encode() * 50, f"row/{number}"
        return SEALER.open(SEALER.seal(secret, context), context) == secret

    with ThreadPoolExecutor(20) as pool:
        assert all(pool.map(both, range(2000)))


# Deriving


def test_derived_keys_differ_by_purpose_and_by_secret_and_are_stable() -> None:
    keys = {derive(secret, purpose) for secret in (OLD, NEW) for purpose in ("a", "b", "ab", "")}
    assert len(keys) == 8
    assert {len(key) for key in keys} == {32}
    assert derive(OLD, "a") == derive(OLD, "a")


def test_deriving_is_hkdf_as_anybody_computes_it() -> None:
    """RFC 5869, without salt. What is stored depends on this: it must never change."""
    hkdf = HKDF(SHA256(), 32, salt=None, info=b"flask_linked_auth/refresh")
    assert derive(OLD, "refresh") == hkdf.derive(OLD.encode())


def test_what_an_earlier_release_sealed_still_opens() -> None:
    sealed = "v1.KxYsaprl.w-jzUxQK3fWU86GTnKzlfPh11Vg_FeUinwKT2KGCd7Ki3dMIRGuuZb5NbClcWUH9BE5R0upJ0tI"
    assert SEALER.open(sealed, PLACE) == b"sealed by an earlier release"
