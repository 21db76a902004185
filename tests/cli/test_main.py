"""The root of the command line, as real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from defectscope.cli import main

HEAVY = {"numpy", "pandas", "pydantic", "scipy", "skimage", "matplotlib", "torch", "cv2", "trackpy"}


def call(*arguments, **more):
    return subprocess.run(
        [sys.executable, "-m", "defectscope", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        **more,
    )


@pytest.mark.parametrize("arguments", [["--help"], ["plugins", "list"], ["--version"]])
def test_what_must_answer_at_once_imports_nothing_heavy(arguments):
    traced = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "defectscope", *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rsplit("|", 1)[-1].strip() for line in traced.stderr.splitlines()}
    assert "click" in imported
    assert not imported & HEAVY


def test_help_lists_every_command_with_a_line():
    shown = call("--help").stdout
    for name in (
        "demo",
        "run",
        "fit",
        "evaluate",
        "benchmark",
        "profiles",
        "track",
        "analyze",
        "convert",
    ):
        assert f"\n  {name} " in shown


@pytest.mark.parametrize(
    "name",
    ["demo", "run", "fit", "evaluate", "benchmark", "profiles", "track", "analyze", "convert"],
)
def test_every_command_has_help(name):
    done = call(name, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"Usage: defectscope {name}")


def test_an_unknown_command_suggests_the_nearest():
    done = call("rn")
    assert done.returncode == 2
    assert "did you mean 'run'" in done.stderr
    assert done.stdout == ""


def test_an_error_is_one_sentence_and_debug_shows_the_traceback(tmp_path):
    arguments = ["run", tmp_path / "nothing", "--detector", "dark-blobs", "--out", tmp_path / "out"]
    done = call(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("error: there is no file or folder")
    assert "Traceback" not in done.stderr
    assert "Traceback" in call("--debug", *arguments).stderr
    assert "Traceback" in call(*arguments, "--debug").stderr


def test_a_plugin_can_be_left_out_before_and_after_the_command(tmp_path):
    tail = ["run", tmp_path, "--detector", "dark-blobs", "--out", tmp_path / "out"]
    for arguments in (["--no-plugin", "detectors", *tail], [*tail, "--no-plugin", "detectors"]):
        done = call(*arguments)
        assert done.returncode == 2
        assert "there is no detector 'dark-blobs'" in done.stderr


def test_a_wrong_name_to_leave_out_is_said():
    done = call("--no-plugin", "nobody", "plugins", "list")
    assert done.returncode == 0
    assert "no plugin is called 'nobody'" in done.stderr


def _install(folder, name, source):
    """Put a distribution with one plugin onto a path, as pip would."""
    (folder / f"{name}.py").write_text(source)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[defectscope]\n{name} = {name}\n")


def test_a_plugin_adds_a_command(tmp_path):
    _install(
        tmp_path,
        "greeter",
        "import click\nimport defectscope as ds\n"
        "@ds.hookimpl\ndef defectscope_commands(cli):\n"
        "    @cli.command()\n    def greet():\n        click.echo('hello')\n",
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = call("greet", env=environment)
    assert (done.returncode, done.stdout) == (0, "hello\n")
    assert call("greet", env={**environment, "DEFECTSCOPE_PLUGINS": ""}).returncode == 2


def test_help_imports_no_plugin(tmp_path):
    _install(tmp_path, "loud", "raise SystemExit('imported')\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    assert call("--help", env=environment).returncode == 0
    listed = call("plugins", "list", env=environment)
    assert listed.returncode == 0
    assert "loud" in listed.stdout


def test_a_closed_pipe_is_no_error():
    done = subprocess.run(
        f"{sys.executable} -m defectscope plugins list | true",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr


def test_a_full_disk_behind_stdout_is_one_sentence():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "defectscope", "plugins", "list"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="a shell closes the streams")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_are_no_error(closed, tmp_path):
    out = tmp_path / "out"
    command = f"exec '{sys.executable}' -m defectscope"
    for words in ("plugins list", f"generate loops --size 64 --out '{out}'"):
        done = subprocess.run(
            ["sh", "-c", f"{command} {words} {closed}"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
    assert (out / "annotations.json").is_file()


TERMINAL = """
import sys
from defectscope.cli.main import main
sys.stdout.isatty = lambda: True
sys.exit(main(["weights", "info", "loops"]))
"""


@pytest.mark.parametrize(("value", "coloured"), [("1", False), ("", True)])
def test_no_color_keeps_a_terminal_plain(value, coloured):
    done = subprocess.run(
        [sys.executable, "-c", TERMINAL],
        env={**os.environ, "NO_COLOR": value, "TERM": "xterm"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "heatmap" in done.stdout
    assert ("\x1b[" in done.stdout) == coloured


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_letters_that_cannot_be_shown_are_no_error(encoding):
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = call("plugins", "list", env=environment)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def signalled(name, before=""):
    """Send a signal twice to a command that is at work."""
    program = (
        "import os, signal, sys\n"
        f"from defectscope.cli import main\n{before}\n"
        "def at_work(context):\n"
        "    try:\n"
        f"        os.kill(os.getpid(), signal.{name})\n"
        "        print('not interrupted')\n"
        "    finally:\n"
        f"        os.kill(os.getpid(), signal.{name})\n"
        "        print('all is kept')\n"
        "main.cli.invoke = at_work\n"
        "sys.exit(main.main(['plugins', 'list']))\n"
    )
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
def test_a_terminal_that_is_closed_interrupts_once():
    done = signalled("SIGHUP")
    assert (done.returncode, done.stdout, done.stderr) == (1, "all is kept\n", "interrupted\n")


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
def test_nohup_keeps_a_program_at_work():
    done = signalled("SIGHUP", "signal.signal(signal.SIGHUP, signal.SIG_IGN)")
    assert (done.returncode, done.stdout) == (0, "not interrupted\nall is kept\n")


@pytest.mark.parametrize("known", [True, False])
def test_fonts_are_kept_at_home_where_there_is_one(known, tmp_path, monkeypatch):
    # Windows calls it USERPROFILE.
    def home():
        if known:
            return tmp_path
        raise RuntimeError

    for name in ("HOME", "MPLCONFIGDIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", home)
    monkeypatch.setattr(main.tempfile, "mkdtemp", lambda prefix: str(tmp_path / prefix))
    main._find_place_for_fonts()
    elsewhere = None if known else str(tmp_path / "defectscope-matplotlib-")
    assert os.environ.pop("MPLCONFIGDIR", None) == elsewhere


def test_without_a_place_for_fonts_commands_work_all_the_same(monkeypatch):
    def nowhere(prefix):
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.delenv("MPLCONFIGDIR", raising=False)
    monkeypatch.setattr(Path, "home", lambda: Path("/proc/1/nowhere"))
    monkeypatch.setattr(main.tempfile, "mkdtemp", nowhere)
    main._find_place_for_fonts()
    assert "MPLCONFIGDIR" not in os.environ


def test_a_home_that_cannot_be_written_is_not_talked_about(tmp_path):
    import numpy as np
    import tifffile

    pixels = np.random.default_rng(0).integers(0, 255, (3, 64, 64), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack")
    environment = {**os.environ, "HOME": "/proc/1/nowhere"}
    environment.pop("MPLCONFIGDIR", None)
    done = call("run", tmp_path / "a.tif", "--detector", "dark-blobs", "--out", tmp_path / "out",
                env=environment)  # fmt: skip
    assert done.returncode == 0
    assert "atplotlib" not in done.stderr


def commands(command, name=""):
    if isinstance(command, click.Group):
        context = click.Context(command)
        for word in command.list_commands(context):
            yield from commands(command.get_command(context, word), f"{name} {word}")
    else:
        yield name, command


def test_no_option_is_taken_from_the_last_of_several_in_silence():
    silent = [
        f"{name} {option.opts[0]}"
        for name, command in commands(main.cli)
        for option in command.params
        if isinstance(option, click.Option) and not (option.multiple or option.is_flag)
    ]
    assert not silent


def test_a_value_given_twice_is_wrong_usage(tmp_path):
    done = call("generate", "loops", "--out", tmp_path / "a", "--background", "white",
                "--background", "texture")  # fmt: skip
    assert done.returncode == 2
    assert "it takes one value, found white and texture" in done.stderr
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("value", "told"), [("0,372", True), ("-1,5", True), (",5", True), ("abc", False)]
)
def test_a_decimal_comma_is_told(value, told, capsys):
    assert main.main(["run", "x.tif", f"--pixel-size={value}"]) == 2
    said = capsys.readouterr().err
    assert "is not a valid float" in said
    assert ("Decimals are written with a point." in said) is told
