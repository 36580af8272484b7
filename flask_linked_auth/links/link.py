"""The trust between two services as a value: who we are to each other, the keys, and how a call is signed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypedDict, Unpack
from urllib.parse import urlsplit

from ..link_errors import ForeignAddress
from .names import check_slug
from .signatures import Target, authority_of, content_digest, sign_request
from .wire import form_of, legacy_body, sign_jwt, sign_legacy

if TYPE_CHECKING:
    from .keys import LinkKey

__all__ = ["DIALECTS", "SIGNATURE_HEADERS", "Dialect", "Link", "Sent"]

Dialect = Literal["link", "signature", "legacy-signature"]
DIALECTS: tuple[Dialect, ...] = ("link", "signature", "legacy-signature")

#: Lower-case names of headers that an older signature may have left on a request: drop them before signing.
SIGNATURE_HEADERS = frozenset(
    {"authorization", "content-digest", "linked-subject", "signature", "signature-input"}
)


class Sent(TypedDict, total=False):
    """`digest` is the Content-Digest of a body that was hashed elsewhere, `content_type` that of the body."""

    digest: str | None
    content_type: str | None


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Link:
    """The trust between us and one other service, ready to sign calls; it needs neither an app nor a database.

    `me` is who we are to them, `slug` who they are, `address` where they live. `key` signs by `dialect`; `keys` has the
    key of each further dialect that is set up. Raises ValueError for a slug or an address that cannot be.
    """

    me: str
    slug: str
    address: str
    key: LinkKey | None
    dialect: Dialect = "link"
    issuer: str = ""
    webhook_url: str | None = None
    users_path: str = "/v1/auth/app/user/"
    keys: Mapping[Dialect, LinkKey] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_slug(self.me)
        check_slug(self.slug)
        if self.dialect not in DIALECTS:
            raise ValueError(f"{self.dialect!r} is none of the dialects {', '.join(DIALECTS)}.")
        object.__setattr__(self, "address", self.address.rstrip("/"))
        object.__setattr__(self, "keys", MappingProxyType(dict(self.keys)))
        _origin_of(self.address)

    def __repr__(self) -> str:
        return f"Link(<{self.me} to {self.slug} at {self.address} by {self.dialect}>)"

    def sign(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None,
        subject: str = "",
        dialect: Dialect | None = None,
        **sent: Unpack[Sent],
    ) -> dict[str, str]:
        """Headers for this one call, to be set in place of older ones; made anew for every try.

        Raises ForeignAddress for another origin than that of the link, and ValueError for what the dialect cannot sign
        or a dialect that has no key.
        """
        dialect = dialect or self.dialect
        target = self.target(method, url)
        key = self.key_for(dialect)
        if dialect == "link":
            token = sign_jwt(key, sender=self.me, receiver=self.slug, subject=subject, issuer=self.issuer)
            return {"Authorization": token}
        digest = sent.get("digest")
        if dialect == "signature":
            if digest is None and body:
                digest = content_digest(body)
            return sign_request(key, target, sender=self.me, subject=subject, digest=digest)
        if subject or (digest is not None and body is None):
            raise ValueError("The old signature speaks for nobody, and has to see the whole body.")
        data = legacy_body(body or b"", sent.get("content_type") or "")
        params = form_of(target.query)
        return {"Authorization": sign_legacy(key, sender=self.me, method=method, params=params, body=data)}

    def key_for(self, dialect: Dialect) -> LinkKey:
        """The key that signs by a dialect. Raises ValueError when there is none."""
        key = self.keys.get(dialect) or (self.key if dialect == self.dialect else None)
        if key is None:
            raise ValueError(f"The link to {self.slug} has no key for the dialect {dialect!r}.")
        return key

    def target(self, method: str, url: str) -> Target:
        """What a call asks for, by the address that it goes to. Raises ForeignAddress for one of another origin."""
        origin, authority = _origin_of(self.address)
        rest = url[len(origin) :]
        if not url.startswith(origin) or rest[:1] not in {"", "/", "?", "#"}:
            rest = self._rest_of_another_spelling(url, authority)
        path, _, query = rest.partition("#")[0].partition("?")
        return Target(method, authority, path or "/", query)

    def _rest_of_another_spelling(self, url: str, authority: str) -> str:
        """`HTTP://Example.com:80/` is `http://example.com/`."""
        try:
            parts = urlsplit(url)
        except ValueError:
            raise ForeignAddress(f"The call leads to no address at all, not to {self.slug}.") from None
        same = (
            parts.scheme == urlsplit(self.address).scheme
            and authority_of(parts.netloc, parts.scheme) == authority
        )
        if not same:
            raise ForeignAddress(f"The call leads away from the address of {self.slug}.")
        return url.split("//", 1)[1][len(parts.netloc) :]


@lru_cache(maxsize=1024)
def _origin_of(address: str) -> tuple[str, str]:
    parts = urlsplit(address)
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or "@" in parts.netloc
        or parts.query
        or parts.fragment
    ):
        raise ValueError(f"{address!r} is no address such as 'https://billing.example.com'.")
    return f"{parts.scheme}://{parts.netloc}", authority_of(parts.netloc, parts.scheme)
