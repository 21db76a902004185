"""Tables on stdout: fitted to a terminal, and never cut or wrapped where there is none."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import click

__all__ = ["show_table"]

GAP = 2


def show_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a table to stdout: by rich on a terminal, as aligned plain lines elsewhere."""
    cells = [[" ".join(cell.split()) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _show_rich(header, cells)
        return
    # No rich here: importing and laying out cost as much as everything else in a short command.
    lines = [list(header), *cells]
    widths = [max(map(len, column)) + GAP for column in zip(*lines, strict=True)]
    for line in lines:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("".join(padded).rstrip())


def _show_rich(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for name in header:
        # A name too long for its column goes on in the next line: cut, it could not be typed.
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row)
    # Markup off: an error text may hold square brackets.
    Console(markup=False, highlight=False, emoji=False).print(table)
