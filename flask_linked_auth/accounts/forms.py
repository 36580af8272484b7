"""The forms of the account pages: their fields, what was typed, and what is wrong with it. No request in here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..catalogs import Text, _
from ..errors import (
    Conflict,
    CSRFFailed,
    InternalError,
    InvalidCredentials,
    InvalidFields,
    InvalidLink,
    MethodNotAllowed,
    NotFound,
    Problem,
    RegistrationClosed,
    Taken,
    TooLarge,
    TooManyRequests,
    Unavailable,
)

if TYPE_CHECKING:
    from .state import AccountsState

__all__ = ["Field", "Form", "words_for"]

_AGAIN = "_again"
_WORDS: Mapping[type[Problem], Text] = {
    Conflict: _("That does not go together with what is stored."),
    CSRFFailed: _(
        "This form was too old, so nothing was done. Please send it again."
        " If this happens each time, allow cookies for this site."
    ),
    InternalError: _("Something went wrong on our side, and nothing was changed."),
    InvalidCredentials: _("The e-mail address or the password is not right."),
    InvalidFields: _("Please correct what is marked."),
    InvalidLink: _("It was used before, it is too old, or part of it is missing. Nothing was changed."),
    MethodNotAllowed: _("This page cannot be used in this way."),
    NotFound: _("There is nothing at this address."),
    RegistrationClosed: _("Here, accounts are made by those who run the service."),
    Taken: _("Please correct what is marked."),
    TooLarge: _("That was more text than a form may have."),
    Unavailable: _("This does not work at the moment. Please try again in a little while."),
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form; `plain` is for what is neither capitalised nor spell-checked."""

    name: str
    label: Text
    type: str = "text"
    autocomplete: str = "off"
    hint: Text | None = None
    required: bool = True
    plain: bool = False


class Form:
    """A form as it is shown: its fields by name, the values in them, and the complaints.

    `error` says in a sentence what is wrong; it is empty for a form that nobody has sent yet.
    """

    def __init__(self, *fields: Field, values: Mapping[str, Any] | None = None) -> None:
        self.fields = {field.name: field for field in fields}
        self.values = {name: str(value or "") for name, value in (values or {}).items()}
        self.errors: dict[str, list[str]] = {}
        self.error: Text | None = None

    def read(self, sent: Mapping[str, str]) -> None:
        """Take over what was typed into the fields of this form, and nothing else."""
        self.values = {name: sent[name] for name in self.fields if name in sent}

    def checked(self) -> dict[str, str]:
        """What was typed, without the empty fields and the repeated passwords. Raises InvalidFields.

        A password that was not asked for twice (a host's template may leave that out) need not be repeated.
        """
        wrong: dict[str, list[str]] = {}
        for name, field in self.fields.items():
            value = self.values.get(name)
            first = name.removesuffix(_AGAIN)
            if "\x00" in (value or ""):  # PostgreSQL cannot store it, nor be asked for it
                wrong[name] = [_("This has a character that no keyboard types.")]
            elif first != name:
                if value is not None and value != self.values.get(first) and first not in wrong:
                    wrong[name] = [_("The two passwords differ.")]
            elif field.required and not (value or "").strip():
                wrong[name] = [_("Please fill this in.")]
        if wrong:
            raise InvalidFields("Some fields are not valid.", errors=wrong)
        return {name: value for name, value in self.values.items() if value and not name.endswith(_AGAIN)}

    def refuse(self, problem: Problem) -> None:
        """Show what is wrong."""
        self.error = words_for(problem)
        self.errors = {name: list(complaints) for name, complaints in problem.errors.items()}

    @property
    def complaints(self) -> Iterator[tuple[str, str]]:
        """Each complaint with the name of its field, in the order of the fields, as the summary says it."""
        order = {name: place for place, name in enumerate(self.fields)}
        for name in sorted(self.errors, key=lambda each: order.get(each, len(order))):
            for complaint in self.errors[name]:
                if name in self.fields:
                    label = self.fields[name].label
                    yield name, _("%(field)s: %(complaint)s", field=label, complaint=complaint)
                else:
                    yield name, complaint


def words_for(problem: Problem) -> Text:
    """What a person in front of a browser is told of an error."""
    if isinstance(problem, TooManyRequests):
        minutes = -(-problem.retry_after // 60)
        if minutes <= 1:
            return _("There were too many tries. Please try again in a minute.")
        return _("There were too many tries. Please try again in %(minutes)s minutes.", minutes=minutes)
    if isinstance(problem, CSRFFailed) and problem.foreign:
        return _("This was sent from another site, so nothing was done.")
    words = _WORDS.get(type(problem))
    if words is not None:
        return words
    return problem.detail if isinstance(problem.detail, Text) else Text(problem.detail)


def _email(hint: Text | None = None) -> Field:
    return Field("email", _("E-mail address"), "email", "email", hint, plain=True)


def _new_password(accounts: AccountsState, name: str, label: Text) -> tuple[Field, Field]:
    hint = _(
        "At least %(least)s characters. Several words that have nothing to do with each other are good.",
        least=accounts.settings.password_min_length,
    )
    repeated = Field(f"{name}{_AGAIN}", _("The password once more"), "password", "new-password")
    return Field(name, label, "password", "new-password", hint), repeated


def _names(accounts: AccountsState) -> list[Field]:
    """The names that the user model has columns for."""
    username = Field(
        "username",
        _("User name"),
        autocomplete="username",
        hint=_("Made of a-z, 0-9 and . _ + -"),
        required=False,
        plain=True,
    )
    name = Field("name", _("Name"), autocomplete="name", hint=_("As others see you."), required=False)
    return [field for field in (username, name) if field.name in accounts.schemas.profile.fields]


def login(accounts: AccountsState) -> Form:
    """The person, by e-mail address or user name, and the password."""
    if "username" in accounts.schemas.profile.fields:
        who = Field("identifier", _("E-mail address or user name"), autocomplete="username", plain=True)
    else:
        who = Field("identifier", _("E-mail address"), "email", "username", plain=True)
    return Form(who, Field("password", _("Password"), "password", "current-password"))


def registration(accounts: AccountsState) -> Form:
    """What a new account is made of."""
    password, again = _new_password(accounts, "password", _("Password"))
    return Form(_email(), *_names(accounts), password, again)


def profile(accounts: AccountsState, person: Any) -> Form:
    """The names of a person."""
    fields = _names(accounts)
    return Form(*fields, values={field.name: getattr(person, field.name) for field in fields})


def email() -> Form:
    """Another e-mail address."""
    return Form(Field("email", _("New e-mail address"), "email", "email", plain=True))


def password(accounts: AccountsState) -> Form:
    """The password in use, and another."""
    current = Field("current_password", _("Current password"), "password", "current-password")
    return Form(current, *_new_password(accounts, "new_password", _("New password")))


def deletion() -> Form:
    """The password, which confirms that the account shall go."""
    return Form(Field("current_password", _("Your password"), "password", "current-password"))


def forgotten() -> Form:
    """The e-mail address that a link is sent to."""
    return Form(_email(_("The one that your account has.")))


def reset(accounts: AccountsState) -> Form:
    """Another password."""
    return Form(*_new_password(accounts, "new_password", _("New password")))
