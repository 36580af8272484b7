"""Passwords: the long are taken, the guessable refused, and each try costs one bcrypt, whoever it is for."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import threading
import time
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import bcrypt
import pytest
from hypothesis import given, settings, strategies as st

from flask_linked_auth.accounts import passwords
from flask_linked_auth.accounts.passwords import (
    MAX_LENGTH,
    Hasher,
    complaints,
    hash_password,
    needs_rehash,
    normalise,
    verify_password,
)
from flask_linked_auth.errors import Unavailable

COST = 4
GOOD = "correct horse battery staple"
ANA = ("ana.lopez@example.com", "analopez", "Ana María López", "blog")


def told(password: str, *, min_length: int = 15, context: tuple[str, ...] = ANA) -> list[str]:
    return complaints(password, min_length=min_length, context=context)


# Which are taken


@pytest.mark.parametrize(
    "password",
    [
        GOOD,
        "violet-kettle-harbour-93",
        "Tr4vel ligh7 and far",
        "ana likes violet kettles",
        "my blog password is not here",
        "zebra monkey dragon sunshine",
        "Blogging about herons 42",
        "847362910574839",
        "7f!93k2#_8841xQ",
        "dragon7f!93k2#_8841x",
        "这是一个很长的密码而且没有人知道它",
        "мой дядя самых честных правил",
        "😀🐎🔋📎🌧🏔🎻🧊🪁🥝🛶🎲🧭🪴🦉",
        "  spaces  at  both  ends  ",
        "αβγ and other letters",
        "x" + GOOD * 3,
        GOOD * 2,
        GOOD + " " + "and so on, " * 20,
        "qwerty is how the keyboard begins",
        "1984 was a book, 2001 a film",
        "the password of my grandmother",
    ],
)
def test_a_long_password_without_rules_about_its_signs_is_taken(password: str) -> None:
    assert told(password) == []


@pytest.mark.parametrize("length", [64, 72, 73, 100, 1000, MAX_LENGTH])
def test_very_long_passwords_are_taken(length: int) -> None:
    password = (GOOD + "; ") * 40
    assert told(password[:length]) == []


def test_random_passwords_are_taken() -> None:
    for number in range(500):
        digest = hashlib.sha256(str(number).encode()).digest()
        assert told(base64.b85encode(digest).decode()[:15]) == []
        assert told(base64.b32encode(digest).decode()[:20].lower()) == []
        assert told(digest.hex()[:24]) == []


# Which are not


@pytest.mark.parametrize("min_length", [8, 15, 64])
def test_the_length_counts_code_points_after_normalising(min_length: int) -> None:
    letters = (GOOD.replace(" ", "") * 3)[:min_length]
    assert told(letters, min_length=min_length) == []
    assert "at least" in told(letters[:-1], min_length=min_length)[0]
    emoji = "".join(chr(0x1F400 + number * 3) for number in range(min_length))
    assert told(emoji, min_length=min_length) == []
    assert str(min_length) in told(emoji[:-1], min_length=min_length)[0]


def test_accents_typed_in_two_steps_do_not_count_twice() -> None:
    eight = "éàüöñçâî"
    assert len(unicodedata.normalize("NFD", eight)) == 16
    assert "at least 15" in told(unicodedata.normalize("NFD", eight))[0]


def test_one_character_that_becomes_a_phrase_does_not_count_as_one() -> None:
    assert len(normalise("\ufdfa")) == 18
    assert "at least 15" in told("\ufdfa")[0]


def test_more_than_the_bound_is_refused_before_any_work() -> None:
    """CVE-2013-1443, and the quadratic time that normalising takes on rows of combining marks."""
    started = time.thread_time()
    for password in (
        "x" * 5_000_000,
        "a" + "\u0300\u0316" * 2_000_000,
        "\ud800" * 1_000_000,
        "\0" * 1_000_000,
    ):
        assert told(password) == [f"Use at most {MAX_LENGTH} characters."]
    assert time.thread_time() - started < 0.3


def test_the_worst_password_within_the_bound_is_judged_at_once() -> None:
    started = time.thread_time()
    for unit in ("a", "ab", "a\u0300\u0316", "\ufdfa", "0123456789", "a1", "\U0001d15e", "-", "qwerty "):
        told((unit * MAX_LENGTH)[:MAX_LENGTH], context=(*ANA, "a" + "\u0300\u0316" * 200_000) * 5)
    assert time.thread_time() - started < 2


@pytest.mark.parametrize("character", ["\0", "\ud800"])
@pytest.mark.parametrize("place", [0, 5, len(GOOD)])
def test_nul_and_lone_surrogates_are_refused(character: str, place: int) -> None:
    assert len(told(GOOD[:place] + character + GOOD[place:])) == 1


@pytest.mark.parametrize(
    "password",
    [
        "1qaz2wsx3edc4rfv",
        "momsanaladventure",
        "passwordstandard",
        "polniypizdec0211",
        "q1w2e3r4t5y6u7i8",
        "PasswordStandard",
        "PASSWORDSTANDARD",
        "password standard",
        "dradnatsdrowssap",
        "mailcreated5240",
        "mailcreated-52 40",
    ],
)
def test_a_leaked_password_is_refused(password: str) -> None:
    assert len(told(password)) == 1


def test_the_three_thousand_most_common_passwords_are_refused_at_any_minimum() -> None:
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    common = FREQUENCY_LISTS["passwords"][:3000]
    assert common[0] == "123456"
    for password in common:
        assert told(password, min_length=1), password
        assert told(password.upper(), min_length=1), password


@pytest.mark.parametrize(
    "password",
    [
        "password1234567",
        "Password!2024!!!",
        "P4ssw0rd1234567!",
        "pa$$word12345678",
        "drowssap12345678",
        "2024password2024",
        "password19900101",
        "!!!!dragon!!!!!!",
        "international12345",
        "        password        ",
        "password-password",
        "let me in let me in",
        "dragon  dragon  dragon",
        "sunshine1sunshine1",
        "Elizabeth1990!!",
        "htebazile1990!!",
    ],
)
def test_a_common_word_with_a_tail_is_refused(password: str) -> None:
    assert told(password), password


@pytest.mark.parametrize(
    "password",
    [
        "123456789012345",
        "987654321098765",
        "012345678901234",
        "abcdefghijklmno",
        "zyxwvutsrqponml",
        "qwertyuiopasdfg",
        "qwertyuiop12345",
        "asdfghjklqwertyuiop",
        "1q2w3e4r5t6y7u8i9o0p",
        "QWERTYUIOP123456789",
        "aaaaaaaaaaaaaaa",
        "a" * 64,
        "aaaaabbbbbccccc",
        "abcabcabcabcabc",
        "123123123123123",
        "blueblueblueblue",
        "short1short1short1",
        "123abc456def789",
        "1111122222333334444455555",
        "               ",
        "!@#$%^&*()!@#$%",
    ],
)
def test_a_row_a_run_or_a_repetition_is_refused(password: str) -> None:
    assert any("repetition" in complaint for complaint in told(password)), password


@pytest.mark.parametrize(
    "password",
    [
        "ana.lopez@example.com",
        "ANA.LOPEZ@EXAMPLE.COM",
        "ana.lopez@example.com1",
        "analopez1234567",
        "1analopezanalopez",
        "Ana María López 2024",
        "lópez-maría-ana-7",
        "ana.lopez.blog.99",
        "example.com/blog1",
        "analopezpassword1",
        "blog-ana-lopez-12",
        "xX_analopez_Xx_99",
    ],
)
def test_a_password_of_little_else_than_known_words_is_refused(password: str) -> None:
    assert any("your name" in complaint for complaint in told(password)), password
    assert not any("your name" in complaint for complaint in told(password, context=()))


def test_a_known_word_among_others_is_taken() -> None:
    for password in (
        "ana rides a green bicycle",
        "the blog of the lopez family cat",
        "María climbs volcanoes",
    ):
        assert told(password) == []


@pytest.mark.parametrize(
    "context",
    [
        ("",),
        ("a", "of", "-"),
        ("@",),
        ("\0",),
        ("\ud800" * 5,),
        ("x" * 100_000,),
        (" ".join("abcdefghijklmnopqrstuvwxyz"),),
        (),
    ],
)
def test_short_empty_and_odd_context_refuses_nothing(context: tuple[str, ...]) -> None:
    assert told("a house of cards - and on", context=context) == []


@given(st.text(max_size=60), st.lists(st.text(max_size=20), max_size=4))
def test_any_text_is_judged_without_an_error(password: str, context: list[str]) -> None:
    found = complaints(password, min_length=15, context=context)
    assert all(isinstance(complaint, str) and complaint.endswith(".") for complaint in found)


def test_a_complaint_does_not_repeat_the_password() -> None:
    for password in ("markedmarkedmarked", "marked", "marked12345678901"):
        assert told(password)
        assert "marked" not in "".join(told(password))


# Hashing


@given(st.text(max_size=100))
@settings(max_examples=60)
def test_any_text_is_verified_by_its_own_hash_and_by_no_other(password: str) -> None:
    stored = hash_password(password, cost=COST)
    assert stored.startswith(f"fla1:$2b${COST:02}$")
    assert verify_password(password, stored, cost=COST)
    assert not verify_password(password + "x", stored, cost=COST)
    assert not verify_password("x" + password, stored, cost=COST)


def test_what_is_hashed_is_the_whole_password() -> None:
    """Neither cut at 72 bytes (bcrypt) nor at NUL, trimmed or folded."""
    long = GOOD * 10
    stored = hash_password(long, cost=COST)
    assert verify_password(long, stored, cost=COST)
    others = [long[:-1], long[:72], long + " ", " " + long, long.upper(), long.swapcase(), long.strip("c")]
    for other in others:
        assert not verify_password(other, stored, cost=COST)
    with_nul = hash_password("abc\0def", cost=COST)
    assert verify_password("abc\0def", with_nul, cost=COST)
    assert not verify_password("abc\0xyz", with_nul, cost=COST)
    assert not verify_password("abc", with_nul, cost=COST)


@pytest.mark.parametrize("length", [71, 72, 73, 74, 1000, MAX_LENGTH, MAX_LENGTH + 1, 100_000])
@pytest.mark.parametrize("character", ["x", "é", "😀", "\ud800", "\u0300"])
def test_no_length_raises(length: int, character: str) -> None:
    """Bcrypt 5 raises over 72 bytes."""
    stored = hash_password(character * length, cost=COST)
    assert verify_password(character * length, stored, cost=COST)
    assert not verify_password(character * (length - 1), stored, cost=COST)


def test_an_endless_password_costs_no_more_than_reading_it() -> None:
    started = time.thread_time()
    assert not verify_password("a" + "\u0300\u0316" * 1_000_000, None, cost=COST)
    assert time.thread_time() - started < 1


@pytest.mark.parametrize("text", ["Ångström café ﬁre ①②③", "日本語のパスワード", "ÅÅÅ"])
def test_the_same_text_from_another_keyboard_verifies(text: str) -> None:
    stored = hash_password(text, cost=COST)
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert verify_password(unicodedata.normalize(form, text), stored, cost=COST)
    assert normalise(unicodedata.normalize("NFD", text)) == normalise(text)


def test_characters_that_utf8_does_not_know_are_told_apart() -> None:
    stored = hash_password(GOOD + "\ud800", cost=COST)
    assert verify_password(GOOD + "\ud800", stored, cost=COST)
    for other in ("\ud801", "?", "\ufffd", ""):
        assert not verify_password(GOOD + other, stored, cost=COST)


def test_two_hashes_of_one_password_differ() -> None:
    assert hash_password(GOOD, cost=COST) != hash_password(GOOD, cost=COST)


def test_what_is_given_to_bcrypt_is_as_documented() -> None:
    """What is stored depends on this: it must never change."""
    stored = hash_password("Ångström", cost=COST)
    digest = hashlib.sha256(
        b"flask_linked_auth password v1\0" + unicodedata.normalize("NFKC", "Ångström").encode()
    )
    assert bcrypt.checkpw(base64.b64encode(digest.digest()), stored.removeprefix("fla1:").encode())


def test_what_an_earlier_release_stored_still_verifies() -> None:
    assert verify_password(
        GOOD, "fla1:$2b$04$TqptS/zBwo0ivkROmzd86e.VQdpvPePMXgK/Rw5Oy5yfmnfHNijuC", cost=COST
    )


def test_a_hash_of_a_hash_does_not_log_in() -> None:
    """Password shucking: knowing a bare SHA-256 of the password from elsewhere must not help."""
    bare = base64.b64encode(hashlib.sha256(GOOD.encode()).digest())
    stored = "fla1:" + bcrypt.hashpw(bare, bcrypt.gensalt(COST)).decode()
    assert not verify_password(GOOD, stored, cost=COST)


# Hashes from elsewhere


@pytest.mark.parametrize("variant", ["2a", "2b", "2y"])
@pytest.mark.parametrize("password", [GOOD, "é" * 20, "x", ""])
def test_a_bcrypt_hash_from_elsewhere_verifies(variant: str, password: str) -> None:
    stored = (
        bcrypt.hashpw(password.encode(), bcrypt.gensalt(COST)).decode().replace("$2b$", f"${variant}$", 1)
    )
    assert verify_password(password, stored, cost=COST)
    assert not verify_password(password + "x", stored, cost=COST)
    assert needs_rehash(stored, cost=COST)


def test_a_long_password_verifies_against_a_hash_from_elsewhere() -> None:
    long = "a long passphrase, " * 10
    stored = bcrypt.hashpw(long.encode()[:72], bcrypt.gensalt(COST)).decode()
    assert verify_password(long, stored, cost=COST)
    wide = "é" * 50
    stored = bcrypt.hashpw(wide.encode()[:72], bcrypt.gensalt(COST)).decode()
    assert verify_password(wide, stored, cost=COST)


def test_a_password_repeated_after_nul_does_not_verify_against_a_hash_from_elsewhere() -> None:
    """The key of bcrypt is read in a circle, with a NUL at its end: "abc" and "abc NUL abc" are one key to it."""
    stored = bcrypt.hashpw(b"abc", bcrypt.gensalt(COST)).decode()
    assert bcrypt.checkpw(b"abc\0abc", stored.encode())
    assert verify_password("abc", stored, cost=COST)
    assert not verify_password("abc\0abc", stored, cost=COST)


def test_openwall_vectors_verify() -> None:
    """From the test vectors of crypt_blowfish."""
    for password, stored in (
        ("U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
        ("U*U*", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK"),
        ("U*U*U", "$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a"),
    ):
        assert verify_password(password, stored, cost=COST)


def test_our_tag_on_a_foreign_hash_does_not_make_it_ours() -> None:
    foreign = bcrypt.hashpw(GOOD.encode(), bcrypt.gensalt(COST)).decode()
    assert not verify_password(GOOD, "fla1:" + foreign, cost=COST)
    ours = hash_password(GOOD, cost=COST)
    assert not verify_password(GOOD, ours.removeprefix("fla1:"), cost=COST)


@pytest.mark.parametrize(
    ("stored", "stale"),
    [
        (hash_password(GOOD, cost=4), False),
        (hash_password(GOOD, cost=5), True),
        (bcrypt.hashpw(b"x", bcrypt.gensalt(4)).decode(), True),
        ("", False),
        (None, False),
        ("!", False),
        ("fla1:", False),
        ("pbkdf2:sha256:1$a$b", False),
    ],
    ids=[
        "current",
        "another cost",
        "from elsewhere",
        "empty",
        "none",
        "unusable",
        "tag only",
        "another kind",
    ],
)
def test_which_hashes_are_to_be_made_anew(stored: str | None, stale: bool) -> None:
    assert needs_rehash(stored, cost=4) is stale
    assert Hasher(1, 4).needs_rehash(stored) is stale


# One bcrypt for everybody (CVE-2024-39329, CVE-2025-13473)

HASH = hash_password(GOOD, cost=COST)
PLAIN = bcrypt.hashpw(GOOD.encode(), bcrypt.gensalt(COST)).decode()


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The cost of every bcrypt that was computed to its end; bcrypt itself is the real one."""
    costs: list[str] = []
    real = bcrypt.checkpw

    def counted(password: bytes, hashed: bytes) -> bool:
        answer = real(password, hashed)
        costs.append(hashed.decode().split("$")[2])
        return answer

    monkeypatch.setattr(bcrypt, "checkpw", counted)
    return costs


@pytest.mark.parametrize(
    ("password", "stored", "right"),
    [
        pytest.param(GOOD, HASH, True, id="right"),
        pytest.param("wrong", HASH, False, id="wrong"),
        pytest.param(GOOD, PLAIN, True, id="right, from elsewhere"),
        pytest.param("wrong", PLAIN, False, id="wrong, from elsewhere"),
        pytest.param(GOOD, None, False, id="nobody"),
        pytest.param(GOOD, "", False, id="no password"),
        pytest.param(GOOD, "!", False, id="disabled"),
        pytest.param(GOOD, "!" + HASH, False, id="locked"),
        pytest.param(GOOD, "fla1:", False, id="tag only"),
        pytest.param(GOOD, "fla2:" + PLAIN, False, id="a later tag"),
        pytest.param(GOOD, HASH[:-1], False, id="cut"),
        pytest.param(GOOD, HASH + "x", False, id="with a tail"),
        pytest.param(GOOD, HASH + "\n", False, id="with a line end"),
        pytest.param(GOOD, "fla1:$2b$03" + HASH[11:], False, id="a cost that is none"),
        pytest.param(GOOD, "fla1:$2b$99" + HASH[11:], False, id="another cost that is none"),
        pytest.param(GOOD, "$2b$04$" + "a" * 53, False, id="a salt that is none"),
        pytest.param(GOOD, "$2x$04$" + PLAIN[7:], False, id="the broken variant"),
        pytest.param(GOOD, GOOD, False, id="clear text"),
        pytest.param(GOOD, hashlib.md5(GOOD.encode()).hexdigest(), False, id="MD5"),
        pytest.param(GOOD, "pbkdf2_sha256$1$a$b", False, id="Django"),
        pytest.param(GOOD, "\ud800é\0", False, id="garbage"),
        pytest.param(GOOD + "\0", PLAIN, False, id="NUL, from elsewhere"),
        pytest.param("", HASH, False, id="empty"),
        pytest.param("x" * 100_000, HASH, False, id="endless"),
        pytest.param("x" * 100_000, None, False, id="endless for nobody"),
        pytest.param("\ud800", None, False, id="surrogate for nobody"),
    ],
)
def test_each_try_takes_exactly_one_bcrypt(
    password: str, stored: str | None, right: bool, computed: list[str]
) -> None:
    assert verify_password(password, stored, cost=COST) is right
    assert computed == ["04"]
    computed.clear()
    assert Hasher(1, COST).verify(password, stored) is right
    assert computed == ["04"]


def test_for_nobody_the_bcrypt_has_the_cost_of_the_setting(computed: list[str]) -> None:
    for cost in (4, 5, 6):
        assert not verify_password(GOOD, None, cost=cost)
        assert not Hasher(1, cost).verify(GOOD, None)
    assert computed == ["04", "04", "05", "05", "06", "06"]


def test_nobody_takes_as_long_as_somebody() -> None:
    """No proof, the count above is; this would notice that the stand-in is not computed to its end."""
    stored = hash_password(GOOD, cost=8)

    def best(against: str | None) -> float:
        times = []
        for _ in range(7):
            started = time.thread_time()
            verify_password("wrong", against, cost=8)
            times.append(time.thread_time() - started)
        return min(times)

    assert 0.5 < best(None) / best(stored) < 2


def test_no_password_known_verifies_against_the_stand_in() -> None:
    for password in ("", GOOD, "password", "\0"):
        assert not verify_password(password, f"$2b$04${passwords._NEVER}", cost=COST)
        assert not verify_password(password, f"fla1:$2b$04${passwords._NEVER}", cost=COST)


# How many at once


def test_only_so_many_are_hashed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "SLOT_PATIENCE", 30)
    running, most, lock = 0, 0, threading.Lock()
    real = bcrypt.checkpw

    def watched(password: bytes, hashed: bytes) -> bool:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        try:
            return real(password, hashed)
        finally:
            with lock:
                running -= 1

    monkeypatch.setattr(bcrypt, "checkpw", watched)
    hasher = Hasher(3, 6)
    stored = hasher.hash(GOOD)
    with ThreadPoolExecutor(12) as pool:  # three at work and nine that may wait
        assert all(pool.map(lambda _: hasher.verify(GOOD, stored), range(60)))
    assert most <= 3


def test_who_waits_too_long_is_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "SLOT_PATIENCE", 0.05)
    hasher = Hasher(1, 13)
    refused: list[Unavailable] = []

    def attempt(_: int) -> bool:
        try:
            return hasher.verify(GOOD, None)
        except Unavailable as error:
            refused.append(error)
            return False

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(attempt, range(10)))
    assert refused
    assert {error.status for error in refused} == {503}
    assert refused[0].headers() == {"Retry-After": "1"}


def test_a_slot_is_given_back_after_an_error() -> None:
    hasher = Hasher(1, COST)
    for _ in range(3):
        with pytest.raises(TypeError):
            hasher.hash(None)  # type: ignore[arg-type]
    assert hasher.verify(GOOD, hasher.hash(GOOD))


def test_the_word_lists_are_loaded_only_where_passwords_are_chosen() -> None:
    script = (
        "import sys\n"
        "from flask_linked_auth.accounts.passwords import Hasher, complaints\n"
        "hasher = Hasher(1, 4)\n"
        f"assert hasher.verify({GOOD!r}, hasher.hash({GOOD!r}))\n"
        "assert 'zxcvbn' not in sys.modules\n"
        "assert complaints('password', min_length=8, context=())\n"
        "assert 'zxcvbn' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(passwords.__file__).parents[2])
