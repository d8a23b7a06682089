"""Python programs in processes of their own, which may be killed."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def start(code: str, *arguments: Any, **environment: str) -> "subprocess.Popen[str]":
    """Start a program; its output is read through pipes."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]), **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(code: str, *arguments: Any, timeout: float = 30, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end; kill it and raise `TimeoutExpired` where it does not come to one."""
    process = start(code, *arguments, **environment)
    try:
        out, err = process.communicate(timeout=timeout)
    except BaseException:
        process.kill()
        process.communicate()
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def output(code: str, *arguments: Any, timeout: float = 30, **environment: str) -> str:
    """What a program prints. It must succeed."""
    done = run(code, *arguments, timeout=timeout, **environment)
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


DEADLY = """
import os, signal, sqlite3

connect = sqlite3.connect

def deadly(count):
    "A sqlite3.connect whose connections die as they begin their statement number `count`."
    left = count

    def tick(statement):
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def opened(*arguments, **options):
        connection = connect(*arguments, **options)
        connection.set_trace_callback(tick)
        return connection

    sqlite3.connect = opened
"""
"""For a program that shall be killed as it begins its SQL statement number `count`: `deadly(count)`."""
