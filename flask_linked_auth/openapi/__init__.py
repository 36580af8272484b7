"""The API document (OpenAPI 3.1): marks on views, the document made from them, and where both are served."""

from __future__ import annotations

from .marks import Answer, Body, Page, describe

__all__ = ["Answer", "Body", "Page", "describe"]
