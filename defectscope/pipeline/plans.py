"""Whether two runs would give the same numbers, and if not, what differs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["plan_difference"]

Plan = Mapping[str, Any]

PLURALS = ("frames", "masks", "readers")


def plan_difference(former: Plan, now: Plan) -> str | None:
    """Return what differs between two plans as a clause, or None.

    Parameters
    ----------
    former, now
        Plans as they stand in ``run.json``. Their analyses may differ.
    """
    for key in now:
        # Plans of earlier versions lack what was not there to be chosen.
        if (former.get(key) or None) == (now[key] or None):
            continue
        difference = _difference(key, former, now)
        if difference is not None:
            return difference
    return None


def _difference(key: str, former: Plan, now: Plan) -> str | None:
    if key == "components":
        return _component_difference(former.get(key) or [], now[key])
    if key == "read_by":
        return _reader_difference(former.get(key) or {}, now[key])
    if key == "inputs":
        if _files_by_name(former.get(key) or {}) == _files_by_name(now[key]):
            return None
        return "its input files have changed, or other files or frames were given"
    was, is_ = ("were", "they are") if key in PLURALS else ("was", "it is")
    return f"its {key} {was} {_shown(key, former.get(key))}, now {is_} {_shown(key, now[key])}"


def _component_difference(former: list[Plan], now: list[Plan]) -> str | None:
    former, now = _of_tables(former), _of_tables(now)
    one, other = ([f"{c['family']} {c['alias']}" for c in side] for side in (former, now))
    if one != other:
        return f"its components were {', '.join(one)}, now they are {', '.join(other)}"
    for before, after in zip(former, now, strict=True):
        # Without the distribution, which stands beside it.
        before, after = ({**c, "name": c["name"].rpartition("/")[2]} for c in (before, after))
        for name in ("name", "distribution", "version"):
            if before.get(name) != after[name]:
                return f"{after['alias']} had the {name} {before.get(name)}, now {after[name]}"
        old, new = before.get("options", {}), after["options"]
        for name in new:
            if old.get(name) != new[name]:
                was, now_is = ("none" if v is None else repr(v) for v in (old.get(name), new[name]))
                return f"{after['alias']}.{name} was {was}, now it is {now_is}"
        if _differ(before.get("depends_on"), after.get("depends_on")):
            return f"what {after['alias']} depends on has changed, such as a file of weights"
    return None


def _reader_difference(former: Mapping[str, str], now: Mapping[str, str]) -> str | None:
    for name, version in now.items():
        if former.get(name, version) != version:
            return f"the reader {name} had the version {former[name]}, now {version}"
    # Plans of earlier versions name none, and of a folder that is watched more may come.
    if former.keys() <= now.keys() or now.keys() <= former.keys():
        return None
    return f"its files were read by {', '.join(former)}, now by {', '.join(now)}"


def _files_by_name(inputs: Mapping[str, str]) -> list[tuple[str, str]]:
    # Files of one name stand under their paths, which tell from where the program was started.
    return sorted((Path(label).name, digest) for label, digest in inputs.items())


def _of_tables(components: list[Plan]) -> list[Plan]:
    """Return the components that decide about tables: analyses only read them at the end."""
    return [component for component in components if component["family"] != "analyses"]


def _differ(former: Any, now: Any) -> bool:
    """Return whether what a component depends on has changed, as far as both plans say."""
    # Plans of earlier versions say nothing of it.
    if former is None:
        return False
    one, other = former, now or {}
    names = one.keys() | other.keys()
    # A value of None is not known: plans of earlier versions hold it for the digest of weights.
    known = (name for name in names if None not in (one.get(name, 0), other.get(name, 0)))
    return any(one.get(name) != other.get(name) for name in known)


def _shown(key: str, value: Any) -> str:
    if key == "frames" and isinstance(value, list) and len(value) == 3:
        return f"{value[0]} ({value[1]} to {value[2]})"
    if isinstance(value, Mapping):
        value = ", ".join(f"{k}={v}" for k, v in value.items() if v not in (None, {}))
    return "none" if value in (None, "") else str(value)
