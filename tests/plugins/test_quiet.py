"""What plugins print goes to stderr, whoever else changes stdout meanwhile."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stdout

from defectscope.plugins.quiet import quiet_stdout


def test_what_is_printed_goes_to_stderr_and_is_noticed(capsys):
    with quiet_stdout() as silent:
        pass
    with quiet_stdout() as outer, quiet_stdout() as inner:
        print("there")
    print("here")
    assert capsys.readouterr() == ("here\n", "there\n")
    assert (bool(silent), bool(outer), bool(inner)) == (False, True, True)


def test_what_is_printed_where_there_is_no_console_is_lost(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with quiet_stdout() as noticed:
        print("there", flush=True)
        assert sys.stdout.write("there") == 5
        assert not sys.stdout.isatty()
        kept = sys.stdout
    assert noticed
    assert sys.stdout is None
    kept.write("here")
    kept.flush()


def test_two_threads_that_end_in_the_order_of_their_begin_put_stdout_back(capsys):
    before = sys.stdout
    first, second = quiet_stdout(), quiet_stdout()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    print("there")
    second.__exit__(None, None, None)
    print("here")
    assert sys.stdout is before
    assert capsys.readouterr() == ("here\n", "there\n")


def test_who_puts_back_a_former_stdout_later_gets_it(capsys):
    kept = io.StringIO()
    quiet = quiet_stdout()
    quiet.__enter__()
    with redirect_stdout(kept):
        print("kept")
        with quiet_stdout():
            print("there")
        print("kept")
        quiet.__exit__(None, None, None)
    print("here")
    assert kept.getvalue() == "kept\nkept\n"
    assert capsys.readouterr() == ("here\n", "there\n")
