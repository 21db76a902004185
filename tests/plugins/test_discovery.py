"""Which plugins are taken up, with many kinds of broken ones."""

from __future__ import annotations

import sys
import textwrap

import pytest

from defectscope.plugins.host import PluginHost, allowed_by_environment, default_host


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
    site.install("sound", site.detector())
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
    site.install("first", site.detector())
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
    site.install("modern", site.detector() + textwrap.dedent(future))
    assert only(site.host()).hooks == ("defectscope_detectors",)


def test_printing_on_import_keeps_stdout_clean(site, capsys):
    site.install("chatty", "print('on import')\n" + site.detector() + "    print('in the class')\n")
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
    site.install("sound", site.detector())
    host = site.host(blocked=["Sounds"])
    assert only(host).status == "loaded"
    assert host.unmatched_blocks() == ["Sounds"]


def test_allow_list(site):
    site.install("one", site.detector("first"))
    site.install("two", site.detector("second"), plugin="my-plugin")
    host = site.host(allowed=["my_plugin", "three"])
    assert [record.status for record in host.plugins] == ["blocked", "loaded"]
    assert host.unmatched_allowed() == ["three"]
    assert host.unmatched_blocks() == []
    assert "one_plugin" not in sys.modules


def test_an_empty_allow_list_leaves_the_shipped_ones(site):
    site.install("other", site.detector("first"))
    site.install("defectscope", site.detector("shipped"))
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
    site.install("outsider", site.detector("outside"))
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
        site.install(distribution, site.detector(distribution.lower()))
    host = site.host()
    assert [record.distribution for record in host.plugins] == ["defectscope", "Ant", "zebra"]
    names = [entry.name for entry in host.registered("detectors")]
    assert names == ["defectscope", "ant", "zebra"]


def test_damaged_metadata_stops_nobody(site):
    (site.install("bare", site.detector("bare")) / "METADATA").unlink()
    site.install("sound", site.detector())
    statuses = {record.distribution: record.status for record in site.host().plugins}
    assert statuses == {"sound": "loaded", "unknown": "loaded"}


def test_unreadable_entry_points_stop_nobody(site, monkeypatch):
    broken = site.install("mangled")
    (broken / "entry_points.txt").write_text("[defectscope]\nno equals sign\n")
    unrelated = site.install("unrelated")
    (unrelated / "entry_points.txt").write_text("[console_scripts]\nno equals sign\n")
    site.install("sound", site.detector("sound"))
    monkeypatch.setattr(sys, "path", [str(site.folder), *sys.path])
    host = PluginHost()
    records = {record.distribution: record for record in host.plugins}
    assert records["mangled"].status == "failed"
    assert "its entry points cannot be read" in records["mangled"].error
    assert "unrelated" not in records
    assert records["sound"].status == "loaded"
    assert records["defectscope"].distribution == "defectscope"
    assert host.find("detectors", "sound").plugin.distribution == "sound"
