"""What the scripts that write a page of reference have in common."""

from __future__ import annotations

import argparse
import re
from pathlib import Path


def tidy(text: str) -> str:
    """Return a page without the doubled backquotes of docstrings, and with single blank lines."""
    text = re.sub(r"(?<!`)``(?!`)", "`", text.rstrip("\n"))
    return re.sub(r"\n{3,}", "\n\n", text) + "\n"


def write_or_check(target: Path, text: str, about: str) -> int:
    """Write the page, or with --check say whether it is up to date, and return 1 if it is not."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--check", action="store_true", help="only look, and exit 1 if it differs")
    if not parser.parse_args().check:
        target.write_text(text, encoding="utf-8")
        return 0
    same = target.is_file() and target.read_text(encoding="utf-8") == text
    print(f"{target.name} is {'up to date' if same else 'out of date'}")
    return 0 if same else 1
