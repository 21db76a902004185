"""Broken plugins of many kinds: each is named with its distribution, and everything else works."""

from __future__ import annotations

import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from contextlib import contextmanager

import numpy as np
import pytest

import defectscope as ds
from defectscope.pipeline import lanes
from defectscope.pipeline.benchmark_process import ProcessFailedError, measure
from defectscope.pipeline.given_frames import GivenFrames
from defectscope.pipeline.named import NamedComponent
from defectscope.plugins import host as host_module
from defectscope.plugins.conformance import check_component
from defectscope.plugins.host import PluginHost

HEAD = "import defectscope as ds\n"
DETECTOR = """
@ds.hookimpl
def defectscope_detectors():
    return [ds.ComponentSpec("{name}", "It.", "{module}:It")]

class It(ds.Detector):
    defect_types = ("black dot",)
    def detect(self, frames):
        {body}
"""
FIND_NOTHING = "return [ds.Instances.empty(frame.shape) for frame in frames]"

# What keeps a plugin from being loaded: the code, and what is said about it.
UNLOADABLE = {
    "import-error": ("import a_package_that_is_not_there", "No module named 'a_package_that"),
    "syntax-error": ("def broken(:", "SyntaxError: invalid syntax"),
    "raises-on-import": ("1 / 0", "ZeroDivisionError: division by zero"),
    "exits-on-import": ("raise SystemExit(3)", "it tried to end the program"),
    "no-hooks": ("", "it implements no hook of defectscope"),
    "unknown-hook": (
        "@ds.hookimpl\ndef defectscope_detector(): return []",
        "did you mean 'defectscope_detectors'",
    ),
    "hook-raises": (
        "@ds.hookimpl\ndef defectscope_trackers(): raise KeyError('x')", "KeyError: 'x'",
    ),
    "hook-returns-nothing": (
        "@ds.hookimpl\ndef defectscope_trackers(): pass",
        "must return an iterable of ComponentSpec",
    ),
    "hook-returns-classes": (
        "@ds.hookimpl\ndef defectscope_trackers(): return [int]",
        "must return ComponentSpec objects",
    ),
    "name-twice": (
        "@ds.hookimpl\ndef defectscope_trackers():\n"
        "    return [ds.ComponentSpec('a', 'A.', 'b:C'), ds.ComponentSpec('a', 'A.', 'b:C')]",
        "returns two of the name 'a'",
    ),
    "name-not-kebab": (
        "@ds.hookimpl\ndef defectscope_trackers(): return [ds.ComponentSpec('A b', 'A.', 'b:C')]",
        "a component's name must be kebab-case",
    ),
    "newer-interface": (
        "defectscope_api = '1.9'\n" + DETECTOR,
        "was written for version 1.9 of the plugin interface, but defectscope",
    ),
    "next-interface": (
        "defectscope_api = '2.0'\n" + DETECTOR, "has version 1.0; install a later defectscope",
    ),
    "older-interface": (
        "defectscope_api = '0.3'\n" + DETECTOR, "has version 1.0; install a later version of it",
    ),
    "nonsense-interface": (
        "defectscope_api = 1.0\n" + DETECTOR, "as text, such as '1.0'; found 1.0",
    ),
}  # fmt: skip

OPTIONS = """
    class Options(ds.Options):
        {field}
"""
# What shows when a component is built: the body of its class, and what is said.
UNBUILDABLE = {
    "missing-dependency": (None, "No module named 'unobtainium'"),
    "wrong-family": ("ds.Tracker", "must be a subclass of defectscope.Detector"),
    "clashing-option": ("    json: int = 1", "its option 'json' clashes with a name that every"),
    "reserved-option": ("    model_x: int = 1", "its option 'model_x' clashes with a name"),
    "aliased-option": (
        "    size_px: int = pydantic.Field(1, alias='size')",
        "option 'size_px' has the alias 'size'",
    ),
    "no-options": ("object", "Options must be a subclass of defectscope.Options"),
    "cannot-be-made": ("__init__", "'it' cannot be made: RuntimeError: not today"),
}  # fmt: skip

# What shows on a frame: the body of detect, and what is said.
MISBEHAVING = {
    "raises": ("raise RuntimeError('no\\n luck')", "RuntimeError: no luck"),
    "wrong-length": (
        "return []",
        "must return one Instances for each of 1 frames, found 0 of them",
    ),
    "returns-nothing": ("return None", "for each of 1 frames, found NoneType"),
    "returns-boxes": ("return [[1, 2, 3, 4]]", "must return Instances on a.png, found list"),
    "mutates-its-input": (
        "frames[0].pixels[0, 0] = 0",
        "assignment destination is read-only (a component must not change what it is given)",
    ),
    "negative-boxes": (
        "return [ds.Instances(frames[0].shape, [[-9, -9, 3, 3]], defect_types='black dot')]",
        "returned boxes outside of a.png",
    ),
    "boxes-inside-out": (
        "return [ds.Instances(frames[0].shape, [[9, 9, 3, 3]], defect_types='black dot')]",
        "x_max must exceed x_min",
    ),
    "not-finite": (
        "return [ds.Instances(frames[0].shape, [[1, 1, 3, float('nan')]], defect_types='a')]",
        "every coordinate must be finite",
    ),
    "other-shape": ("return [ds.Instances.empty((3, 3))]", "of an image of (3, 3) on a.png"),
    "ends-the-program": ("import sys; sys.exit(0)", "it tried to end the program"),
    "recursion": ("return self.detect(frames)", "RecursionError"),
}


class Site:
    """A folder of installed distributions, one plugin each."""

    def __init__(self, folder):
        self.folder = folder

    def install(self, distribution, code, version="1.5", folder=None):
        module = distribution.replace("-", "_") + "_module"
        place = folder or self.folder
        place.mkdir(exist_ok=True)
        text = code.replace("{name}", "it").replace("{module}", module)
        (place / f"{module}.py").write_text(HEAD + text.replace("{body}", FIND_NOTHING))
        info = place / f"{distribution}-{version}.dist-info"
        info.mkdir()
        head = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        (info / "METADATA").write_text(head)
        (info / "entry_points.txt").write_text(f"[defectscope]\n{distribution} = {module}\n")

    def host(self, **choices):
        points = [
            point
            for distribution in importlib.metadata.distributions(path=[str(self.folder)])
            for point in distribution.entry_points.select(group="defectscope")
        ]
        points += importlib.metadata.distribution("defectscope").entry_points
        ours = [point for point in points if point.group == "defectscope"]
        return PluginHost(entry_points=ours, **choices)

    def start(self, *arguments, **more):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(self.folder), *sys.path])}
        return subprocess.Popen(
            [sys.executable, "-m", "defectscope", *map(str, arguments)], env=environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more,
        )  # fmt: skip

    def run(self, *arguments):
        process = self.start(*arguments)
        out, error = process.communicate(timeout=120)
        return process.returncode, out, error


@pytest.fixture
def site(tmp_path, monkeypatch):
    made = Site(tmp_path / "site")
    made.folder.mkdir()
    monkeypatch.syspath_prepend(str(made.folder))
    yield made
    for name in [name for name in sys.modules if name.endswith("_module")]:
        del sys.modules[name]


def body(code):
    return DETECTOR.replace("{body}", code)


def frame(seed=0):
    pixels = np.random.default_rng(seed).integers(0, 255, (32, 40), dtype=np.uint8)
    return ds.Frame(pixels, seed, source="a.png" if seed == 0 else f"b{seed}.png")


def test_there_are_enough_kinds():
    assert len(UNLOADABLE) + len(UNBUILDABLE) + len(MISBEHAVING) >= 30


def test_what_cannot_be_loaded_is_listed_and_the_rest_works(site, tmp_path):
    for name, (code, _) in UNLOADABLE.items():
        site.install(name, code)
    site.install("sound", DETECTOR)
    code, out, error = site.run("plugins", "list", "--json")
    assert code == 0
    records = {record["distribution"]: record for record in json.loads(out)["plugins"]}
    for name, (_, message) in UNLOADABLE.items():
        assert records[name]["status"] == "failed", name
        assert message in records[name]["error"]
        assert records[name]["provides"] == {}
        assert f"warning: {name} 1.5 (plugin '{name}'): " in error
    assert records["sound"]["status"] == "loaded"
    assert site.host().build("detectors", "it")


def unbuildable(case):
    what = UNBUILDABLE[case][0]
    if what is None:
        return DETECTOR + "\nimport unobtainium\n"
    if what.startswith("ds."):
        return DETECTOR.replace("ds.Detector", what)
    if what == "object":
        return DETECTOR + "    Options = object\n"
    if what == "__init__":
        return (
            DETECTOR + "    def __init__(self, *given):\n        raise RuntimeError('not today')\n"
        )
    return DETECTOR + "    class Options(ds.Options):\n    " + what + "\nimport pydantic\n"


@pytest.mark.parametrize("case", UNBUILDABLE)
def test_what_cannot_be_built_is_named(case, site, tmp_path):
    code = unbuildable(case)
    # Only the class is broken: the module of the hook imports.
    hook, _, rest = code.partition("class It")
    site.install("culprit", hook.replace("{module}", "culprit_class"))
    text = "import pydantic\n" + HEAD + "class It" + rest.replace("{body}", FIND_NOTHING)
    (site.folder / "culprit_class.py").write_text(textwrap.dedent(text))
    host = site.host()
    sys.modules.pop("culprit_class", None)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydantic warns of some of it, too
            with pytest.raises(ds.PluginLoadError) as caught:
                ds.Pipeline("it", host=host)
    finally:
        sys.modules.pop("culprit_class", None)
    assert UNBUILDABLE[case][1] in str(caught.value)
    assert "culprit 1.5 (plugin 'culprit')" in str(caught.value)
    assert ds.Pipeline("dark-blobs", host=host)


@pytest.mark.parametrize("case", MISBEHAVING)
def test_what_misbehaves_ends_its_run_with_its_name(case, site, tmp_path):
    code, message = MISBEHAVING[case]
    site.install("culprit", body(code))
    host = site.host()
    with pytest.raises(ds.ComponentError) as caught:
        ds.Pipeline("it", analyses=[], host=host).run([frame()], tmp_path / "out", overlay=False)
    text = str(caught.value)
    assert message in text
    assert "'it' of culprit 1.5 (plugin 'culprit')" in text
    assert "\n" not in text
    assert ds.load_run(tmp_path / "out").info["status"].startswith("failed: 'it'")


def test_a_program_that_a_plugin_ends_does_not_pass_for_done(site, tmp_path):
    site.install("culprit", body("import sys; sys.exit(0)"))
    write_frames(tmp_path / "frames", 1)
    code, _, error = site.run(
        "run", tmp_path / "frames", "--detector", "it", "--out", tmp_path / "out"
    )
    assert code == 1
    assert "culprit 1.5" in error
    assert "Traceback" not in error


def test_two_plugins_of_one_name(site):
    site.install("first", DETECTOR)
    site.install("second", DETECTOR)
    host = site.host()
    with pytest.raises(ds.PluginClashError, match=r"first 1\.5 .* and second 1\.5 "):
        ds.Pipeline("it", host=host)
    assert ds.Pipeline("second/it", host=host)


def test_a_redefined_defect_type_changes_nothing(site):
    site.install(
        "usurper",
        "@ds.hookimpl\ndef defectscope_defect_types():\n"
        "    return [ds.DefectType('black dot', 'Mine', 'ellipse', 'major-axis')]",
    )
    host = site.host()
    assert host.defect_types()["black dot"].size_definition == "equivalent-diameter"
    (group,) = host.clashes()
    assert [entry.plugin.distribution for entry in group] == ["defectscope", "usurper"]


CAVITIES = """
@ds.hookimpl
def defectscope_defect_types():
    return [ds.DefectType('cavity', 'Cavity', 'ellipse', '{size}')]
"""
FINDS_CAVITIES = """
@ds.hookimpl
def defectscope_detectors():
    return [ds.ComponentSpec("{name}", "It.", "{module}:It")]

class It(ds.Detector):
    defect_types = {declared}
    def detect(self, frames):
        return [
            ds.Instances(f.shape, [[5, 5, 15, 15]], defect_types=["cavity"]) for f in frames
        ]
"""


@pytest.mark.parametrize("declared", ["('cavity',)", "()"])
def test_a_defect_type_of_two_meanings_ends_the_run(site, declared):
    finds = FINDS_CAVITIES.replace("{declared}", declared)
    site.install("first", CAVITIES.replace("{size}", "major-axis") + finds)
    site.install("second", CAVITIES.replace("{size}", "equivalent-diameter"))
    with pytest.raises(ds.PluginClashError, match=r"first 1\.5 .* and second 1\.5 .*--no-plugin"):
        ds.Pipeline("it", analyses=[], host=site.host()).run([frame()])
    alone = ds.Pipeline("it", analyses=[], host=site.host(blocked=["second"]))
    assert len(alone.run([frame()], overlay=False).detections) == 1


def test_a_type_that_nobody_registers_is_said(site):
    site.install("finds", FINDS_CAVITIES.replace("{declared}", "('cavity', 'black dot')"))
    plain, measured = (
        ds.Pipeline("it", post, analyses=[], host=site.host()).run([frame()], overlay=False)
        for post in ((), ["watershed-ellipse"])
    )
    assert plain.warnings == []
    (said,) = measured.warnings
    assert said == (
        "the defect type 'cavity' is registered by no plugin: it is measured by its major axis, "
        "and as a dark ellipse unless an option says otherwise"
    )


def test_a_slow_import_and_one_that_prints(site, monkeypatch, capsys):
    site.install("slow", "import time; time.sleep(0.2)" + DETECTOR)
    site.install("loud", "print('hello')" + DETECTOR.replace("It.", "Loud."))
    monkeypatch.setattr(host_module, "SLOW_IMPORT_S", 0.15)
    records = {record.name: record for record in site.host().plugins}
    assert records["slow"].warnings == ["it takes 0.2 s to import, which every command does"]
    assert records["loud"].warnings[0].startswith("it prints when it is imported")
    assert records["slow"].import_s > 0.15
    assert capsys.readouterr().out == ""


def test_two_versions_on_the_path(site, tmp_path, monkeypatch):
    site.install("twice", DETECTOR, "2.0")
    site.install("twice", DETECTOR, "1.0", folder=tmp_path / "older")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "older")])
    records = [record for record in PluginHost().plugins if record.distribution == "twice"]
    assert [(r.version, r.status) for r in records] == [("2.0", "loaded"), ("1.0", "hidden")]
    assert records[1].error == (
        f"version 2.0 of it comes earlier on the path ({site.folder}) and is used; "
        "remove one of the two"
    )


def test_one_version_in_two_places_is_no_news(site, tmp_path, monkeypatch):
    site.install("twice", DETECTOR, "2.0")
    site.install("twice", DETECTOR, "2.0", folder=tmp_path / "other")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "other")])
    records = [record for record in PluginHost().plugins if record.distribution == "twice"]
    assert [record.status for record in records] == ["loaded"]


def test_a_folder_that_stands_twice_on_the_path_is_no_second_version(site, monkeypatch):
    site.install("once", DETECTOR)
    monkeypatch.setattr(sys, "path", [str(site.folder), *sys.path])
    assert sum(record.distribution == "once" for record in PluginHost().plugins) == 1


ANALYSIS = """
@ds.hookimpl
def defectscope_analyses():
    return [ds.ComponentSpec("it", "It.", "{module}:It")]

class It(ds.Analysis):
    def analyse(self, tables):
        {code}
"""
SPOILERS = {
    "raises": ("raise RuntimeError('no')", "'it' of culprit 1.5 (plugin 'culprit') failed on"),
    "returns-text": ("return 'x'", "must return a list of Finding, found 'x'"),
    "exits": ("raise SystemExit", "it tried to end the program"),
}


@pytest.mark.parametrize("case", SPOILERS)
def test_an_analysis_that_nobody_asked_for_spoils_no_run(case, site, tmp_path):
    site.install("culprit", ANALYSIS.replace("{code}", SPOILERS[case][0]))
    host = site.host()
    frames = [frame(k) for k in range(2)]
    result = ds.Pipeline("dark-blobs", host=host).run(frames, tmp_path / "a", overlay=False)
    assert result.info["status"] == "complete"
    assert any(SPOILERS[case][1] in text for text in result.warnings)
    with pytest.raises(ds.ComponentError, match="culprit"):
        ds.Pipeline("dark-blobs", analyses=["it"], host=host).run(
            frames, tmp_path / "b", overlay=False
        )


def test_an_analysis_that_cannot_be_loaded_spoils_no_run(site, tmp_path):
    site.install("culprit", ANALYSIS.replace("{module}:It", "nowhere_at_all:It"))
    pipeline = ds.Pipeline("dark-blobs", host=site.host())
    result = pipeline.run([frame()], tmp_path / "a", overlay=False)
    assert any("the analysis 'it' is left out: culprit 1.5" in text for text in result.warnings)


def test_an_analysis_that_changes_the_tables_changes_no_other(site, tmp_path):
    spoil = (
        "tables.frames['count'] = 7; tables.detections.drop(tables.detections.index, inplace=True)"
    )
    site.install("a-culprit", ANALYSIS.replace("{code}", f"{spoil}; return []"))
    found = {}
    for blocked in (["a-culprit"], []):
        host = site.host(blocked=blocked)
        pipeline = ds.Pipeline("dark-blobs", host=host, options={"dark-blobs": {"min_area_px": 1}})
        out = tmp_path / f"out{len(blocked)}"
        pipeline.run([frame(k) for k in range(3)], out, overlay=False)
        found[len(blocked)] = (out / "figures" / "number-density.csv").read_text()
    assert found[0] == found[1]


TRACKERS = {
    "no-particles": (
        "return detections",
        "columns that it was given, and .*; missing: particle",
    ),
    "raises": ("raise KeyError('x')", "failed while it linked: KeyError: 'x'"),
    "half-particles": ("return detections.assign(particle=0.5)", "must return whole numbers"),
}


@pytest.mark.parametrize("case", TRACKERS)
def test_a_broken_tracker_ends_its_run_and_keeps_the_detections(case, site, tmp_path):
    code, message = TRACKERS[case]
    text = ANALYSIS.replace("analyses", "trackers").replace("ds.Analysis", "ds.Tracker")
    text = text.replace("analyse(self, tables)", "link(self, detections, geometry=None)")
    site.install("culprit", text.replace("{code}", code))
    pipeline = ds.Pipeline("dark-blobs", tracker="it", analyses=[], host=site.host())
    with pytest.raises(ds.ComponentError, match=f"of culprit 1.5 .*{message}"):
        pipeline.run([frame(k) for k in range(2)], tmp_path / "out", overlay=False)
    assert (tmp_path / "out" / "detections.parquet").is_file()


LOOP = "import time\n        while True: time.sleep(0.01)"
LATE_LOOP = "import time\n        while frames[0].index: time.sleep(0.01)\n        " + FIND_NOTHING


def late_loop(begun):
    """Return the code of a detector that makes the file `begun` when it is lost in the frame 1."""
    return (
        f"import pathlib\n        frames[0].index == 1 and pathlib.Path({str(begun)!r}).touch()"
        f"\n        {LATE_LOOP}"
    )


def wait_for(path):
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.02)


@contextmanager
def ctrl_c_when(there):
    """Interrupt this process as soon as a file is there; yields what says when that was."""
    times, over = [], threading.Event()

    def watch():
        end = time.monotonic() + 60
        while not there.exists() and time.monotonic() < end:
            if over.wait(0.02):
                return
        times.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield times
    finally:
        over.set()
        thread.join()


def write_frames(folder, count):
    import cv2

    folder.mkdir()
    for k in range(count):
        cv2.imwrite(str(folder / f"f{k}.png"), frame(k).pixels)


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent as a POSIX signal")
def test_an_endless_detector_is_named_when_it_is_interrupted(site, tmp_path):
    site.install("culprit", body(late_loop(tmp_path / "begun")))
    write_frames(tmp_path / "frames", 2)
    out = tmp_path / "out"
    process = site.start("run", tmp_path / "frames", "--detector", "it", "--out", out,
                         "--threads", "64")  # fmt: skip
    wait_for(tmp_path / "begun")
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "'it' of culprit 1.5 (plugin 'culprit') was at work on f1.png" in error
    assert "1 frame finished, kept in" in error
    assert "Traceback" not in error


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent as a POSIX signal")
@pytest.mark.parametrize("how", ["lanes", "workers"])
def test_an_endless_detector_beside_the_main_thread_ends_too(how, site, tmp_path, monkeypatch):
    site.install("culprit", body(late_loop(tmp_path / "begun")))
    monkeypatch.setattr(lanes, "PATIENCE_S", 0.3)
    write_frames(tmp_path / "frames", 4)
    pipeline = ds.Pipeline("it", analyses=[], host=site.host())
    monkeypatch.setattr("defectscope.pipeline.api.lane_count", lambda *_: 2)
    with ctrl_c_when(tmp_path / "begun") as times, pytest.raises(KeyboardInterrupt) as caught:
        pipeline.run(ds.open(tmp_path / "frames", host=pipeline.host), tmp_path / "out",
                     overlay=False, workers=2 if how == "workers" else 1)  # fmt: skip
    assert time.monotonic() - times[0] < 30
    notes = " ".join(getattr(caught.value, "__notes__", ()))
    assert "'it' of culprit 1.5 (plugin 'culprit') was at work" in notes
    assert "f1.png" in notes
    frames = ds.load_run(tmp_path / "out").frames
    assert frames["source"].tolist() == ["f0.png"]


def test_an_endless_detector_fails_its_line_of_a_benchmark(site):
    site.install("culprit", body(LATE_LOOP))
    host = site.host()
    entry = host.find("detectors", "it")
    named = NamedComponent("it", host.build("detectors", "it"), entry.plugin.label)
    with pytest.raises(ProcessFailedError, match=r"'it' of culprit 1\.5 .* no frame in 5 s"):
        measure(named, GivenFrames([frame(0), frame(1)]), 1, time_limit_s=5)


def test_an_endless_detector_fails_its_checks(site):
    site.install("culprit", body("import time\n        time.sleep(9)"))
    results = check_component(site.host(), "detectors", "it", time_limit_s=0.4)
    failed = [result for result in results if result.status == "failed"]
    assert [result.message for result in failed] == ["it did not end within 0.4 s"]
    assert results[-1].message == "not checked: an earlier check did not end"


def test_an_older_plugin_works_when_a_hook_gets_an_argument(site, monkeypatch):
    import types

    from defectscope.plugins import hookspecs
    from defectscope.plugins.markers import hookspec

    changed = types.ModuleType("changed")
    vars(changed).update({n: v for n, v in vars(hookspecs).items() if n.startswith("defectscope_")})

    def defectscope_detectors(settings):
        """Return the detectors."""

    changed.defectscope_detectors = hookspec(defectscope_detectors)
    monkeypatch.setattr(host_module, "hookspecs", changed)
    monkeypatch.setattr(PluginHost, "hook_arguments", {"settings": "fine"})
    site.install("older", DETECTOR)
    newer = DETECTOR.replace("defectscope_detectors()", "defectscope_detectors(settings)")
    site.install("newer", newer.replace('"{name}"', "settings"))
    records = {record.name: record for record in site.host().plugins}
    assert [spec.name for spec in records["older"].provides["detectors"]] == ["it"]
    assert [spec.name for spec in records["newer"].provides["detectors"]] == ["fine"]


def test_a_deprecated_hook_warns_whoever_implements_it(site, monkeypatch):
    import types

    from defectscope.plugins import hookspecs
    from defectscope.plugins.markers import hookspec

    changed = types.ModuleType("changed")
    vars(changed).update({n: v for n, v in vars(hookspecs).items() if n.startswith("defectscope_")})

    def defectscope_detectors():
        """Return the detectors."""

    warning = DeprecationWarning("defectscope_detectors goes away in 2.0; use another")
    changed.defectscope_detectors = hookspec(warn_on_impl=warning)(defectscope_detectors)
    monkeypatch.setattr(host_module, "hookspecs", changed)
    site.install("older", DETECTOR)
    with pytest.warns(DeprecationWarning, match=r"older 1\.5 .*: defectscope_detectors goes away"):
        # The shipped detectors would be told as well.
        host = site.host(blocked=["detectors"])
    records = {record.name: record for record in host.plugins}
    assert records["older"].status == "loaded"
    assert records["older"].warnings == ["defectscope_detectors goes away in 2.0; use another"]


def test_tracing_tells_what_is_imported_and_called(site):
    site.install("sound", DETECTOR)
    site.install("kept-out", DETECTOR)
    code, out, error = site.run(
        "--trace-plugins", "plugins", "info", "it", "--no-plugin", "kept-out", "--json"
    )
    assert code == 0
    assert json.loads(out)["distribution"] == "sound 1.5"
    lines = [line for line in error.splitlines() if line.startswith("trace: sound 1.5 ")]
    assert [line.partition(": ")[2].partition(": ")[2].rpartition(" in ")[0] for line in lines] == [
        "imported sound_module", "defectscope_detectors returned it", "loaded sound_module:It",
    ]  # fmt: skip
    assert "trace: kept-out 1.5 (plugin 'kept-out'): blocked, not imported" in error
