"""However the work is divided and however it ends, the pictures are the same bytes."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from support.evaluation import save_classifier
from support.processes import finish, start
from support.tasks import save_listed
from trace_erasure.errors import InputError
from trace_erasure.evaluation import RunFolder, summarise
from trace_erasure.testing import tiny_stable_diffusion
from trace_erasure.utils.sharding import parse_shard, shard_of


def test_the_share_comes_from_the_launcher():
    assert shard_of({}) == (0, 1)
    assert shard_of({"RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}) == (1, 4)
    assert shard_of({"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2"}) == (0, 2)
    assert shard_of({"SLURM_PROCID": "2", "SLURM_NTASKS": "3"}) == (2, 3)
    assert shard_of({"SLURM_PROCID": "0"}) == (0, 1)
    assert parse_shard("3/4") == (3, 4)
    for wrong in ("2/2", "1", "-1/2", "a/b", "0/0"):
        with pytest.raises(InputError, match="shard"):
            parse_shard(wrong)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A model, a judge and a task on disk."""
    folder = tmp_path_factory.mktemp("world")
    tiny_stable_diffusion().save_pretrained(folder / "model")
    save_classifier(folder / "judge")
    save_listed(folder, items=5)
    return folder


def verb(world: Path, out: Path, *more: str) -> list[str]:
    """``evaluate`` of the original model, a batch for each picture."""
    options = ["--model", world / "model", "--judge", world / "judge", "--out", out]
    options += ["--task", world / "tiny.yaml", "--batch", 1, "--no-controls", "--quiet", *more]
    return ["evaluate", *map(str, options)]


def pictures(out: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (out / "images").glob("*.png")}


@pytest.fixture(scope="module")
def whole(world, tmp_path_factory):
    """What a single process makes of it, started by nothing."""
    out = tmp_path_factory.mktemp("whole") / "out"
    finish(start(["-m", "trace_erasure", *verb(world, out)]))
    assert len(pictures(out)) == 5
    return out


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_workers_of_accelerate_make_the_same_pictures(world, whole, tmp_path, workers):
    out = tmp_path / "out"
    # accelerate starts several processes on CPUs by MPI alone with --cpu, and by torchrun with
    # --multi_gpu, which touches no GPU itself.
    how = ["--cpu"] if workers == 1 else ["--multi_gpu", "--main_process_port", "0"]
    launch = ["-m", "accelerate.commands.launch", *how, "--num_processes", str(workers)]
    launch += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    finish(start([*launch, "--module", "trace_erasure", *verb(world, out)]))
    assert pictures(out) == pictures(whole)
    files = list((out / "verdicts").iterdir())
    assert len(files) == workers
    found = RunFolder(out).verdicts.read()
    assert sorted(found, key=str) == sorted(RunFolder(whole).verdicts.read(), key=str)
    assert summarise(found)


@pytest.mark.slow
def test_a_killed_run_keeps_what_it_has_and_goes_on(world, whole, tmp_path):
    out = tmp_path / "out"
    process = start(["-m", "trace_erasure", *verb(world, out)])
    deadline = time.monotonic() + 200
    while not pictures(out) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept = pictures(out)
    assert kept and kept.items() <= pictures(whole).items()  # complete files, the right bytes
    before = {name: (out / "images" / name).stat().st_mtime_ns for name in kept}
    finish(start(["-m", "trace_erasure", *verb(world, out)]))
    assert pictures(out) == pictures(whole)
    assert all((out / "images" / n).stat().st_mtime_ns == t for n, t in before.items())
    assert RunFolder(out).verdicts.read() == RunFolder(whole).verdicts.read()
