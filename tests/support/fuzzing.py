"""Damaged input of every kind, one case a number: it is read, or one message names it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import torch
import yaml
from PIL import Image

from support.damage import changed, fits_or_is_refused, mutated
from trace_erasure.artifact import lora_file
from trace_erasure.artifact.erasure import Erasure
from trace_erasure.artifact.header import MERGE_STATISTICS, read_header
from trace_erasure.artifact.provenance import PROVENANCE
from trace_erasure.cli.printing.artifacts import about_header
from trace_erasure.concepts.concept import Concept
from trace_erasure.config import ClosedFormConfig, EraseConfig, FinetuneConfig
from trace_erasure.config_file import RunConfig, load_config, to_yaml
from trace_erasure.evaluation import Verdict, load_task
from trace_erasure.evaluation.runs.records import read_jsonl
from trace_erasure.evaluation.runs.verdict_files import read_verdicts, write_verdicts
from trace_erasure.utils.picture_file import read_picture

ARTIFACTS = Path(__file__).parents[1] / "fixtures/artifacts"
CONCEPT = Concept(
    "fox", surrogate="cat", synonyms=("vixen",), retain=("dog",), templates=("a {x}",)
)
RUN = RunConfig("emoji-sd", EraseConfig((CONCEPT,), ClosedFormConfig(), FinetuneConfig()))
TASK = """
name: foxes
version: 1
description: Foxes.
sampling: {steps: 2, guidance_scale: 2.0}
metrics: [acc_e, acc_s]
judges: [{clip: openai}]
quirks: {odd: a remark}
lists: {birds: {names: [owl], expects: "subject/{name}"}}
concepts: {fox: {expects: [subject/fox], words: {x: [a fox], synonym: [a vixen]}}}
groups:
  target: [{templates: ["{x}", "{synonym} in {style} style"], seeds: 2}]
  retain:
    - {from: objects, names: [owl, dog], templates: ["{x}"], seeds: [1, 5]}
    - {from: birds, templates: ["{x}, {ground}"], values: {ground: [red, blue]}, without: ground}
"""
VERDICT = Verdict(
    "emoji-sd", "objects", "trace", 0, "fox", "resnet", "p", "fox-1", "target", "a fox", 0, "ab",
    labels=("subject/fox",), probability=0.5, correct=True,
)  # fmt: skip


def artifact(folder: Path, random: Random) -> bool:
    """A LoRA file: bytes changed, or content with a digest that fits it."""
    source = random.choice(sorted(ARTIFACTS.glob("*.safetensors")))
    file = folder / "a.safetensors"
    if random.randrange(4) == 0:
        file.write_bytes(changed(source.read_bytes(), random.getrandbits(32)))
        return fits_or_is_refused(_read_artifact, file)
    read_tensors, read_metadata = lora_file.read(source)
    tensors, metadata = dict(read_tensors), dict(read_metadata)
    match random.randrange(4):
        case 0:
            name = random.choice(sorted(tensors))
            shape = [random.choice((0, 1, 4, 8, 32)) for _ in range(random.randrange(4))]
            dtype = random.choice((torch.float32, torch.float16, torch.int64, torch.bool))
            tensors[random.choice((name, f"{name}.x"))] = torch.ones(shape, dtype=dtype)
        case 1:
            entry = random.choice(sorted(metadata.keys() & {PROVENANCE, MERGE_STATISTICS}))
            text = changed(metadata[entry].encode(), random.getrandbits(32))
            metadata[entry] = text.decode(errors="replace")
        case 2:
            metadata = {
                str(key): value if isinstance(value, str) else json.dumps(value, default=str)
                for key, value in mutated(metadata, random).items()
            }
        case _:
            whole = mutated(json.loads(metadata[PROVENANCE]), random)
            metadata[PROVENANCE] = _json(whole)
    return fits_or_is_refused(_read_artifact, rewritten(file, tensors, metadata))


def rewritten(path: Path, tensors: dict[str, Any], metadata: dict[str, str]) -> Path:
    """A file with that content and a digest that fits it, as a malicious writer would make it."""
    entries, data = lora_file._split(lora_file.save(tensors))
    metadata = {**metadata, lora_file.DIGEST: lora_file._digest(entries, metadata, data)}
    path.write_bytes(lora_file._join({**entries, "__metadata__": metadata}, data))
    return path


def _read_artifact(path: Path) -> None:
    about_header(path, read_header(path))
    erasure = Erasure.load(path)
    assert erasure.name and erasure.save(path.with_name("again")).exists()


def _json(value: Any) -> str:
    return json.dumps(value)


def spec(folder: Path, random: Random) -> bool:
    """A spec file of ``erase``."""
    return fits_or_is_refused(
        lambda path: to_yaml(load_config(path)), _yaml(folder / "a.yaml", to_yaml(RUN), random)
    )


def task(folder: Path, random: Random) -> bool:
    """A task file of ``evaluate``."""
    return fits_or_is_refused(
        lambda path: load_task(path, prompts=folder), _yaml(folder / "foxes.yaml", TASK, random)
    )


def _yaml(file: Path, text: str, random: Random) -> Path:
    if random.randrange(3):
        text = yaml.safe_dump(mutated(yaml.safe_load(text), random), allow_unicode=True)
        file.write_text(text, "utf-8", errors="replace")
    else:
        file.write_bytes(changed(text.encode(), random.getrandbits(32)))
    return file


def parquet(folder: Path, random: Random) -> bool:
    """A verdict file."""
    return _bytes(folder / "a.parquet", _parquet(), random, read_verdicts)


def json_lines(folder: Path, random: Random) -> bool:
    """Verdicts as JSON lines."""
    data = json.loads(json.dumps(vars(VERDICT)))
    if random.randrange(2):
        data = mutated(data, random)
    text = json.dumps(data).encode() + b"\n"
    file = folder / "a.jsonl"
    if random.randrange(2):
        text = changed(text * 3, random.getrandbits(32))
    file.write_bytes(text)
    return fits_or_is_refused(lambda path: read_jsonl(path, Verdict), file)


def picture(folder: Path, random: Random) -> bool:
    """A picture of a run."""
    return _bytes(folder / "a.png", _picture(), random, read_picture)


def _bytes(file: Path, whole: bytes, random: Random, read: Callable[[Path], object]) -> bool:
    file.write_bytes(changed(whole, random.getrandbits(32)))
    return fits_or_is_refused(read, file)


@lru_cache
def _parquet() -> bytes:
    lines = [replace(VERDICT, image_seed=i) for i in range(40)]
    with TemporaryDirectory() as folder:
        return write_verdicts(Path(folder) / "whole.parquet", lines).read_bytes()


@lru_cache
def _picture() -> bytes:
    noise = torch.randint(256, (16, 16, 3), generator=torch.Generator().manual_seed(0))
    Image.fromarray(noise.byte().numpy()).save(file := io.BytesIO(), "PNG")
    return file.getvalue()


KINDS: dict[str, Callable[[Path, Random], bool]] = {
    "artifact": artifact,
    "spec": spec,
    "task": task,
    "parquet": parquet,
    "json-lines": json_lines,
    "picture": picture,
}


def case(kind: str, number: int, folder: Path) -> bool:
    """Whether the input of this ``number`` is read; anything but one of our errors is raised."""
    return KINDS[kind](folder, Random(f"{kind} {number}"))
