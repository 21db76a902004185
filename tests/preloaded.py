"""Runs the command line in forked copies of a process that has imported torch and Lightning.

Importing those takes many seconds, the training of a very small network does not. A copy does what
a process of its own does: it has its own streams, signals and exit code.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import signal
import sys
import warnings
from typing import Any, NoReturn


def _preload() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")

        import defectscope.cli.main
        import defectscope.detectors.heatmap.training
        import defectscope.generators.insitu_loops
        import defectscope.pipeline.training  # noqa: F401


def _become(request: dict[str, Any]) -> NoReturn:
    """Be the program."""
    os.setpgid(0, 0)
    os.chdir(request["folder"])
    # Tests in the background are deaf to Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, name in ((1, "out"), (2, "error")):
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        os.dup2(os.open(request[name], flags, 0o644), number)
    sys.argv = ["defectscope", *request["arguments"]]
    exec(request["before"], {})
    from defectscope.cli.main import main

    code = main()
    # As at the end of any program, but for taking every module apart.
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def serve() -> None:
    """Answer a line on stdin with a line on stdout: start a program, or say how it ended."""
    _preload()
    # Else the garbage collector of each copy would touch, and so copy, all there is.
    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        if "ended" in request:
            pid, status = os.waitpid(request["ended"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        else:
            answer = os.fork()
            if answer == 0:
                _become(request)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve()
