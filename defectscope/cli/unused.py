"""Options that would do nothing, for want of others or because of them, are refused."""

from __future__ import annotations

from collections.abc import Iterable

import click

from defectscope.cli.common import given_by_user
from defectscope.core.errors import UsageError

__all__ = ["check_analysis_options", "check_analyze", "check_run"]


def check_run(context: click.Context) -> None:
    """Refuse options of ``run`` that belong to others which were not given.

    Raises
    ------
    UsageError
        There is one; says what to do.
    """
    given = context.params
    if given["idle"] is not None and given["watch"] is None:
        raise UsageError("--idle ends a watch; give --watch FOLDER, or leave it out")
    if given_by_user(context, "jump_px") and not given["register"]:
        raise UsageError("--jump-px is for --register; give both, or leave it out")
    if given["frames"] and given["watch"] is not None:
        raise UsageError(
            "--frames selects from what is there, and --watch does not wait for it; "
            "leave out --frames"
        )


def check_analysis_options(names: Iterable[str], components: Iterable[str]) -> None:
    """Refuse options of analyses where ``--no-figures`` keeps these from working.

    Parameters
    ----------
    names
        What ``--set`` names.
    components
        Names and aliases of detector, post-processors and tracker.

    Raises
    ------
    UsageError
        There are others than components.
    """
    others = sorted(set(names) - set(components))
    if others:
        raise UsageError(
            f"with --no-figures no analysis is done; leave it out, or --set of {', '.join(others)}"
        )


def check_analyze(context: click.Context) -> None:
    """Refuse options of ``analyze`` that are about a report which is not written.

    Raises
    ------
    UsageError
        There is one; says which.
    """
    names = {"images": "--images", "viewer_frames": "--viewer-frames"}
    idle = [option for name, option in names.items() if given_by_user(context, name)]
    if context.params["no_report"] and idle:
        raise UsageError(
            f"{' and '.join(idle)}: there is no report with --no-report; leave out one or the other"
        )
