"""What a shell is offered after a tab, as real processes and as bash asks for it."""

from __future__ import annotations

import os
import subprocess
import sys

import click
import pytest
from click.shell_completion import ShellComplete

from defectscope.cli.completion import answer_shell
from defectscope.cli.main import COMMANDS, cli


def asked(instruction, line="", **more):
    """Run defectscope as the script of a shell does, for what stands at the end of `line`."""
    words = line.split(" ")
    environment = {
        "_DEFECTSCOPE_COMPLETE": instruction, "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-m", "defectscope"],
        env={**os.environ, **environment, **more},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def offered(line, **more):
    done = asked("bash_complete", line, **more)
    assert (done.returncode, done.stderr) == (0, "")
    return [text.partition(",")[2] for text in done.stdout.splitlines()]


def completed(words, incomplete):
    """The same in this process."""
    shell = ShellComplete(cli, {}, "defectscope", "_DEFECTSCOPE_COMPLETE")
    return [item.value for item in shell.get_completions(words, incomplete)]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_script_of_a_shell_is_printed(shell):
    done = asked(f"{shell}_source")
    assert done.returncode == 0
    assert f"_DEFECTSCOPE_COMPLETE={shell}_complete" in done.stdout


def test_a_command_is_completed_without_importing_it():
    assert offered("defectscope pl") == ["plugins"]
    assert offered("defectscope ")[: len(COMMANDS)] == list(COMMANDS)


def test_a_component_is_completed_by_its_name():
    assert offered("defectscope run frames/ --detector dark") == ["dark-blobs"]


@pytest.mark.parametrize(
    ("words", "incomplete", "names"),
    [
        (["run", "x", "--post"], "w", ["watershed-ellipse"]),
        (["run", "--tracker"], "lo", ["loops"]),
        (["benchmark", "x", "--detector"], "heat", ["heatmap"]),
        (["track", "x", "--tracker"], "lap", ["laptrack"]),
        (["generate"], "in", ["in-situ-loops"]),
        (["generate", "loops", "--background"], "p", ["perlin"]),
        (["train"], "une", ["unetpp"]),
        (["analyze", "x", "--analysis"], "hard", ["hardening"]),
        (["convert", "a", "b", "--to"], "coc", ["coco"]),
        (["weights", "info"], "yolo", ["yolov3-tiny-loops"]),
        (["plugins", "info"], "skel", ["skeleton-spline"]),
        ([], "--ver", ["--version"]),
        # Defect types that would have to be quoted.
        (["plugins", "info"], "black", []),
        (["plugins", "info"], "a<100", []),
    ],
)
def test_what_can_stand_there_is_offered(words, incomplete, names):
    assert completed(words, incomplete) == names


def test_commands_of_plugins_are_offered(monkeypatch):
    added = click.Command("count", help="Counts.")
    monkeypatch.setitem(cli.commands, "count", added)
    assert completed([], "cou") == ["count"]


def test_a_line_that_cannot_be_completed_is_no_error():
    assert asked("bash_complete", "defectscope rn --detector ").stderr == ""


@pytest.mark.parametrize("option", ["--no-plugin foo", "--trace-plugins"])
def test_what_plugins_have_to_say_is_not_said_while_somebody_types(option):
    assert offered(f"defectscope {option} run --detector dark") == ["dark-blobs"]


def test_what_fails_while_somebody_types_is_not_shown(monkeypatch, capsys):
    def broken(*_):
        raise RuntimeError("a plugin")

    monkeypatch.setattr("defectscope.cli.completion.shell_complete", broken)
    monkeypatch.setenv("ASKED", "bash_complete")
    assert answer_shell(cli, "ASKED") == 0
    assert capsys.readouterr() == ("", "")
