"""Tables of scores on stdout, of `evaluate` and `benchmark`; rich is imported when one is made."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["score_console", "score_table"]

# Where there is no terminal, no table is cut to the width of one.
WIDE = 200


def score_console() -> Console:
    """Return where tables are printed."""
    from rich.console import Console

    return Console(soft_wrap=True, width=None if sys.stdout.isatty() else WIDE)


def score_table(title: str, *columns: str) -> Table:
    """Return an empty table: names on the left, numbers on the right of their columns."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    for position, column in enumerate(columns):
        table.add_column(column, justify="left" if position == 0 else "right", overflow="fold")
    return table
