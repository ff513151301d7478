"""What is to be released, built, checked and tried as a stranger would: `make release-check`.

Builds a wheel and a source archive of both distributions, has `twine check` read them, installs the
wheels in a fresh environment outside the repository, and runs a smoke test there.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DISTRIBUTIONS = (ROOT, ROOT / "world")
SMOKE = """
import tempfile
from pathlib import Path
import trace_erasure
from trace_erasure import Erasure, erase
from trace_erasure.testing import CAPTIONS, tiny_stable_diffusion

assert not Path(trace_erasure.__file__).is_relative_to({root!r}), trace_erasure.__file__
erasure = erase(tiny_stable_diffusion(), "fox", surrogate="dog", captions=CAPTIONS)
with tempfile.TemporaryDirectory() as folder:
    found = Erasure.load(erasure.save(f"{{folder}}/no-fox"))
    assert found.name == erasure.name
print(trace_erasure.__version__)
"""
COMMANDS = (
    ("--version",), ("ls", "packs", "--json"), ("ls", "recipes"), ("ls", "tasks"), ("ls", "models"),
    ("doctor",), ("info", "out/fox.safetensors"),
)  # fmt: skip
"""Run after `erase` has written its file."""


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Runs a command to its end; ends the program with what it said where it fails."""
    words = [str(word) for word in command]
    print("·", *words[:8], flush=True)
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        words, cwd=cwd, capture_output=True, text=True, env=kept | environment, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(words)} failed:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    return done.stdout


def built(into: Path, borrow: bool) -> list[Path]:
    """Wheels and source archives of both distributions.

    ``borrow`` builds with this environment's hatchling, and not with one that is downloaded.
    """
    how = ["--no-isolation"] if borrow else []
    shutil.rmtree(into, ignore_errors=True)
    for source in DISTRIBUTIONS:
        run(sys.executable, "-m", "build", *how, "--outdir", into, source, cwd=ROOT)
    files = sorted(into.iterdir())
    versions = {
        tomllib.loads((source / "pyproject.toml").read_text("utf-8"))["project"]["version"]
        for source in DISTRIBUTIONS
    }
    assert len(files) == 4 and len(versions) == 1, files
    run(sys.executable, "-m", "twine", "check", "--strict", *files, cwd=ROOT)
    return files


def environment(folder: Path, wheels: list[Path], borrow: bool) -> Path:
    """A fresh environment with the wheels; its folder of programs.

    ``borrow`` takes the dependencies from this program's own environment, by a path file, where
    there is no network. They are then not proved to be complete.
    """
    venv.create(folder, with_pip=True)
    bin_ = folder / ("Scripts" if os.name == "nt" else "bin")
    pip = [bin_ / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    pins = ["-c", ROOT / "constraints.txt"]
    if borrow:
        (site,) = folder.glob("lib/python*/site-packages")  # not lib64, which is a link to it
        # After its own packages, and without those that are installed in editable form.
        (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
        run(*pip, "--no-deps", *wheels, cwd=folder)
        return bin_
    # A bare `torch` would pull the CUDA build.
    run(*pip, "torch==2.13.0", *pins, cwd=folder)
    run(*pip, *wheels, *pins, cwd=folder)
    return bin_


def smoke(bin_: Path, folder: Path) -> None:
    """Erases in Python and by the command line, outside the repository."""
    print(run(bin_ / "python", "-c", SMOKE.format(root=str(ROOT)), cwd=folder).strip())
    program = bin_ / "trace-erasure"
    run(program, "erase", "--concept", "fox", "--surrogate", "cat", "--quiet", cwd=folder)
    for words in COMMANDS:
        run(program, *words, cwd=folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "release")
    parser.add_argument("--borrow", action="store_true", help="dependencies of this environment")
    options = parser.parse_args()
    files = built(options.work.resolve() / "dist", options.borrow)
    for file in files:
        print(f"{file.name}: {file.stat().st_size / 1e6:.1f} MB")
    with tempfile.TemporaryDirectory(prefix="trace-erasure-release-") as temporary:
        folder = Path(temporary)
        wheels = [file for file in files if file.suffix == ".whl"]
        smoke(environment(folder / "venv", wheels, options.borrow), folder)
    print("The release is ready.")


if __name__ == "__main__":
    main()
