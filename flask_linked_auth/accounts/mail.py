"""Mail: what one is, how it is written from its templates, how it is handed over, and the thread that does it."""

from __future__ import annotations

import atexit
import logging
import os
import random
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from ..errors import SettingsError
from ..globals import state_of
from ..texts import in_language, words
from ..tokens.revocation import in_memory

if TYPE_CHECKING:
    from flask import Flask

    from ..state import State

__all__ = ["Mail", "Post", "compose", "deliver", "refuse_without_mailer"]

log = logging.getLogger("flask_linked_auth")
printed = logging.getLogger("flask_linked_auth.mail")

MOST_WAITING = 1000  # jobs: what is more is dropped, since the memory of a process ends somewhere
_IDLE = 10.0  # seconds without a job after which the thread ends
_LAST = 5.0  # seconds that a process waits at its end for what is still to be mailed


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One mail for the mailer to send: the text and the HTML say the same.

    `purpose` is the name of its templates (`reset-password`, …). Raises ValueError for an address or a subject
    with a line break or another control character in it, which could become headers of the mail.
    """

    to: str
    subject: str
    text: str = field(repr=False)
    html: str = field(repr=False)
    purpose: str
    language: str

    def __post_init__(self) -> None:
        if not (self.to.isprintable() and self.subject.isprintable()):
            raise ValueError("An address or a subject has a control character in it.")


def compose(app: Flask, purpose: str, *, to: str, language: str, values: dict[str, Any]) -> Mail:
    """Write a mail from `linked_auth/mail/<purpose>.txt` (its first line is the subject) and `.html`."""
    spoken = in_language(language)
    given = {**words(spoken), "service": state_of(app).settings.name, **values}
    # Not by render_template: the host's context processors may want a request, and here is none.
    text, html = (
        app.jinja_env.get_template(f"linked_auth/mail/{purpose}.{kind}").render(given).strip() + "\n"
        for kind in ("txt", "html")
    )
    subject, _, text = text.partition("\n")
    return Mail(
        to=to,
        subject=" ".join(subject.split()),
        text=text.lstrip("\n"),
        html=html,
        purpose=purpose,
        language=spoken.language,
    )


def deliver(app: Flask, mail: Mail) -> None:
    """Hand a mail to the host's mailer; in debug, without one, print it to the log. A mailer that raises is logged."""
    mailer = state_of(app).hooks.get("mailer")
    if mailer is not None:
        try:
            app.ensure_sync(mailer)(mail)
        except Exception as error:  # noqa: BLE001 - the host's, and nobody waits for it
            _note("The mailer raised", error)
    elif app.debug:
        printed.warning("No mailer is set; this mail is for %s:\n%s\n\n%s", mail.to, mail.subject, mail.text)


def refuse_without_mailer(app: Flask, state: State) -> None:
    """Raise SettingsError outside debug and testing if there is no mailer: who forgot a password would wait forever."""
    if "mailer" not in state.hooks and not (app.debug or app.testing):
        raise SettingsError(
            "Recovery by mail is on and there is no mailer: pass one as LinkedAuth(mailer=...), or decorate one with"
            " @auth.mailer before auth.init_app(app), or set LINKED_AUTH_RECOVERY = False."
        )


def _note(what: str, error: Exception) -> None:
    # Without its words and what it wraps: they may quote the mail, or the values of an SQL statement.
    where = "".join(traceback.format_tb(error.__traceback__))
    log.error(
        "%s %s (its words are left out, they may hold a secret):\n%s", what, type(error).__name__, where
    )


class Post:
    """Does jobs one after another in a thread of its own, so that no answer waits for them or tells of them.

    Under `app.testing` and on an in-memory database a job is done on the spot. A job that raises is logged; when too
    many wait, a further one is dropped. What waits is not kept anywhere else: at the end of the process a few seconds
    are left for it, and a process that is killed loses it.
    """

    def __init__(self) -> None:
        self._start_anew()
        _posts.add(self)

    def _start_anew(self) -> None:
        self._changed = threading.Condition()
        self._jobs: deque[tuple[Flask, Callable[[], None]]] = deque()
        self._thread: threading.Thread | None = None

    def add(self, app: Flask, job: Callable[[], None]) -> None:
        """Do `job` soon, in an app context of its own. Never raises."""
        db = app.extensions.get("sqlalchemy")
        # An in-memory database has one connection: a thread would commit there what a request has not finished.
        if app.testing or (db is not None and in_memory(db)):
            _do(app, job)
            return
        with self._changed:
            full = len(self._jobs) >= MOST_WAITING
            if not full:
                self._jobs.append((app, job))
                self._wake()
        if full:
            log.warning("Too much mail is waiting: one mail is not sent.")

    def _wake(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            thread = threading.Thread(target=self._work, name="linked-auth-mail", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # no thread can be had: the next job tries again
                _note("The thread that mails cannot start:", error)
                return
            self._thread = thread
        self._changed.notify_all()

    def _work(self) -> None:
        while (work := self._next()) is not None:
            # The answer goes out before the job begins: it would otherwise be slowed down, and by jobs that find
            # a person more than by those that find nobody.
            time.sleep(random.uniform(0.01, 0.05))  # noqa: S311 - nothing is guessed from it
            try:
                _do(*work)
            finally:
                with self._changed:
                    self._jobs.popleft()
                    self._changed.notify_all()

    def _next(self) -> tuple[Flask, Callable[[], None]] | None:
        with self._changed:
            if not self._jobs and not self._changed.wait_for(lambda: self._jobs, _IDLE):
                self._thread = None
                return None
            return self._jobs[0]

    def finish(self, seconds: float = _LAST) -> bool:
        """Wait until everything is done, but not longer than this; whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._jobs or self._thread is None, seconds)


def _do(app: Flask, job: Callable[[], None]) -> None:
    try:
        with app.app_context():
            job()
    except Exception as error:  # noqa: BLE001 - the next job is another person's
        _note("A mail could not be made:", error)


_posts: WeakSet[Post] = WeakSet()


def _finish_all() -> None:
    until = time.monotonic() + _LAST
    for post in list(_posts):
        post.finish(max(0.0, until - time.monotonic()))


def _part() -> None:
    # A forked child has no thread of its parent's, and perhaps its locks, held; what waited the parent does.
    for post in list(_posts):
        post._start_anew()  # noqa: SLF001 - of this module


atexit.register(_finish_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_part)
