"""Engines: every share is done, whoever dies, and a verb gives the pictures of one process."""

from __future__ import annotations

import importlib.util
import os
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from safetensors.torch import load_file

from support.artifacts import make_erasure
from support.cli import call, fails
from support.engine_jobs import Refuses, Touch
from support.evaluation import save_classifier
from support.tasks import save_foxes, save_listed
from trace_erasure.concepts.concept import Concept
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


@pytest.mark.parametrize(("name", "options"), REMOTE)
def test_evaluate_gives_the_pictures_and_verdicts_of_one_process(tmp_path, name, options):
    tiny_stable_diffusion().save_pretrained(tmp_path / "model")
    save_classifier(tmp_path / "judge")
    save_listed(tmp_path, items=3)
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


@pytest.mark.parametrize(("name", "options"), REMOTE)
def test_attack_finds_what_one_process_finds(tmp_path, name, options):
    pipe = tiny_stable_diffusion(positions=40)
    pipe.save_pretrained(tmp_path / "model")
    record = {"concepts": [asdict(Concept("fox", "dog"))]}
    file = make_erasure(pipe, record=record).save(tmp_path / "fox")
    save_classifier(tmp_path / "judge")
    found = []
    for out, more in (("one", []), ("many", ["--engine", name, "--workers", "2", *FLAGS[name]])):
        paths = ["--model", tmp_path / "model", "--judge", tmp_path / "judge"]
        paths += ["--task", save_foxes(tmp_path), "--out", tmp_path / out]
        cheap = ["--images", 2, "--gradients", 1, "--encodings", 30, "--cases", 1]
        which = ["--attack", "typo", "--attack", "noise", "--attack", "paraphrase"]
        done = call("attack", file, *paths, *cheap, *which, "--json", *more)
        assert done.exit_code == 0, done.output
        found.append(done.stdout[done.stdout.index("[") :])
    assert found[0] == found[1]


SPEC = """
model: emoji-sd # --model names another
concepts:
  - {phrase: fox, surrogate: dog}
  - {phrase: horse, surrogate: cat}
  - {phrase: owl, surrogate: dog}
"""


@pytest.mark.parametrize(("name", "options"), REMOTE)
def test_merge_writes_the_tensors_of_one_process(tmp_path, name, options):
    tiny_stable_diffusion(positions=40).save_pretrained(tmp_path / "model")
    (tmp_path / "takedown.yaml").write_text(SPEC, "utf-8")
    found = []
    for out, more in (("one", []), ("many", ["--engine", name, "--workers", "2", *FLAGS[name]])):
        where = ["--model", tmp_path / "model", "--out", tmp_path / out, "--force", "--quiet"]
        done = call("merge", tmp_path / "takedown.yaml", *where, *more)
        assert done.exit_code == 0, done.output
        assert len([*(tmp_path / out / "parts").glob("*.safetensors")]) == 3
        (file,) = (tmp_path / out).glob("*.safetensors")
        found.append(load_file(file))
    one, many = found
    assert one.keys() == many.keys()
    assert all(one[key].equal(many[key]) for key in one)


def test_a_verb_refuses_an_engine_that_is_not_there_and_workers_without_one():
    ask = ["evaluate", "--task", "objects"]
    assert "allowed: local, ray, slurm" in fails(call(*ask, "--engine", "dask"))
    assert "--engine local is this process alone" in fails(call(*ask, "--workers", "2"))
