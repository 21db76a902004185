"""``defectscope plugins``."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import textwrap
from typing import ClassVar

import click
import pytest
from click.testing import CliRunner
from pydantic import Field

import defectscope as ds
from defectscope.cli import plain_tables
from defectscope.cli.plugins import plugins
from defectscope.plugins.host import PluginHost, PluginRecord
from defectscope.plugins.testing import isolated_host, register

HERE = __name__
LONG = "a-detector-with-quite-a-long-name-that-nobody-can-type-when-it-is-cut-at-eighty-columns"


class BlurOptions(ds.Options):
    sigma_px: float = Field(2.0, gt=0, le=50, description="blur before the search, px")
    engine: str | None = Field(None, description="what computes it")


class Blurred(ds.Detector):
    """Finds nothing, after a blur.

    A second paragraph that nobody needs.
    """

    Options = BlurOptions
    defect_types = ("black dot", "cavity")

    def detect(self, frames):
        return [ds.Instances.empty(frame.shape) for frame in frames]


class ChoosyOptions(BlurOptions):
    kinds: tuple[str, ...] = Field((), description="what it looks for")
    names: dict[str, str] = Field({}, description="what it calls them")


class Choosy(Blurred):
    Options = ChoosyOptions

    def open(self):
        if self.options.engine is None:
            raise ds.OptionError("choose an engine: option engine")


class Careless(Blurred):
    def detect(self, frames):
        return []


class Wordless(Blurred):
    @property
    def defect_types(self):
        raise KeyError("types.txt")


class Unmakeable(Wordless):
    def __init__(self, options, runtime):
        raise ZeroDivisionError("division by zero")


class Area(ds.PostProcessor):
    shapes = ("ellipse",)
    columns: ClassVar = {"area_px": "px2", "fit": ""}

    def process(self, frame, instances):
        return instances


class Plugin:
    """Several families, one name in two of them."""

    @ds.hookimpl
    def defectscope_detectors(self):
        spec = ds.ComponentSpec
        return [
            spec("blurred", "Blurs first.", f"{HERE}:Blurred"),
            spec("choosy", "Needs an engine.", f"{HERE}:Choosy"),
            spec("careless", "Is wrong.", f"{HERE}:Careless"),
            spec("same", "Detects.", f"{HERE}:Blurred"),
            spec(LONG, "Is long.", f"{HERE}:Blurred"),
            spec("needy", "Needs more.", f"{HERE}_absent:A", extra="torch", licence="AGPL-3.0"),
        ]

    @ds.hookimpl
    def defectscope_postprocessors(self):
        return [
            ds.ComponentSpec("area", "Area.", f"{HERE}:Area"),
            ds.ComponentSpec("same", "Measures.", f"{HERE}:Area"),
        ]

    @ds.hookimpl
    def defectscope_readers(self):
        return [ds.ReaderSpec("gone", "Gone.", "nowhere_at_all:Gone", suffixes=(".x", ".y"))]

    @ds.hookimpl
    def defectscope_weights(self):
        return [ds.ComponentSpec("tiny", "Tiny weights.", f"{HERE}:weights")]

    @ds.hookimpl
    def defectscope_defect_types(self):
        return [ds.DefectType("cavity", "Cavity", "ellipse", contrast="bright")]


class Rival:
    @ds.hookimpl
    def defectscope_detectors(self):
        return [ds.ComponentSpec("careless", "The same name.", f"{HERE}:Blurred")]


@pytest.fixture
def host():
    made = isolated_host()
    register(made, Plugin(), "my-plugin", "my-dist", "1.5")
    error = "ModuleNotFoundError: No module named 'x' [see docs]"
    made.plugins.append(PluginRecord("wrecked", "wreck", "0.1", "wreck", "failed", error))
    made.plugins.append(PluginRecord("quiet", "quiet", "0.2", "quiet", "blocked"))
    return made


@pytest.fixture
def run(host):
    def invoke(*arguments, on=host):
        return CliRunner().invoke(plugins, arguments, obj=on)

    return invoke


def test_list(run):
    result = run("list")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["distribution", "version", "plugin", "status", "provides"]
    rows = {line.split()[0]: line.split(maxsplit=4) for line in lines[1:5]}
    assert rows["my-dist"][1:4] == ["1.5", "my-plugin", "loaded"]
    assert rows["my-dist"][4] == (
        "1 defect-types, 1 readers, 6 detectors, 2 postprocessors, 1 weights"
    )
    assert rows["wreck"][3:] == [
        "failed", "error: ModuleNotFoundError: No module named 'x' [see docs]",
    ]  # fmt: skip
    assert rows["quiet"][1:] == ["0.2", "quiet", "blocked"]
    needy = next(line for line in lines if " needy " in line)
    assert needy.endswith("needs the extra [torch]; licence AGPL-3.0")
    assert "warning: wreck 0.1 (plugin 'wrecked'): ModuleNotFoundError" in result.stderr


def test_piped_names_are_not_cut(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    for arguments in (("list",), ("info", LONG)):
        result = run(*arguments)
        assert any(LONG in line for line in result.stdout.splitlines())
        assert not any(line.endswith(" ") for line in result.stdout.splitlines())


def test_on_a_terminal_names_are_folded_and_not_cut(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    plain_tables.show_table(("name", "summary"), [(LONG, "[b]bold[/b] " * 9)])
    text = terminal.getvalue()
    assert "…" not in text
    assert LONG in "".join(text.split()).replace("[b]bold[/b]", "")
    assert text != click.unstyle(text)
    assert "[b]" in text
    plain = click.unstyle(text)
    assert max(map(len, plain.splitlines())) <= 40


def test_list_as_json(run, host):
    result = run("list", "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["clashes"] == []
    mine = found["plugins"][1]
    assert mine["distribution"] == "my-dist"
    assert mine["version"] == "1.5"
    assert mine["name"] == "my-plugin"
    assert mine["status"] == "loaded"
    assert mine["error"] is None
    assert mine["hooks"] == sorted(name for name in vars(Plugin) if name.startswith("defectscope_"))
    assert mine["provides"]["readers"] == [
        {"name": "gone", "summary": "Gone.", "target": "nowhere_at_all:Gone", "extra": None,
         "licence": None, "suffixes": [".x", ".y"]},
    ]  # fmt: skip
    assert mine["provides"]["defect-types"][0]["contrast"] == "bright"
    assert found["plugins"][2]["error"].startswith("ModuleNotFoundError")
    assert found["plugins"][3]["status"] == "blocked"


def test_list_shows_clashes(run, host):
    register(host, Rival(), "rival", "rival-dist")
    result = run("list")
    assert "several plugins offer this name; write my-dist/careless" in result.stdout
    assert "'careless' in detectors is offered by my-dist 1.5" in result.stderr
    assert json.loads(run("list", "--json").stdout)["clashes"] == [
        {"family": "detectors", "name": "careless", "offered_by": ["my-dist", "rival-dist"]}
    ]


def test_list_warns_of_an_allow_list_that_names_nothing(run):
    result = run("list", on=PluginHost(entry_points=(), allowed=["mispelt"]))
    assert result.exit_code == 0
    assert "DEFECTSCOPE_PLUGINS names 'mispelt'" in result.stderr


def test_info(run):
    result = run("info", "blurred")
    assert result.exit_code == 0
    head, _, table = result.stdout.partition("\n\n")
    assert head.splitlines() == [
        "blurred: Blurs first.",
        "  kind: detector",
        "  distribution: my-dist 1.5",
        "  plugin: my-plugin",
        f"  target: {HERE}:Blurred",
        "  description: Finds nothing, after a blur.",
        "  defect types: black dot, cavity",
        "  trainable: false",
    ]
    header, sigma, engine = table.splitlines()
    assert header.split() == ["option", "type", "default", "limits", "unit", "description"]
    assert sigma.split()[:3] == ["sigma_px", "float", "2.0"]
    assert "> 0, <= 50" in sigma
    assert sigma.endswith("blur before the search, px")
    assert engine.split()[:5] == ["engine", "str", "|", "none", "none"]
    assert "--set blurred.sigma_px=VALUE" in result.stderr


def test_info_tells_what_is_empty_from_none(run):
    rows = [line.split() for line in run("info", "choosy").stdout.splitlines()]
    defaults = {row[0]: row for row in rows if row and row[0] in ("engine", "kinds", "names")}
    assert defaults["engine"][4] == "none"
    assert defaults["kinds"][3] == "[]"
    assert defaults["names"][3] == "{}"


def test_info_as_json(run):
    found = json.loads(run("info", "area", "--json").stdout)
    assert found["columns"] == {"area_px": "px2", "fit": ""}
    assert found["shapes"] == ["ellipse"]
    assert found["options"] == []
    options = json.loads(run("info", "my-dist/blurred", "--json").stdout)["options"]
    assert options[0] == {
        "name": "sigma_px", "type": "float", "default": 2.0, "limits": "> 0, <= 50", "unit": "px",
        "description": "blur before the search, px",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("area", ["  shapes: ellipse", "  columns: area_px (px2), fit"]),
        ("cavity", ["  kind: defect type", "  contrast: bright", "  shape: ellipse"]),
        ("tiny", ["  kind: set of weights", f"  target: {HERE}:weights"]),
        ("gone", ["  suffixes: .x, .y", "  kind: reader"]),
        ("needy", ["  extra: torch", "  licence: AGPL-3.0"]),
    ],
)
def test_info_of_other_families(run, name, lines):
    result = run("info", name)
    assert result.exit_code == 0
    assert set(lines) <= set(result.stdout.splitlines())


def test_info_says_why_something_cannot_be_used(run):
    result = run("info", "gone")
    assert result.exit_code == 0
    assert "  cannot be used: my-dist 1.5 (plugin 'my-plugin'): component 'gone'" in result.stdout


@pytest.mark.parametrize(
    ("component", "reason"),
    [
        (Wordless, "cannot say its defect types: KeyError: 'types.txt'"),
        (Unmakeable, "cannot be made: ZeroDivisionError: division by zero"),
    ],
)
def test_info_of_a_component_that_fails_when_it_is_asked(run, host, component, reason):
    class Failing:
        @ds.hookimpl
        def defectscope_detectors(self):
            return [ds.ComponentSpec("failing", "Fails.", f"{HERE}:{component.__name__}")]

    register(host, Failing(), "failing", "lab")
    result = run("info", "failing")
    assert result.exit_code == 0
    assert f"(plugin 'failing'): 'failing' {reason}" in result.stdout
    assert "sigma_px" in result.stdout


def test_a_name_in_two_families(run):
    error = run("info", "same").exception
    assert isinstance(error, ds.UsageError)
    assert "--family detectors or --family postprocessors" in str(error)
    assert "same: Measures." in run("info", "same", "--family", "postprocessors").stdout


def test_unknown_names(run):
    error = run("info", "blured").exception
    assert isinstance(error, ds.UnknownNameError)
    assert "did you mean 'blurred'" in str(error)
    assert "a plugin, which provides: " in str(run("info", "my-plugin").exception)
    assert isinstance(run("check", "blured").exception, ds.UnknownNameError)


def test_check_passes(run):
    result = run("check", "blurred")
    assert result.exit_code == 0, result.stdout
    lines = result.stdout.splitlines()
    assert lines[0] == "my-dist/blurred (detectors)"
    assert "  pass  The pixels stay as they are, and may be read-only" in lines
    assert not [line for line in lines if line.startswith("  FAIL")]
    assert "passed" in result.stderr


def test_check_fails(run):
    result = run("check", "careless")
    assert result.exit_code == 1
    assert (
        "  FAIL  It takes uint8, uint16 and float32 pixels: detect must return a list of one "
        "Instances a frame: expected 1, found 0"
    ) in result.stdout.splitlines()


def test_check_reports_what_cannot_be_imported(run):
    result = run("check", "gone")
    assert result.exit_code == 1
    assert "FAIL  It can be imported: my-dist 1.5 (plugin 'my-plugin')" in result.stdout


def test_check_with_an_option(run):
    skipped = run("check", "choosy")
    assert skipped.exit_code == 0
    assert "choose an engine" in skipped.stdout
    checked = run("check", "choosy", "--set", "choosy.engine=mine", "--json")
    statuses = {row["name"]: row["status"] for row in json.loads(checked.stdout)}
    assert statuses["detection_repeats"] == "passed"
    words = ["my-dist/choosy", "--set", "my-dist/choosy.engine=mine", "--json"]
    assert json.loads(run("check", *words).stdout) == json.loads(checked.stdout)
    assert isinstance(run("check", "choosy", "--set", "other.a=1").exception, ds.OptionError)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("blurred.sigma=3", "'blurred' has no option 'sigma' .did you mean 'sigma_px'"),
        ("blurred.sigma_px=-3", "option blurred.sigma_px = -3 is not possible"),
    ],
)
def test_check_refuses_an_option_that_cannot_be_set(run, setting, message):
    result = run("check", "blurred", "--set", setting)
    with pytest.raises(ds.OptionError, match=message):
        raise result.exception
    assert not result.stdout


def test_check_keeps_stdout_for_what_it_found(run, monkeypatch):
    process = Area.process

    def prints(self, frame, instances):
        print("at work")
        return process(self, frame, instances)

    monkeypatch.setattr(Area, "process", prints)
    result = run("check", "area", "--json")
    assert json.loads(result.stdout)
    assert "at work" in result.stderr


def test_check_a_whole_plugin(run):
    result = run("check", "My_Dist", "--json")
    assert result.exit_code == 1
    rows = json.loads(result.stdout)
    failed = {row["component"] for row in rows if row["status"] == "failed"}
    assert failed >= {"my-dist/careless", "my-dist/area", "my-dist/gone", "my-dist/tiny"}
    assert "my-dist/blurred" not in failed
    assert isinstance(run("check", "wrecked").exception, ds.PluginLoadError)


def test_check_a_broken_background_of_the_host_says_where(run, monkeypatch):
    monkeypatch.setattr(Careless, "detect", lambda self, frames: 1 / 0)
    result = run("check", "careless")
    assert "it raised ZeroDivisionError: division by zero (at " in result.stdout
    assert f"{os.path.basename(__file__)}:" in result.stdout  # noqa: PTH119


def wrong_boxes(self, frames):
    return [ds.Instances(frame.shape, [(1, 1, 5)], [1], ["black dot"]) for frame in frames]


def no_words(self, frames):
    raise AssertionError


def two_lines(self, frames):
    raise ValueError("one line\nand another")


@pytest.mark.parametrize(
    ("fails", "told"),
    [
        (wrong_boxes, r"ValueError: boxes: expected shape \(n, 4\), found \(1, 3\)"),
        (no_words, "AssertionError"),
        (two_lines, "ValueError: one line and another"),
    ],
)
def test_check_tells_in_one_line_what_was_raised_and_the_authors_own_line(
    run, monkeypatch, fails, told
):
    monkeypatch.setattr(Careless, "detect", fails)
    place = rf"\(at .*{os.path.basename(__file__)}:\d+\)"  # noqa: PTH119
    lines = [
        line for line in run("check", "careless").stdout.splitlines() if "uint8, uint16" in line
    ]
    assert re.fullmatch(rf"  FAIL  .*: it raised {told} {place}", lines[0])


OUTSIDER = """
print("printed on import")
import defectscope as ds

@ds.hookimpl
def defectscope_detectors():
    return [ds.ComponentSpec("outside", "From outside.", "outsider.detector:Outside")]
"""
LIST = """
import sys
from defectscope.cli.main import main

code = main(["plugins", *sys.argv[1:]])
heavy = ("numpy", "pandas", "pydantic", "torch", "scipy", "skimage", "matplotlib", "cv2", "rich")
print("loaded:", [name for name in heavy if name in sys.modules], file=sys.stderr)
sys.exit(code)
"""


@pytest.fixture
def outside(tmp_path):
    """An installed distribution with a plugin, and one that is broken."""
    package = tmp_path / "outsider"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "plugin.py").write_text(textwrap.dedent(OUTSIDER))
    for name, module in (("outsider", "outsider.plugin"), ("wreck", "wreck_is_not_there")):
        info = tmp_path / f"{name}-2.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.0\n")
        (info / "entry_points.txt").write_text(f"[defectscope]\n{name} = {module}\n")

    def invoke(*arguments, **variables):
        environment = {**os.environ, "PYTHONPATH": str(tmp_path), **variables}
        return subprocess.run(
            [sys.executable, "-c", LIST, *arguments],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return invoke


def test_list_imports_nothing_heavy(outside):
    result = outside("list")
    assert result.returncode == 0
    assert "loaded: []" in result.stderr
    assert "outside" in result.stdout
    assert "wreck_is_not_there" in result.stdout
    assert "printed on import" not in result.stdout
    assert "printed on import" in result.stderr


def test_json_stays_json_whatever_plugins_print(outside):
    result = outside("list", "--json")
    records = {record["distribution"]: record for record in json.loads(result.stdout)["plugins"]}
    assert records["outsider"]["status"] == "loaded"
    assert records["wreck"]["status"] == "failed"


def test_blocking_keeps_a_plugin_from_being_imported(outside):
    blocked = outside("list", "--no-plugin", "outsider", "--json")
    emptied = outside("list", "--json", DEFECTSCOPE_PLUGINS="")
    for result in (blocked, emptied):
        records = {r["distribution"]: r for r in json.loads(result.stdout)["plugins"]}
        assert records["outsider"]["status"] == "blocked"
        assert "printed on import" not in result.stderr


class Commands:
    """Adds a command with a help text, or one without."""

    def __init__(self, text, fails=False):
        self.text, self.fails = text, fails

    @ds.hookimpl
    def defectscope_commands(self, cli):
        if self.fails:
            raise RuntimeError("no idea")
        cli.add_command(click.Command("counts", help=self.text))


@pytest.mark.parametrize(
    ("text", "fails", "word"),
    [("Count.", False, "pass"), ("", False, "needs a docstring"), ("", True, "no idea")],
)
def test_check_looks_at_commands(text, fails, word):
    host = isolated_host()
    register(host, Commands(text, fails), "counting", "of-counts")
    result = CliRunner().invoke(plugins, ["check", "of-counts"], obj=host)
    assert result.exit_code == (word != "pass"), result.output
    assert "(commands)" in result.output
    assert word in result.output


def test_list_tells_of_commands_that_fail():
    host = isolated_host()
    register(host, Commands("", fails=True), "counting", "of-counts")
    result = CliRunner().invoke(plugins, ["list"], obj=host)
    assert "defectscope_commands: RuntimeError: no idea" in " ".join(result.output.split())
