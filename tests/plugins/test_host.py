"""Discovery and look-up, with many kinds of broken plugins."""

from __future__ import annotations

import importlib.metadata
import pickle
import sys
import textwrap
from types import SimpleNamespace

import click
import pytest

import defectscope as ds
from defectscope.plugins import host as host_module
from defectscope.plugins.host import PluginHost, PluginRecord, allowed_by_environment, default_host
from defectscope.plugins.testing import register

DETECTORS = """
import defectscope as ds

@ds.hookimpl
def defectscope_detectors():
    return [ds.ComponentSpec("{name}", "Finds nothing.", "{module}:Detector")]
"""
DETECTOR = (
    DETECTORS
    + """
class Detector(ds.Detector):
    defect_types = ("black dot",)

    def detect(self, frames):
        return [ds.Instances.empty(frame.shape) for frame in frames]
"""
)


class Site:
    """A folder of fake installed distributions, on sys.path."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        self.modules: list[str] = []
        monkeypatch.syspath_prepend(str(folder))

    def install(self, distribution, code=None, *, version="1.0", plugin=None, value=None):
        """Write a module and the metadata of a distribution with one entry point to it."""
        module = distribution.replace("-", "_").replace(".", "_") + "_plugin"
        if code is not None:
            text = textwrap.dedent(code)
            (self.folder / f"{module}.py").write_text(text.replace("{module}", module))
        self.modules.append(module)
        info = self.folder / f"{distribution}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        )
        (info / "entry_points.txt").write_text(
            f"[defectscope]\n{plugin or distribution} = {value or module}\n"
        )
        return info

    def host(self, **choices):
        found = importlib.metadata.distributions(path=[str(self.folder)])
        points = [
            point
            for distribution in found
            for point in distribution.entry_points.select(group="defectscope")
        ]
        return PluginHost(entry_points=points, **choices)


@pytest.fixture
def site(tmp_path, monkeypatch):
    made = Site(tmp_path, monkeypatch)
    yield made
    for name in made.modules:
        sys.modules.pop(name, None)


def detector(name="good"):
    return DETECTOR.replace("{name}", name)


def only(host):
    (record,) = host.plugins
    return record


BROKEN = {
    "import-error": ("import a_package_that_is_not_there", "ModuleNotFoundError: No module named"),
    "syntax-error": ("def broken(:", "SyntaxError: invalid syntax"),
    "raises": ("raise RuntimeError('no\\n  luck')", "RuntimeError: no luck"),
    "raises-nothing-said": ("raise RuntimeError", "RuntimeError"),
    "exits": ("import sys; sys.exit(3)", "tried to end the program (SystemExit: 3)"),
    "no-hooks": ("x = 1", "implements no hook of defectscope; is @hookimpl missing?"),
    "unknown-hook": (
        "from defectscope import hookimpl\n@hookimpl\ndef defectscope_detector(): return []",
        "the hook 'defectscope_detector', which does not exist (did you mean "
        "'defectscope_detectors'?)",
    ),
    "hook-raises": (
        "from defectscope import hookimpl\n@hookimpl\ndef defectscope_detectors(): 1 / 0",
        "ZeroDivisionError: division by zero",
    ),
    "hook-exits": (
        "from defectscope import hookimpl\n@hookimpl\ndef defectscope_readers(): raise SystemExit",
        "tried to end the program",
    ),
    "hook-returns-none": (
        "from defectscope import hookimpl\n@hookimpl\ndef defectscope_detectors(): pass",
        "defectscope_detectors must return an iterable of ComponentSpec, found NoneType",
    ),
    "hook-returns-text": (
        "from defectscope import hookimpl\n@hookimpl\ndef defectscope_detectors(): return 'a:B'",
        "must return an iterable of ComponentSpec, found str",
    ),
    "hook-returns-classes": (
        "from defectscope import hookimpl\n@hookimpl\ndef defectscope_trackers(): return [int]",
        "must return ComponentSpec objects, found type",
    ),
    "hook-returns-plain-spec-for-reader": (
        "from defectscope import hookimpl, ComponentSpec\n@hookimpl\ndef defectscope_readers():\n"
        "    return [ComponentSpec('a', 'b', 'c:D')]",
        "defectscope_readers must return ReaderSpec objects, found ComponentSpec",
    ),
    "hook-yields-then-raises": (
        "from defectscope import hookimpl, ComponentSpec\n@hookimpl\ndef defectscope_trackers():\n"
        "    yield ComponentSpec('a', 'b', 'c:D')\n    raise KeyError('second')",
        "KeyError: 'second'",
    ),
    "hook-takes-arguments": (
        "from defectscope import hookimpl\n@hookimpl\ndef defectscope_detectors(config): return []",
        "Argument(s) {'config'} are declared in the hookimpl",
    ),
    "name-not-kebab": (
        "from defectscope import hookimpl, ComponentSpec\n@hookimpl\ndef defectscope_trackers():\n"
        "    return [ComponentSpec('My_Tracker', 'b', 'c:D')]",
        "ValueError: a component's name must be kebab-case",
    ),
    "two-of-a-name": (
        "from defectscope import hookimpl, ComponentSpec\n@hookimpl\ndef defectscope_trackers():\n"
        "    return [ComponentSpec('same', 'b', 'c:D'), ComponentSpec('same', 'e', 'f:G')]",
        "defectscope_trackers returns two of the name 'same'",
    ),
    "bad-type": (
        "from defectscope import hookimpl, DefectType\n@hookimpl\ndef defectscope_defect_types():\n"
        "    return [DefectType('a', 'A', 'sphere')]",
        "ValueError: defect type 'a': shape must be one of ellipse, line, found 'sphere'",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_reported_and_the_others_work(site, case):
    code, message = BROKEN[case]
    site.install("broken", code)
    site.install("sound", detector())
    broken, sound = site.host().plugins
    assert (broken.status, sound.status) == ("failed", "loaded")
    assert message in broken.error
    assert "\n" not in broken.error
    assert not broken.provides
    assert not broken.hooks


def test_a_broken_plugin_leaves_no_hook_behind(site):
    site.install(
        "half",
        """
        from defectscope import hookimpl

        @hookimpl
        def defectscope_commands(cli):
            cli.add_command(None, "left-over")

        @hookimpl
        def defectscope_trackers(surprise):
            return []
        """,
    )
    host = site.host()
    assert only(host).status == "failed"
    assert not host.manager.hook.defectscope_commands.get_hookimpls()
    assert not host.manager.get_plugins()


def test_a_missing_module_or_attribute(site):
    site.install("gone")
    site.install("gone-too", "x = 1", value="gone_too_plugin:y")
    site.install("nothing", "y = None", value="nothing_plugin:y")
    site.install("odd", value="not a module!")
    errors = {record.name: record.error for record in site.host().plugins}
    assert errors["gone"] == "ModuleNotFoundError: No module named 'gone_plugin'"
    assert "has no attribute 'y'" in errors["gone-too"]
    assert errors["nothing"] == "nothing_plugin:y is None"
    assert "must read 'package.module'" in errors["odd"]


def test_an_object_can_be_a_plugin(site):
    site.install(
        "thing",
        """
        from defectscope import ComponentSpec, hookimpl

        class Plugin:
            @hookimpl
            def defectscope_trackers(self):
                return (ComponentSpec("mine", "Mine.", "a:B") for _ in range(1))

        plugin = Plugin()
        """,
        value="thing_plugin:plugin",
    )
    assert site.host().find("trackers", "mine").plugin.distribution == "thing"


def test_one_module_registered_twice(site):
    site.install("first", detector())
    site.install("second", value="first_plugin")
    first, second = site.host().plugins
    assert (first.status, second.status) == ("loaded", "failed")
    assert "registered already, as first:first" in second.error


def test_an_optional_hook_of_a_later_version_is_no_error(site):
    future = """
    @ds.hookimpl(optionalhook=True)
    def defectscope_future():
        return []
    """
    site.install("modern", detector() + textwrap.dedent(future))
    assert only(site.host()).hooks == ("defectscope_detectors",)


def test_printing_on_import_keeps_stdout_clean(site, capsys):
    site.install("chatty", "print('on import')\n" + detector() + "    print('in the class')\n")
    host = site.host()
    host.load_class(host.find("detectors", "good"))
    out, err = capsys.readouterr()
    assert out == ""
    assert "on import" in err
    assert "in the class" in err


@pytest.mark.parametrize("name", ["noisy-dist", "Noisy_Dist", "my-plugin", "MY.PLUGIN"])
def test_blocked_before_import(site, name):
    site.install("noisy-dist", "raise AssertionError('imported')", plugin="my-plugin")
    host = site.host(blocked=[name])
    assert only(host).status == "blocked"
    assert only(host).error is None
    assert "noisy_dist_plugin" not in sys.modules
    assert host.unmatched_blocks() == []


def test_blocking_what_is_not_there(site):
    site.install("sound", detector())
    host = site.host(blocked=["Sounds"])
    assert only(host).status == "loaded"
    assert host.unmatched_blocks() == ["Sounds"]


def test_allow_list(site):
    site.install("one", detector("first"))
    site.install("two", detector("second"), plugin="my-plugin")
    host = site.host(allowed=["my_plugin", "three"])
    assert [record.status for record in host.plugins] == ["blocked", "loaded"]
    assert host.unmatched_allowed() == ["three"]
    assert host.unmatched_blocks() == []
    assert "one_plugin" not in sys.modules


def test_an_empty_allow_list_leaves_the_shipped_ones(site):
    site.install("other", detector("first"))
    site.install("defectscope", detector("shipped"))
    host = site.host(allowed=[])
    assert {record.distribution: record.status for record in host.plugins} == {
        "defectscope": "loaded",
        "other": "blocked",
    }


@pytest.mark.parametrize(
    ("value", "expected"), [(None, None), ("", []), (" , ", []), ("a, b ,", ["a", "b"])]
)
def test_allow_list_variable(monkeypatch, value, expected):
    monkeypatch.delenv("DEFECTSCOPE_PLUGINS", raising=False)
    if value is not None:
        monkeypatch.setenv("DEFECTSCOPE_PLUGINS", value)
    assert allowed_by_environment() == expected


def test_the_default_host_reads_the_variable_and_the_installed_plugins(site, monkeypatch):
    site.install("outsider", detector("outside"))
    monkeypatch.setenv("DEFECTSCOPE_PLUGINS", "")
    default_host.cache_clear()
    try:
        statuses = {record.distribution: record.status for record in default_host().plugins}
        assert statuses["outsider"] == "blocked"
        assert statuses["defectscope"] != "blocked"
        assert default_host() is default_host()
        monkeypatch.setenv("DEFECTSCOPE_PLUGINS", "outsider")
        default_host.cache_clear()
        assert default_host().find("detectors", "outside").plugin.name == "outsider"
    finally:
        default_host.cache_clear()


def test_the_order_is_that_of_names_with_the_shipped_first(site):
    for distribution in ("zebra", "Ant", "defectscope"):
        site.install(distribution, detector(distribution.lower()))
    host = site.host()
    assert [record.distribution for record in host.plugins] == ["defectscope", "Ant", "zebra"]
    names = [entry.name for entry in host.registered("detectors")]
    assert names == ["defectscope", "ant", "zebra"]


def test_damaged_metadata_stops_nobody(site):
    (site.install("bare", detector("bare")) / "METADATA").unlink()
    site.install("sound", detector())
    statuses = {record.distribution: record.status for record in site.host().plugins}
    assert statuses == {"sound": "loaded", "unknown": "loaded"}


def test_unreadable_entry_points_stop_nobody(site, monkeypatch):
    broken = site.install("mangled")
    (broken / "entry_points.txt").write_text("[defectscope]\nno equals sign\n")
    unrelated = site.install("unrelated")
    (unrelated / "entry_points.txt").write_text("[console_scripts]\nno equals sign\n")
    site.install("sound", detector("sound"))
    monkeypatch.setattr(sys, "path", [str(site.folder), *sys.path])
    host = PluginHost()
    records = {record.distribution: record for record in host.plugins}
    assert records["mangled"].status == "failed"
    assert "its entry points cannot be read" in records["mangled"].error
    assert "unrelated" not in records
    assert records["sound"].status == "loaded"
    assert records["defectscope"].distribution == "defectscope"
    assert host.find("detectors", "sound").plugin.distribution == "sound"


def test_unknown_name_suggests_the_nearest(site):
    site.install("sound", detector("dark-blobs"))
    site.install("wrecked", "import a_package_that_is_not_there")
    host = site.host(blocked=[])
    with pytest.raises(ds.UnknownNameError) as caught:
        host.find("detectors", "dark-blob")
    assert str(caught.value) == (
        "there is no detector 'dark-blob' (did you mean 'dark-blobs'?); installed are: dark-blobs "
        "(plugins failed to load: 1; see 'defectscope plugins list')"
    )
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("family", "word"),
    [
        ("analyses", "analysis"),
        ("defect-types", "defect type"),
        ("postprocessors", "post-processor"),
        ("weights", "set of weights"),
    ],
)
def test_families_in_messages(family, word):
    with pytest.raises(ds.UnknownNameError, match=f"there is no {word} 'x'; installed are: none"):
        PluginHost(entry_points=()).find(family, "x")


def test_one_name_in_two_distributions(site):
    site.install("Alpha_Lab", detector("same"), version="1.2")
    site.install("beta", detector("same"))
    site.install("gamma", detector("other"))
    host = site.host()
    with pytest.raises(ds.PluginClashError) as caught:
        host.find("detectors", "same")
    assert str(caught.value) == (
        "detector 'same' is offered by Alpha_Lab 1.2 (plugin 'Alpha_Lab') and beta 1.0 (plugin "
        "'beta'); write Alpha_Lab/same or beta/same, or leave one out with --no-plugin Alpha_Lab "
        "or --no-plugin beta"
    )
    assert host.find("detectors", "other").plugin.distribution == "gamma"
    for name in ("beta/same", "Beta/same"):
        assert host.find("detectors", name).plugin.distribution == "beta"
    assert host.find("detectors", "alpha-lab/same").plugin.version == "1.2"
    with pytest.raises(ds.UnknownNameError, match="no detector 'delta/same'"):
        host.find("detectors", "delta/same")
    assert [[e.qualified for e in group] for group in host.clashes()] == [
        ["Alpha_Lab/same", "beta/same"]
    ]
    assert site.host(blocked=["beta"]).find("detectors", "same").plugin.name == "Alpha_Lab"


def test_nobody_is_told_to_leave_the_shipped_ones_out(site):
    site.install("alpha", detector("heatmap"))
    site.install("defectscope", detector("heatmap"))
    with pytest.raises(ds.PluginClashError) as caught:
        site.host().find("detectors", "heatmap")
    assert str(caught.value).endswith(
        "; write defectscope/heatmap or alpha/heatmap, or leave out the other with "
        "--no-plugin alpha"
    )


def test_one_name_twice_in_a_distribution(site):
    info = site.install("twins", detector("same"))
    site.install("helper", detector("other"))
    code = (site.folder / "twins_plugin.py").read_text()
    (site.folder / "twins_second.py").write_text(code)
    site.modules.append("twins_second")
    (info / "entry_points.txt").write_text(
        "[defectscope]\nleft = twins_plugin\nright = twins_second\n"
    )
    with pytest.raises(
        ds.PluginClashError, match="--no-plugin left or --no-plugin right"
    ) as caught:
        site.host().find("detectors", "same")
    assert "write" not in str(caught.value)
    assert site.host(blocked=["left"]).find("detectors", "same").plugin.name == "right"


TYPES = """
from defectscope import DefectType, hookimpl

@hookimpl
def defectscope_defect_types():
    return [DefectType("cavity", "Cavity", "ellipse", colour="{colour}"),
            DefectType("a/2 {colour}", "A", "line")]
"""


def test_defect_types_may_agree_but_not_differ(site):
    site.install("one", TYPES.replace("{colour}", "#000000"))
    site.install("two", TYPES.replace("{colour}", "#000000"))
    host = site.host()
    assert set(host.defect_types()) == {"cavity", "a/2 #000000"}
    assert host.find("defect-types", "cavity").plugin.distribution == "one"
    assert host.find("defect-types", "two/a/2 #000000").plugin.distribution == "two"
    assert host.clashes() == []
    site.install("three", TYPES.replace("{colour}", "#ffffff"))
    host = site.host()
    assert "cavity" not in host.defect_types()
    with pytest.raises(ds.PluginClashError, match="defect type 'cavity' is offered by") as caught:
        host.find("defect-types", "cavity")
    assert str(caught.value).endswith(
        "they define it differently; leave one out with --no-plugin one or --no-plugin three or "
        "--no-plugin two"
    )
    assert host.runtime().clashing_types == {"cavity": str(caught.value)}


def test_declared_types_need_one_meaning(site):
    site.install("one", TYPES.replace("{colour}", "#000000"))
    site.install("two", TYPES.replace("{colour}", "#ffffff"))
    host = site.host()
    assert host.expect_types(["a/2 #000000"]) == []
    (said,) = host.expect_types(["void", "a/2 #000000", "void"])
    assert said.startswith("the defect type 'void' is registered by no plugin: it is measured by")
    with pytest.raises(ds.PluginClashError, match=r"'cavity' is offered by one 1\.0 .* and two"):
        host.expect_types(["void", "cavity"])
    assert "plugins blocked: 1" in site.host(blocked=["two"]).expect_types(["void"])[0]


def test_find_anywhere(site):
    trackers = """
    @ds.hookimpl
    def defectscope_trackers():
        return [ds.ComponentSpec("same", "Links nothing.", "{module}:Tracker")]
    """
    site.install("both", detector("same") + textwrap.dedent(trackers))
    site.install("single", detector("single"))
    host = site.host()
    assert host.find_anywhere("single").family == "detectors"
    assert host.find_anywhere("same", "trackers").family == "trackers"
    with pytest.raises(ds.UsageError, match="--family detectors or --family trackers"):
        host.find_anywhere("same")
    with pytest.raises(ds.UnknownNameError, match=r"called 'singel' \(did you mean 'single'"):
        host.find_anywhere("singel")
    with pytest.raises(ds.UsageError, match=r"no family 'detector' \(did you mean 'detectors'"):
        host.find_anywhere("single", "detector")
    with pytest.raises(ds.UnknownNameError, match=r"no family 'detector' .*are: defect-types, re"):
        host.build("detector", "single")


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
    site.install("sound", detector())
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
    site.install("both", detector() + commands("1 / 0"))
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
    site.install("one", detector("first"))
    site.install("two", detector("second"))
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
