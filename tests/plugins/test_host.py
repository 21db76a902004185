"""The host: components and commands of plugins, and what it knows of them."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import click
import pytest

import defectscope as ds
from defectscope.plugins import host as host_module
from defectscope.plugins.host import PluginHost, PluginRecord
from defectscope.plugins.testing import register


def only(host):
    (record,) = host.plugins
    return record


COMPONENTS = {
    "gone": ("nowhere_at_all:Thing", None, ds.PluginLoadError, "No module named 'nowhere_at_all'"),
    "gone-with-extra": (
        "nowhere_at_all:Thing", "torch", ds.PluginLoadError, "No module named 'nowhere_at_all'",
    ),
    "needs-package": ("{m}_needy:Thing", None, ds.PluginLoadError, "No module named 'unobtainium'"),
    "needs-package-of-extra": (
        "{m}_needy:Thing", "torch", ds.MissingPackageError,
        "needs the package unobtainium, which is not installed; install it with: pip install "
        r'"maker\[torch\]"',
    ),
    "raises": ("{m}_raising:Thing", None, ds.PluginLoadError, "RuntimeError: not today"),
    "exits": ("{m}_exiting:Thing", None, ds.PluginLoadError, "tried to end the program"),
    "absent": ("{m}:Absent", None, ds.PluginLoadError, "has no 'Absent'"),
    "function": ("{m}:function", None, ds.PluginLoadError, "subclass of defectscope.Detector"),
    "tracker": ("{m}:Tracker", None, ds.PluginLoadError, "subclass of defectscope.Detector"),
    "unready": ("{m}:Unready", None, ds.PluginLoadError, r"must call super\(\).__init__\(options"),
}  # fmt: skip


@pytest.mark.parametrize("case", COMPONENTS)
def test_components_that_cannot_be_loaded(site, case):
    target, extra, error, message = COMPONENTS[case]
    for name, code in {
        "needy": "import unobtainium", "raising": "raise RuntimeError('not today')",
        "exiting": "import sys; sys.exit(0)",
    }.items():  # fmt: skip
        (site.folder / f"maker_plugin_{name}.py").write_text(code)
        site.modules.append(f"maker_plugin_{name}")
    code = f"""
    import defectscope as ds

    @ds.hookimpl
    def defectscope_detectors():
        return [ds.ComponentSpec("it", "It.", "{target}", extra={extra!r})]

    def function():
        pass

    class Tracker(ds.Tracker):
        def link(self, detections, geometry=None):
            return detections

    class Unready(ds.Detector):
        def __init__(self, options, runtime):
            self.found = []

        def detect(self, frames):
            return self.found
    """
    site.install("maker", code.replace("{m}", "{module}"))
    host = site.host()
    assert only(host).status == "loaded"
    with pytest.raises(error, match=message) as caught:
        host.build("detectors", "it")
    if error is ds.PluginLoadError:
        assert "maker 1.0 (plugin 'maker')" in str(caught.value)


def test_build(site):
    site.install("sound", site.detector())
    runtime = ds.Runtime(threads=2)
    built = site.host().build("detectors", "good", {}, runtime)
    assert built.runtime is runtime
    assert type(built.options) is ds.Options
    with pytest.raises(ds.OptionError, match="'mine' has no option 'sigma'; it has no options"):
        site.host().build("detectors", "good", {"sigma": 1}, alias="mine")


COMMANDS = """
import click
from defectscope import hookimpl

@hookimpl
def defectscope_commands({arguments}):
    {body}
"""


def commands(body, arguments="cli"):
    return COMMANDS.replace("{arguments}", arguments).replace("{body}", body)


def test_commands(site, capsys):
    add = "cli.command(name='{}')(lambda: None)"
    site.install("good", commands(f"print('hi'); {add.format('greet')}"))
    site.install("raising", commands(f"{add.format('half')}; 1 / 0"))
    site.install("replacing", commands(add.format("run")))
    site.install("again", commands(add.format("greet")))
    site.install("careless", commands("pass", arguments=""))
    site.install("both", site.detector() + commands("1 / 0"))
    cli = click.Group("defectscope")
    run = cli.command(name="run")(lambda: None)
    host = site.host()
    host.add_commands(cli)
    host.add_commands(click.Group("another", commands=[run]))
    prefix = "defectscope_commands: "
    warnings = {record.name: record.warnings for record in host.plugins}
    # In the order of names, so `again` came first.
    assert set(cli.commands) == {"run", "greet"}
    assert cli.commands["run"] is run
    assert warnings == {
        "again": [],
        "both": [f"{prefix}ZeroDivisionError: division by zero"],
        "careless": [],
        "good": [f"{prefix}there is a command 'greet' already; choose another name"],
        "raising": [f"{prefix}ZeroDivisionError: division by zero"],
        "replacing": [f"{prefix}there is a command 'run' already; choose another name"],
    }
    # What else a plugin provides works as before.
    assert {(record.status, record.error) for record in host.plugins} == {("loaded", None)}
    assert host.build("detectors", "good")
    assert capsys.readouterr().out == ""


def test_commands_do_not_hide_lazy_ones(site):
    class Lazy(click.Group):
        def list_commands(self, context):
            return [*super().list_commands(context), "run"]

    site.install("replacing", commands("cli.command(name='run')(lambda: None)"))
    cli, host = Lazy("defectscope"), site.host()
    host.add_commands(cli)
    assert "there is a command 'run' already" in only(host).warnings[0]
    assert not cli.commands


def test_records_say_who_it_is():
    record = PluginRecord("my-plugin", "my-dist", "1.0", "my_package.plugin")
    assert record.label == "my-dist 1.0 (plugin 'my-plugin')"


def test_public_names():
    for name in ("FAMILIES", "PluginHost", "PluginRecord", "Registered", "default_host"):
        assert name in host_module.__all__


def test_a_pickled_host_keeps_out_what_was_kept_out(site):
    site.install("one", site.detector("first"))
    site.install("two", site.detector("second"))
    host = pickle.loads(pickle.dumps(site.host(blocked=["one"])))
    assert {record.name: record.status for record in host.plugins} == {
        "one": "blocked",
        "two": "loaded",
    }


def test_a_reader_of_a_shipped_suffix_is_said_to_be_idle():
    def plugin(*suffixes):
        @ds.hookimpl
        def defectscope_readers():
            return [ds.ReaderSpec("own", "Frames.", "a:B", suffixes=suffixes)]

        return SimpleNamespace(defectscope_readers=defectscope_readers)

    host = PluginHost(entry_points=())
    assert register(host, plugin(".tif"), "shipped", "defectscope").warnings == []
    record = register(host, plugin(".TIF", ".mine"), "own", "other")
    assert record.warnings == [
        "its reader 'own' is never asked for files ending in .TIF, which the shipped reader "
        "'own' takes"
    ]


@pytest.mark.parametrize(
    ("distribution", "shipped"),
    [("defectscope", True), ("DefectScope", True), ("defectscope-x", False)],
)
def test_what_is_shipped(distribution, shipped):
    assert PluginRecord("readers", distribution, "1", "x").is_shipped == shipped
