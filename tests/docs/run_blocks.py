"""Run the Python blocks of a page, in order and in one namespace: `python run_blocks.py PAGE`."""

from __future__ import annotations

import doctest
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.docs.pages import blocks_of


def main(page: Path) -> int:
    """Run `python` blocks by executing them, `pycon` blocks by comparing what they show; 0 if all held."""
    module = ModuleType("page")
    sys.modules["page"] = module  # where SQLAlchemy looks for the names in annotations
    namespace: dict[str, Any] = module.__dict__
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(optionflags=options)
    for block in blocks_of(page):
        if block.language == "python" and block.runs and block.file is None:
            source = "\n" * (block.line - 1) + block.text
            exec(compile(source, str(page), "exec", dont_inherit=True), namespace)
        elif block.language == "pycon" and block.runs:
            text = block.text.replace("…", "...")
            test = parser.get_doctest(text, {}, page.name, str(page), block.line - 1)
            test.globs = namespace
            runner.run(test, clear_globs=False)
    return 1 if runner.summarize(verbose=False).failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
