"""The JSON of the account endpoints. Fields that the user model lacks are left out; unknown ones are refused."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from marshmallow import Schema, ValidationError, fields, validates_schema
from sqlalchemy import inspect

from ..catalogs import _
from ..tokens.models import user_key
from .passwords import MAX_LENGTH

__all__ = ["Schemas", "key_json", "normal_email", "normal_username", "schemas_for"]

_MAX_TEXT = (
    1024  # code points: NFC and NFKC take quadratic time on long rows of combining marks (CVE-2025-27556)
)
_USERNAME = re.compile(r"[a-z0-9._+-]{1,150}")


def normal_email(text: str) -> str:
    """The one form of an e-mail address by which it is stored and compared: lower case, the domain in ASCII.

    Raises ValueError for what is no address, and for a local part outside ASCII, whose look-alikes nobody can
    tell apart.
    """
    if len(text) > _MAX_TEXT:
        raise ValueError(_("Not a valid e-mail address."))
    text = unicodedata.normalize("NFKC", text)
    local, at, domain = text.rpartition("@")
    # In quotes, RFC 5322 allows control characters: nobody has such an address, and terminals obey some.
    if not at or not local.isprintable() or not local.isascii() or len(text) > 254 or len(local) > 64:
        raise ValueError(_("Not a valid e-mail address."))
    try:
        domain = domain.encode("idna").decode("ascii")
        return str(fields.Email().deserialize(f"{local}@{domain}".lower()))
    except (UnicodeError, ValidationError):
        raise ValueError(_("Not a valid e-mail address.")) from None


def normal_username(text: str) -> str:
    """The one form of a user name: NFKC, lower case, and only ASCII letters, digits and `. _ + -` (so never an `@`)."""
    name = unicodedata.normalize("NFKC", text).lower() if len(text) <= _MAX_TEXT else ""
    if not _USERNAME.fullmatch(name):
        raise ValueError(_("A user name has 1 to 150 of the characters a-z, 0-9, '.', '_', '+' and '-'."))
    return name


class _Normal(fields.String):
    def __init__(self, normalise: Any, **options: Any) -> None:
        super().__init__(**options)
        self._normalise = normalise

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> Any:
        text = super()._deserialize(value, attr, data, **options)
        try:
            return self._normalise(text)
        except ValueError as error:
            raise ValidationError(str(error)) from None


def _plain_name(text: str) -> str:
    name = unicodedata.normalize("NFC", text).strip() if len(text) <= _MAX_TEXT else text
    if len(name) > 128 or any(unicodedata.category(c) in {"Cc", "Zl", "Zp"} for c in name):
        raise ValueError(_("A name has at most 128 characters, none of them a control character."))
    return name


class _Moment(fields.Field[str]):
    """A moment as ISO 8601 in UTC, from Unix seconds or from a datetime (a naive one is in UTC)."""

    def __init__(self, **options: Any) -> None:
        super().__init__(metadata={"type": "string", "format": "date-time"}, **options)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **options: Any) -> str | None:
        if value is None:
            return None
        if isinstance(value, int):
            value = datetime.fromtimestamp(value, UTC)
        aware = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return str(aware.isoformat(timespec="seconds")).replace("+00:00", "Z")


# What the API document says of a field that it cannot see: `metadata` is in the words of JSON schema.
_EMAIL = {"format": "email", "maxLength": 254, "examples": ["ada@example.com"]}
_USER_NAME = {"examples": ["ada"]}
_NAME = {"examples": ["Ada Lovelace"]}
_PASSWORD = {"format": "password", "examples": ["violet-kettle-harbour-93"]}
_NEW_PASSWORD = {"format": "password", "maxLength": MAX_LENGTH, "examples": ["seven lamps under water"]}
_REFRESH_TOKEN = {"examples": ["fla_rt_6hJ2…"]}


class _Profile(Schema):
    email = _Normal(normal_email, required=True, metadata=_EMAIL)
    username = _Normal(
        normal_username,
        allow_none=True,
        metadata={"pattern": "^[A-Za-z0-9._+-]{1,150}$", "maxLength": 150, **_USER_NAME},
    )
    name = _Normal(
        _plain_name,
        metadata={"maxLength": 128, "pattern": r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$", **_NAME},
    )


class _Registration(_Profile):
    password = fields.String(required=True, metadata={**_NEW_PASSWORD, **_PASSWORD})


class _Login(Schema):
    email = fields.String(metadata={"examples": _EMAIL["examples"]})
    username = fields.String(metadata=_USER_NAME)
    password = fields.String(required=True, metadata=_PASSWORD)

    @validates_schema
    def one_name(self, data: dict[str, Any], **options: Any) -> None:
        """Exactly one of the two says who it is."""
        if ("email" in data) == ("username" in data):
            raise ValidationError({"email": [_("Give either email or username.")]})


class _PasswordChange(Schema):
    current_password = fields.String(required=True, metadata=_PASSWORD)
    new_password = fields.String(required=True, metadata=_NEW_PASSWORD)


class _Refresh(Schema):
    refresh_token = fields.String(required=True, metadata=_REFRESH_TOKEN)


class _Logout(Schema):
    refresh_token = fields.String(metadata=_REFRESH_TOKEN)


class _Forgotten(Schema):
    email = fields.String(required=True, metadata=_EMAIL)


class _Link(Schema):
    token = fields.String(required=True, metadata={"examples": ["fla_ot_9sK1…"]})


class _Reset(_Link):
    new_password = fields.String(required=True, metadata=_NEW_PASSWORD)


class _Flag(fields.Boolean):
    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> bool:
        if not isinstance(value, bool):  # to a set of true and false, 0 and 1 are in it
            raise self.make_error("invalid", input=value)
        return value


class _Standing(Schema):
    active = _Flag(required=True)


class _Known(Schema):
    class Meta:
        title = "PersonName"

    id = fields.Function(lambda user: inspect(user).identity[0])  # whatever the key's column is called
    username = fields.String(metadata=_USER_NAME)
    name = fields.String(metadata=_NAME)


class _Whole(_Known):
    class Meta:
        title = "Person"

    email = fields.String(metadata=_EMAIL)
    email_verified = fields.Boolean(metadata={"examples": [True]})
    active = fields.Boolean()
    is_admin = fields.Boolean(metadata={"examples": [False]})
    created_at = _Moment()
    modified_at = _Moment()


class _LoginRow(Schema):
    class Meta:
        title = "DeviceLogin"

    id = fields.String(metadata={"examples": ["q3V0x1Zb8sWk"]})
    device = fields.String(metadata={"examples": ["Ada's telephone"]})
    address = fields.String(metadata={"examples": ["192.0.2.7"]})
    created_at = _Moment()
    last_seen_at = _Moment()
    expires_at = _Moment()


@dataclass(frozen=True, slots=True)
class Schemas:
    """Every schema in use, made to fit the user model; `known` is what anyone may see of a person."""

    registration: Schema
    login: Schema
    refresh: Schema
    logout: Schema
    password: Schema
    forgotten: Schema
    reset: Schema
    link: Schema
    profile: Schema
    standing: Schema
    known: Schema
    whole: Schema
    login_row: Schema


def schemas_for(user_model: type[Any], *, password_min_length: int = 15) -> Schemas:
    """The schemas without the fields that `user_model` has no column for."""

    def fit(kind: type[Schema], *always: str) -> Schema:
        lacking = {n for n in kind().fields if n not in always and not hasattr(user_model, n)} - {"id"}
        return kind(exclude=lacking)

    schemas = Schemas(
        registration=fit(_Registration, "password"),
        login=fit(_Login, "password"),
        refresh=_Refresh(),
        logout=_Logout(),
        password=_PasswordChange(),
        forgotten=_Forgotten(),
        reset=_Reset(),
        link=_Link(),
        profile=fit(_Profile),
        standing=_Standing(),
        known=fit(_Known),
        whole=fit(_Whole),
        login_row=_LoginRow(),
    )
    for schema in (schemas.known, schemas.whole):
        _tell_of_columns(schema, user_model)
    new = [schemas.registration.fields["password"]]
    new += [each.fields["new_password"] for each in (schemas.password, schemas.reset)]
    for field in new:
        field.metadata = {**field.metadata, "minLength": password_min_length}
    return schemas


def key_json(key_type: type[Any]) -> dict[str, Any]:
    """The JSON schema of a user's key."""
    if issubclass(key_type, UUID):
        return {"type": "string", "format": "uuid"}
    if issubclass(key_type, int):
        return {"type": "integer", "examples": [1]}
    return {"type": "string", "minLength": 1, "examples": ["ada"]}


def _tell_of_columns(schema: Schema, user_model: type[Any]) -> None:
    """Let the API document know the type of the key, and what may be null in the host's table."""
    columns = inspect(user_model).columns
    for name, field in schema.fields.items():
        if name == "id":
            field.metadata = key_json(user_key(user_model).type.python_type)
        else:
            field.allow_none = name not in columns or bool(columns[name].nullable)
