from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import defectscope

ROOT = Path(defectscope.__file__).parent
REPOSITORY = Path(__file__).parents[1]
MODULES = sorted(ROOT.rglob("*.py"))
HEAVY = ("numpy", "pandas", "pydantic", "torch", "skimage", "matplotlib", "scipy", "cv2")
LONGEST_MODULE = 400
FAMILIES = (
    "readers", "generators", "detectors", "postproc", "trackers", "analysis", "weights",
)  # fmt: skip
# Import-linter looks at these.
SUBPACKAGES = {path.parent.name for path in ROOT.glob("*/__init__.py")}


def run(*command, cwd=None):
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, timeout=120
    )


def test_the_import_rules_hold():
    linter = shutil.which("lint-imports", path=Path(sys.executable).parent)
    assert linter, "import-linter is not installed; it comes with the extra 'dev'"
    result = run(linter, "--no-cache", cwd=REPOSITORY)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


def taken_from_the_root(module):
    """Return the public names that a module takes from the root, which the import rules miss.

    The root imports them when they are first used, from wherever they live.
    """
    tree = ast.parse(module.read_text(encoding="utf-8"))
    names, aliases = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "defectscope" and not node.level:
            names |= {one.name for one in node.names}
        elif isinstance(node, ast.Import):
            aliases |= {
                one.asname or "defectscope" for one in node.names
                if one.name == "defectscope"
                or (one.asname is None and one.name.startswith("defectscope."))
            }  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            names |= {node.attr} if node.value.id in aliases else set()
    return names


@pytest.mark.parametrize("package", FAMILIES)
def test_families_take_from_the_root_what_lives_below_them(package):
    below = {
        name for name, home in defectscope._HOMES.items()
        if home.startswith("core.") or home == "plugins.markers"
    }  # fmt: skip
    for module in sorted((ROOT / package).rglob("*.py")):
        above = taken_from_the_root(module) - below - {"__version__", *SUBPACKAGES}
        assert not above, f"{module} takes {above} from defectscope"


def test_core_takes_nothing_from_the_root():
    for module in sorted((ROOT / "core").rglob("*.py")):
        assert not taken_from_the_root(module) - {"__version__", *SUBPACKAGES}, module


def test_what_is_taken_from_the_root_is_seen(tmp_path):
    source = """
        import defectscope.core.errors
        import defectscope.core.masks as masks
        import defectscope as ds
        from defectscope import Pipeline

        def late(runs):
            return ds.evaluate(runs.load_run, masks.Mask), defectscope.train
    """
    (tmp_path / "a.py").write_text(textwrap.dedent(source))
    assert taken_from_the_root(tmp_path / "a.py") == {"Pipeline", "evaluate", "train"}


def test_importing_defectscope_is_light():
    code = f"import sys, defectscope; print([n for n in {HEAVY!r} if n in sys.modules])"
    result = run(sys.executable, "-c", code)
    assert result.stdout.strip() == "[]", result.stdout + result.stderr


def test_every_public_name_resolves():
    missing = [name for name in (*defectscope.__all__, "open") if not hasattr(defectscope, name)]
    assert missing == []
    assert set(defectscope.__all__) <= set(dir(defectscope))


def test_public_names_are_told_to_type_checkers_as_well():
    """The block under TYPE_CHECKING and the table behind lazy imports name the same things."""
    source = (ROOT / "__init__.py").read_text(encoding="utf-8")
    declared = {
        line.split(" as ")[1].split()[0]
        for line in source.splitlines()
        if line.startswith("    from defectscope.") and " as " in line
    }
    assert declared == {*defectscope.__all__, "open"} - {"__version__"}


def test_other_names_are_refused():
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        defectscope.no_such_name  # noqa: B018


def test_there_are_modules_to_look_at():
    assert len(MODULES) > 50


@pytest.mark.parametrize("module", MODULES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_modules_are_short_and_named_for_what_they_hold(module):
    lines = module.read_text(encoding="utf-8").count("\n")
    assert lines <= LONGEST_MODULE, f"{lines} lines: split it by what it does"
    parts = [part.removesuffix(".py") for part in module.relative_to(ROOT).parts]
    assert not [part for part in parts if part.strip("_") in ("utils", "util", "helpers", "misc")]
