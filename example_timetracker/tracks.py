"""Tracks: who spent time on what, from when until when. The rows, and what can be done with them.

A track with neither `start` nor `end` is planned, one without `end` is running; of those a person has one at most.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Select, Text, extract, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, backref, mapped_column, relationship
from sqlalchemy.orm.exc import StaleDataError

from flask_linked_auth.errors import Conflict, InvalidFields, NotFound, Problem, UnknownUser

from .activities import Activity
from .database import Moment, db, now
from .fields import is_key
from .people import User

__all__ = ["NEWEST_FIRST", "Track", "find", "running_of", "save", "spent", "start", "stop", "tracks_of"]

ORDER, ONE_RUNNING = "ck_tracks_end_after_start", "uq_tracks_running"
RUNNING = text("started_at IS NOT NULL AND ended_at IS NULL")
END_FIRST = "Must not be before start."
NO_START = "Must not be given without start."
NO_SUCH = "There is no such track."


class Track(db.Model):  # type: ignore[name-defined,misc] # Flask-SQLAlchemy's own gap
    """Time that a person spends on an activity. `start` and `end` have whole seconds."""

    __tablename__ = "tracks"
    __table_args__ = (
        # Two requests at the same moment see nothing of each other: the table itself must refuse.
        CheckConstraint(
            "ended_at IS NULL OR (started_at IS NOT NULL AND ended_at >= started_at)", name="end_after_start"
        ),
        Index(ONE_RUNNING, "user_id", unique=True, sqlite_where=RUNNING, postgresql_where=RUNNING),
        Index("ix_tracks_user_id", "user_id", "ended_at"),
        {"sqlite_autoincrement": True},  # an old address never shows another track
    )
    __mapper_args__ = {"confirm_deleted_rows": False}  # noqa: RUF012 # of two who delete it, both have succeeded

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    activity_id: Mapped[int] = mapped_column(ForeignKey("activities.id", ondelete="RESTRICT"), index=True)
    description: Mapped[str] = mapped_column(Text, default="")
    # Not called as the attributes are: `end` is a word of SQL.
    start: Mapped[datetime | None] = mapped_column("started_at", Moment)
    end: Mapped[datetime | None] = mapped_column("ended_at", Moment)

    user: Mapped[User] = relationship(
        backref=backref("entries", cascade="all, delete-orphan", passive_deletes=True)
    )
    activity: Mapped[Activity] = relationship(
        backref=backref("entries", passive_deletes="all"), lazy="joined", innerjoin=True
    )

    def __str__(self) -> str:
        return f"{self.activity}: {self.description}" if self.description else str(self.activity)

    @property
    def running(self) -> bool:
        """Whether it was started and not stopped."""
        return self.start is not None and self.end is None

    @property
    def seconds(self) -> int | None:
        """How long it took, or has been running until now; None for a planned one."""
        if self.start is None:
            return None
        return max(0, int(((self.end or now()) - self.start).total_seconds()))


#: First what is running, then what is planned, then what ended last.
NEWEST_FIRST = (Track.end.desc().nulls_first(), Track.start.desc().nulls_last(), Track.id.desc())


def tracks_of(user_id: int) -> Select[Any]:
    """The query for a person's own tracks."""
    return select(Track).where(Track.user_id == user_id)


def find(user_id: int, track_id: str, *, to_change: bool = False) -> Track:
    """One of a person's tracks. Raises NotFound; also for somebody else's, of which nobody shall know."""
    track: Track | None = None
    if is_key(track_id):
        query = tracks_of(user_id).where(Track.id == int(track_id))
        track = db.session.scalar(query.with_for_update(of=Track) if to_change else query)
    if track is None:
        raise NotFound(NO_SUCH)
    return track


def running_of(user_id: int) -> Track | None:
    """The track that a person has running."""
    query = tracks_of(user_id).where(Track.start.is_not(None), Track.end.is_(None))
    track: Track | None = db.session.scalar(query)
    return track


def start(track: Track) -> None:
    """Start a new or a planned track now, and stop what the person has running. Raises Conflict, and as `save`."""
    if track.start is not None:
        raise Conflict("This track has been started before.")
    moment, running = now(), running_of(track.user_id)
    if running is not None:
        _stop(running, moment)
        db.session.flush()  # before the other one is written: for one moment there would be two
    track.start = moment
    save(track)


def stop(track: Track) -> None:
    """Stop a running track now. Raises Conflict for one that is not running, and as `save`."""
    if not track.running:
        raise Conflict("This track is not running.")
    _stop(track, now())
    save(track)


def _stop(track: Track, moment: datetime) -> None:
    track.end = moment if track.start is None else max(moment, track.start)


def save(track: Track) -> None:
    """Write a new or changed track, for the caller to commit.

    Raises InvalidFields for an end that does not fit the start and for an activity that is not there, Conflict for a
    second running track, NotFound for one deleted in the meantime, UnknownUser for a person who left.
    """
    if track.end is not None and track.start is None:
        raise _invalid("end", NO_START)
    if track.end is not None and track.start is not None and track.end < track.start:
        raise _invalid("end", END_FIRST)
    user_id = track.user_id
    db.session.add(track)
    try:
        db.session.flush()
    except IntegrityError as error:
        db.session.rollback()
        raise _problem_of(error, user_id) from None
    except StaleDataError:  # somebody deleted it since it was read
        db.session.rollback()
        raise NotFound(NO_SUCH) from None
    db.session.expire(track, ["activity"])  # the key may be another one now


def _problem_of(error: IntegrityError, user_id: int) -> Problem:
    """Which rule of the table it was. The words of PostgreSQL quote the row, so there only the name counts."""
    diagnosis = getattr(error.orig, "diag", None)
    said = str(error.orig if diagnosis is None else diagnosis.constraint_name)
    if said == ONE_RUNNING or "tracks.user_id" in said:
        return Conflict("There is a running track already. Stop it first.")
    if ORDER in said:
        return _invalid("end", END_FIRST)
    if db.session.get(User, user_id) is None:
        return UnknownUser("This person has no account any more.")
    return _invalid("activity", "There is no such activity.")


def _invalid(field: str, complaint: str) -> InvalidFields:
    return InvalidFields("Some fields are not valid.", errors={field: [complaint]})


def spent(user_id: int) -> dict[str, Any]:
    """What a person has spent time on: seconds in all and per activity, the most first. The running track counts."""
    seconds = extract("epoch", Track.end) - extract("epoch", Track.start)
    query = (
        select(Activity.id, Activity.name, func.sum(seconds), func.count())
        .join(Track, Track.activity_id == Activity.id)
        .where(Track.user_id == user_id, Track.end.is_not(None))
        .group_by(Activity.id, Activity.name)
    )
    each: dict[int, dict[str, Any]] = {
        key: {"activity": key, "name": name, "seconds": int(total), "tracks": count}
        for key, name, total, count in db.session.execute(query)
    }
    running = running_of(user_id)
    if running is not None:
        nothing = {"activity": running.activity_id, "name": running.activity.name, "seconds": 0, "tracks": 0}
        one = each.setdefault(running.activity_id, nothing)
        one["seconds"] += running.seconds
        one["tracks"] += 1
    listed = sorted(each.values(), key=lambda one: (-one["seconds"], one["name"], one["activity"]))
    return {"seconds": sum(one["seconds"] for one in listed), "activities": listed, "running": running}
