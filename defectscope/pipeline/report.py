"""``report.html``: one file that shows what a run found, and needs nothing else to be read."""

from __future__ import annotations

import base64
import html
import io
import json
import math
from collections.abc import Mapping, Sequence
from importlib import resources
from string import Template
from typing import TYPE_CHECKING, Any

from defectscope.pipeline.figure_files import DEFAULT_FORMATS

if TYPE_CHECKING:
    from pathlib import Path

    from defectscope.core.findings import Finding, KeyNumber

__all__ = ["number_text", "report_page"]


def number_text(number: KeyNumber) -> tuple[str, str]:
    """Return a number and its limits as text, with as many digits as the limits leave meaning."""
    if not math.isfinite(number.value):
        return "not known", ""
    digits = 4
    limits = all(end is not None and math.isfinite(end) for end in (number.low, number.high))
    if limits and number.value:
        wide = abs(float(number.high or 0) - float(number.low or 0)) / 2 / abs(number.value)
        digits = min(6, max(3, 1 - math.floor(math.log10(wide)))) if wide > 0 else 4
    if not limits and float(number.value).is_integer() and abs(number.value) < 1e6:
        return f"{number.value:.0f} {number.unit}".strip(), ""

    def text(value: float) -> str:
        plain = 1e-3 <= abs(value) < 1e5 or value == 0
        if plain:
            places = max(0, digits - 1 - math.floor(math.log10(abs(value)))) if value else 0
            return f"{value:.{places}f}"
        mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
        return f"{mantissa}·10^{int(exponent)}"

    value = f"{text(number.value)} {number.unit}".strip()
    return value, f"{text(number.low or 0.0)} to {text(number.high or 0.0)}" if limits else ""


def report_page(
    title: str,
    facts: Mapping[str, str],
    warnings: Sequence[str],
    findings: Sequence[Finding],
    data: Mapping[str, Any],
    notes: Mapping[str, str],
    formats: Sequence[str] = DEFAULT_FORMATS,
    pictures: Path | None = None,
) -> str:
    """Return the page.

    Parameters
    ----------
    title
        What stands on top.
    facts
        What was run on what, by name.
    warnings
        What a reader should know.
    findings
        Figures and key numbers, in their order.
    data
        From :func:`defectscope.pipeline.report_data.page_data`.
    notes
        ``viewer`` and ``particles``: lines beside these parts.
    formats
        Of the files of the figures.
    pictures
        Folder with the figures as PNG files; they are drawn anew without it.
    """
    page = resources.files("defectscope.pipeline.report_page")
    template = Template(page.joinpath("page.html").read_text(encoding="utf-8"))
    # Inside of a script element nothing ends it but "</" and "<!--".
    embedded = json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return template.substitute(
        title=html.escape(title),
        style=page.joinpath("page.css").read_text(encoding="utf-8"),
        script=page.joinpath("page.js").read_text(encoding="utf-8"),
        facts="\n".join(
            f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>"
            for name, value in facts.items()
        ),
        warnings=_warnings(warnings),
        numbers=_numbers([number for finding in findings for number in finding.numbers]),
        figures="\n".join(_figure(f, formats, pictures) for f in findings if f.figure is not None),
        viewer_note=html.escape(notes.get("viewer", "")),
        particle_note=html.escape(notes.get("particles", "")),
        data=embedded,
    )


def _warnings(texts: Sequence[str]) -> str:
    if not texts:
        return ""
    lines = "\n".join(f"<li>{html.escape(text)}</li>" for text in texts)
    return (
        f'<section class="warnings" id="warnings"><h2>Warnings</h2><ul>\n{lines}\n</ul></section>'
    )


def _numbers(numbers: Sequence[KeyNumber]) -> str:
    if not numbers:
        return "<p>There is nothing to sum up.</p>"
    lines = []
    for number in numbers:
        if not math.isfinite(number.value):
            continue
        value, limits = number_text(number)
        cells = "".join(f"<td>{html.escape(text)}</td>" for text in (number.label, value, limits))
        lines.append(f"<tr>{cells}</tr>")
    head = "<tr><th>Quantity</th><th>Value</th><th>95 % limits</th></tr>"
    return f"<table><thead>{head}</thead><tbody>\n{chr(10).join(lines)}\n</tbody></table>"


def _figure(finding: Finding, formats: Sequence[str], pictures: Path | None) -> str:
    assert finding.figure is not None
    title = html.escape(finding.title)
    name = html.escape(finding.name)
    note = f"<p>{html.escape(finding.note)}</p>" if finding.note else ""
    files = ", ".join(f".{suffix}" for suffix in formats)
    return (
        f'<figure id="figure-{name}"><figcaption>{title}</figcaption>'
        f'<img src="{_embedded(finding, pictures)}" alt="{title}">'
        f"{note}"
        f'<p class="note">figures/{name}{files}; data: figures/{name}.csv</p></figure>'
    )


def _embedded(finding: Finding, pictures: Path | None) -> str:
    if pictures is not None:
        drawn = (pictures / f"{finding.name}.png").read_bytes()
    else:
        assert finding.figure is not None
        stream = io.BytesIO()
        finding.figure.savefig(stream, format="png")
        drawn = stream.getvalue()
    return "data:image/png;base64," + base64.b64encode(drawn).decode("ascii")
