"""The Django site as tests see it: a process that is told over HTTP what to have and whom to call."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from flask_linked_auth.links.keys import LinkKey, key_from_hex

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-peers/bin/python"
MADE = ROOT / ".venv-peers/.for-tests"
NAME = "academy"


@dataclass
class Academy:
    """A running site. `name` is its slug in the eyes of others."""

    address: str
    secret: str
    folder: Path
    name: str = NAME

    @property
    def log(self) -> Path:
        """What it complained about."""
        return self.folder / "site.log"

    def told(self, deed: str, **given: Any) -> Any:
        """Have the site do one of the deeds of `django_site/control.py`."""
        answer = requests.post(
            f"{self.address}/control/{deed}", json=given, headers={"X-Control": self.secret}, timeout=60
        )
        assert answer.status_code == 200, f"{deed}: {answer.status_code}\n{self.log.read_text()[-3000:]}"
        return answer.json()["done"]

    def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, **options: Any
    ) -> requests.Response:
        """One request from outside."""
        return requests.request(method, self.address + path, headers=headers, timeout=60, **options)

    def has_app(self, slug: str, algorithm: str = "HS512", **values: Any) -> dict[str, Any]:
        """An app row of the site, one with no agreement needed unless said otherwise; its keys are in the answer."""
        given = {
            "algorithm": ALGORITHMS[algorithm],
            "require_an_agreement": False,
            "app_url": "http://127.0.0.1:9",
            "webhook_url": "http://127.0.0.1:9/webhook",
            "redirect_url": "http://127.0.0.1:9/back",
            **values,
        }
        done: dict[str, Any] = self.told("app", slug=slug, **given)
        return done

    def calls(self, slug: str, method: str, path: str, **options: Any) -> dict[str, Any]:
        """What the site's own client got from an app."""
        done: dict[str, Any] = self.told("call", slug=slug, method=method.lower(), path=path, **options)
        return done

    def agrees(self, person: int, slug: str, fields: Mapping[str, str]) -> requests.Response:
        """A person at a browser opens the page of an app, and sends its form back with these fields."""
        cookies, path = self.told("session", user=person), f"/v1/auth/authorize/{slug}"
        page = self.ask("GET", path, cookies=cookies)
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
        assert token, page.text
        return self.ask(
            "POST",
            path,
            data={"csrfmiddlewaretoken": token[1], **fields},
            cookies={**cookies, "csrftoken": page.cookies["csrftoken"]},
            allow_redirects=False,
        )


def key_of(app: Mapping[str, Any], algorithm: Any) -> LinkKey:
    """The keys of a row of the site, as ours."""
    return key_from_hex(algorithm, private=app["private_key"], public=app["public_key"])


#: What the Django package calls the algorithms of a JWT.
ALGORITHMS = {"HS256": "HMAC_SHA256", "HS512": "HMAC_SHA512", "EdDSA": "ED25519"}


@contextmanager
def open_academy(folder: Path) -> Iterator[Academy]:
    """The site, in a process of its own, on the database in `folder`: with a folder of its own, alone."""
    secret, log = secrets.token_hex(16), folder / "site.log"
    settings = {
        "SITE_FOLDER": str(folder),
        "SITE_NAME": NAME,
        "SITE_SECRET": secrets.token_hex(32),
        "SITE_CONTROL": secret,
    }
    # Nothing of our own environment may reach it: neither coverage nor a PYTHONPATH with this checkout.
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [PYTHON, "serve.py"],
            cwd=Path(__file__).parent / "django_site",
            env={**kept, **settings, "TZ": "UTC", "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        first = process.stdout.readline()
        assert first, f"the Django site did not start:\n{log.read_text()[-3000:]}"
        yield Academy(json.loads(first)["address"], secret, folder)
    finally:
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
