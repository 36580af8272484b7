"""What the commands of every part share: failures in a line, deeds with their commit, people by any of their names."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from .errors import LinkedAuthError, Problem
from .globals import current_state

if TYPE_CHECKING:
    from .transactions import Transaction

__all__ = ["as_json", "commit_deed", "find_person", "moment", "plain_errors", "rows_of_text", "show_json"]

P = ParamSpec("P")
R = TypeVar("R")

#: The option with which a command answers for programs.
as_json = click.option("--json", "as_json", is_flag=True, help="For programs.")


def plain_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Say what was wrong in a line, instead of a traceback."""

    @functools.wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except Problem as problem:
            fields = [f"{field}: {' '.join(complaints)}" for field, complaints in problem.errors.items()]
            raise click.ClickException("\n".join([problem.detail, *fields])) from None
        except (click.ClickException, click.Abort):
            raise
        except (LinkedAuthError, RuntimeError) as error:
            raise click.ClickException(str(error)) from None
        except Exception as error:
            from .storage import storage_problem

            problem_ = storage_problem(error)
            if problem_ is None:
                raise
            advice = "A table is missing: run `flask db upgrade` or `flask linked-auth create-tables`."
            raise click.ClickException(advice if problem_.status == 500 else problem_.detail) from None

    return wrapper


def commit_deed(deed: Callable[[Transaction], R]) -> R:
    """Run a deed on the current app and commit."""
    from .transactions import commit

    return commit(current_state(), deed)


def find_person(text: str) -> Any:
    """The row of the person with this e-mail address, user name or key. Raises ClickException."""
    state = current_state()
    database = state.database_in_use()
    user = None
    if "accounts" in state.parts:
        from .accounts.login import find_credentials, normal_identifier

        session, model = database.db.session(), database.rows.User
        found = find_credentials(session, model, normal_identifier(text), typed=text)
        user = None if found is None else session.get_one(model, found.user_id)
    user = database.find(text) if user is None else user
    if user is None:
        raise click.ClickException(f"There is nobody with the e-mail address, user name or id {text!r}.")
    return user


def moment(seconds: float) -> str:
    """Unix seconds as ISO 8601 in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def show_json(value: Any) -> None:
    """Print a value for programs."""
    click.echo(json.dumps(value, indent=2, default=str))


def rows_of_text(facts: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> Iterable[str]:
    """Lines `name  value`, aligned; a list is written with spaces, and what is empty as `-`."""
    pairs = list(facts.items() if isinstance(facts, Mapping) else facts)
    width = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        text = " ".join(map(str, value)) if isinstance(value, list | tuple) else value
        yield f"{name:<{width}}  {'-' if text in (None, '') else text}"
