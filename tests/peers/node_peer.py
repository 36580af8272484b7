"""The RFC 9421 implementation from npm, spoken to over the standard streams of one Node process."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "node"
INSTALLED = FOLDER / "node_modules/http-message-signatures/package.json"


@dataclass
class NodePeer:
    """`peer.js`, running."""

    process: subprocess.Popen[str]

    def ask(self, **question: Any) -> dict[str, Any]:
        """One question in a line, one answer in a line; `{"error": …}` where the library raised."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer


@contextmanager
def open_node_peer() -> Iterator[NodePeer]:
    process = subprocess.Popen(
        ["node", "peer.js"], cwd=FOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield NodePeer(process)
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()
