"""Engines: every share is done, whoever dies, and a verb gives the pictures of one process."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest

from support.cli import call, fails
from support.engine_jobs import Refuses, Touch
from support.evaluation import save_classifier
from trace_erasure.engines import registry
from trace_erasure.engines.registry import engine_of, options_of
from trace_erasure.errors import InputError
from trace_erasure.evaluation import RunFolder
from trace_erasure.testing import tiny_stable_diffusion

SHARES = 4


def has(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """Workers import what this process imports, the support of the tests included."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))


REMOTE = [
    pytest.param(
        "ray",
        {},
        marks=[pytest.mark.slow, pytest.mark.skipif(not has("ray"), reason="needs [ray]")],
    ),
    pytest.param(
        "slurm",
        {"cluster": "local"},
        marks=[pytest.mark.slow, pytest.mark.skipif(not has("submitit"), reason="needs [slurm]")],
    ),
]
FLAGS = {"ray": [], "slurm": ["--engine-option", "cluster=local"]}


def shares(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.glob("share-*"))


EVERY = [f"share-{i}-{SHARES}" for i in range(SHARES)]


def test_this_process_loads_once_and_does_every_share(tmp_path):
    engine_of("local").run(Touch(tmp_path), SHARES, 1, tmp_path)
    assert shares(tmp_path) == EVERY
    assert len(list(tmp_path.glob("loaded-*"))) == 1


def test_what_cannot_be_is_one_message(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="allowed: local, ray, slurm"):
        engine_of("dask")
    with pytest.raises(InputError, match=r"cannot be read\. Give NAME=VALUE"):
        options_of(["timeout"])
    with pytest.raises(InputError, match="no option 'address'"):
        engine_of("local", {"address": "auto"})
    with pytest.raises(InputError, match="has one"):
        engine_of("local").run(Touch(tmp_path), SHARES, 2, tmp_path)
    monkeypatch.setattr(registry.importlib.util, "find_spec", lambda name: None)
    for name, extra in (("ray", "ray"), ("slurm", "slurm")):
        with pytest.raises(InputError, match=rf"trace-erasure\[{extra}\]"):
            engine_of(name)


@pytest.mark.skipif(not has("submitit"), reason="needs [slurm]")
def test_slurm_takes_parameters_of_submitit_and_minutes_alone(tmp_path):
    found = engine_of("slurm", {"timeout_min": "5", "slurm_partition": "gpu"})
    assert vars(found) == {
        "cluster": "slurm",
        "timeout_min": 5,
        "parameters": {"slurm_partition": "gpu"},
    }
    with pytest.raises(InputError, match="timeout_min"):
        engine_of("slurm", {"timeout_min": "soon"})
    with pytest.raises(InputError, match="sbatch"):
        found.run(Touch(tmp_path), SHARES, 2, tmp_path)


@pytest.mark.parametrize(("name", "options"), REMOTE)
def test_a_worker_that_is_killed_loses_nothing(tmp_path, name, options):
    engine_of(name, options).run(Touch(tmp_path, dies=1), SHARES, 2, tmp_path)
    assert (tmp_path / "met").exists()
    assert shares(tmp_path) == EVERY


@pytest.mark.parametrize(("name", "options"), REMOTE)
def test_a_share_that_is_refused_ends_the_run(tmp_path, name, options):
    with pytest.raises(Exception, match="this share is refused"):
        engine_of(name, options).run(Refuses(tmp_path), SHARES, 2, tmp_path)


TASK = """
name: tiny
version: 1
sampling: {steps: 2, guidance_scale: 2.0}
items: items.csv
"""
ITEMS = """prompt,seed,group,concept,expects,companion
a fox,1,target,fox,subject/fox,
fox,3,synonym,fox,subject/fox,
a cat,4,retain,fox,subject/cat,
"""


@pytest.mark.parametrize(("name", "options"), REMOTE)
def test_evaluate_gives_the_pictures_and_verdicts_of_one_process(tmp_path, name, options):
    tiny_stable_diffusion().save_pretrained(tmp_path / "model")
    save_classifier(tmp_path / "judge")
    (tmp_path / "tiny.yaml").write_text(TASK, "utf-8")
    (tmp_path / "items.csv").write_text(ITEMS, "utf-8")
    found = []
    for out, more in (("one", []), ("many", ["--engine", name, "--workers", "2", *FLAGS[name]])):
        paths = ["--model", tmp_path / "model", "--judge", tmp_path / "judge"]
        paths += ["--task", tmp_path / "tiny.yaml", "--out", tmp_path / out, "--batch", 1]
        done = call("evaluate", *paths, "--no-controls", "--quiet", *more)
        assert done.exit_code == 0, done.output
        pictures = {f.name: f.read_bytes() for f in (tmp_path / out / "images").glob("*.png")}
        verdicts = sorted(RunFolder(tmp_path / out).verdicts.read(), key=str)
        found.append((pictures, verdicts))
    assert len(found[0][0]) == 3
    assert found[0] == found[1]


def test_a_verb_refuses_an_engine_that_is_not_there_and_workers_without_one():
    ask = ["evaluate", "--task", "objects"]
    assert "allowed: local, ray, slurm" in fails(call(*ask, "--engine", "dask"))
    assert "--engine local is this process alone" in fails(call(*ask, "--workers", "2"))
