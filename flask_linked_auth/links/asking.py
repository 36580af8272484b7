"""A question to a service that is not linked yet: JSON there and back, and never more than that."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import requests
from urllib3.exceptions import HTTPError

from ..strict_json import read_json

if TYPE_CHECKING:
    from requests import Response

__all__ = ["post_json", "read_answer"]

log = logging.getLogger("flask_linked_auth")

MOST = 64 * 1024  # bytes
LONGEST = 15.0  # seconds for a whole answer, which may drip


def post_json(
    url: str, body: Mapping[str, Any], *, timeout: tuple[float, float] = (3.0, 5.0)
) -> tuple[int, Any]:
    """Post JSON and return the status and the JSON of the answer: 0 if nobody answers in time, None for no JSON.

    A redirect is not followed. `timeout` are the seconds to connect and to wait for more.
    """
    try:
        with requests.post(
            url, json=dict(body), timeout=timeout, allow_redirects=False, stream=True
        ) as answer:
            data = read_answer(answer, most=MOST, longest=LONGEST)
            status = int(answer.status_code)
    except (requests.RequestException, HTTPError, OSError, ValueError) as error:
        log.warning("%s cannot be asked: %s", url, type(error).__name__)
        return 0, None
    try:
        return status, None if data is None else read_json(data)
    except (ValueError, RecursionError):
        return status, None


def read_answer(answer: Response, *, most: int, longest: float) -> bytes | None:
    """The body, None if it is larger than that or drips on for too long. The connection is given up then."""
    until, body = time.monotonic() + longest, bytearray()
    try:
        # What has come, without waiting for so much.
        while piece := answer.raw.read1(16 * 1024, decode_content=True):
            body += piece
            if len(body) > most or time.monotonic() > until:
                return None
    finally:
        answer.close()
    return bytes(body)
