"""What the command line costs before it does anything, and how it ends on poor terminals."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from trace_erasure import __version__

HEAVY = ("torch", "diffusers", "transformers", "numpy", "pyarrow")
LIGHT = (["--help"], ["ls", "tasks"], ["ls", "attacks"], ["ls", "families"], ["ls", "models"])


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys; from trace_erasure.cli import main\n"
        "try: main()\n"
        f"finally: print(sorted({set(HEAVY)} & set(sys.modules)), file=sys.stderr)"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


@pytest.mark.parametrize("arguments", LIGHT, ids=" ".join)
def test_listings_and_help_load_nothing_heavy(arguments):
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip().splitlines()[-1] == "[]"
    assert len(done.stdout) > 100


def test_tasks_and_registries_are_read_without_torch():
    code = (
        "import sys\n"
        "from trace_erasure.evaluation import load_task\n"
        "from trace_erasure.attacks.registry import ATTACKS\n"
        "assert load_task('objects').concepts and ATTACKS\n"
        f"print(sorted({set(HEAVY)} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_version():
    assert run("--version").stdout.strip() == f"trace-erasure {__version__}"


@pytest.mark.parametrize("columns", ["0", "-3", "nonsense", "80", "100"])
def test_every_width_prints_whole_words(columns):
    done = run("ls", "attacks", COLUMNS=columns)
    assert done.returncode == 0
    assert "unlearn-diff" in done.stdout and "probe" in done.stdout


@pytest.mark.slow
def test_an_ascii_terminal_gets_what_stands_for_other_letters():
    done = run("ls", "objectives", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii() and done.stdout


@pytest.mark.slow
def test_no_color_and_no_terminal_send_no_escapes():
    done = run("ls", "nothing", NO_COLOR="1")
    assert done.returncode == 2
    assert "\x1b" not in done.stderr + run("erase", "missing.yaml").stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_one_line():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "trace_erasure", "ls", "attacks"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1 and "No space left" in done.stderr


def test_a_closed_pipe_is_silent():
    done = subprocess.run(
        f"{sys.executable} -m trace_erasure ls attacks | true",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
