"""Every argument of every public verb refuses what it cannot be, before anything is touched."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from support.evaluation import save_classifier, small_task
from trace_erasure import (
    ClosedFormConfig,
    Concept,
    EraseConfig,
    Erasure,
    InputError,
    MergeConfig,
    attack,
    capacity,
    certify,
    erase,
    erase_each,
    erase_pack,
    evaluate,
    forecast,
    generate,
    load_pipeline,
    merge,
)
from trace_erasure.attacks.budget import Budget
from trace_erasure.evaluation.judges.base import ImageClassifierJudge
from trace_erasure.testing import CAPTIONS, tiny_stable_diffusion

NAN, INF = float("nan"), float("inf")
STRANGE = (object(), lambda *_: None, int, 1j, torch.ones(2), torch.tensor(1.0), b"fox", {"a": 1})
"""What no argument can be."""
NO_TEXT = (*STRANGE, NAN, 1, True, ["fox"], {"fox"}, "fox\0", "fox\ud800", "x" * 5000)
NO_NAME = (*NO_TEXT, "", " ")
NO_INTEGER = (*STRANGE, NAN, INF, -INF, -1, 1.5, "1", "", True, [1], {1}, -(10**400))
NO_SEED = (*NO_INTEGER, 2**63, 10**400)
NO_NUMBER = (*STRANGE, NAN, INF, -INF, -0.5, 10**400, "1", "", True, [0.5], {0.5})
NO_FLAG = (*STRANGE, NAN, 0, 1, "yes", "", [], {True})
NO_LIST = (*STRANGE[:5], b"fox", {"fox": 1}, {"fox"}, 5, NAN, True, [None], [object()], [[]])
NO_TEXTS = (*NO_LIST, "fox", [5], ["fox\0"])
NO_PATH = (*STRANGE, NAN, 1, True, ["out"], "", " ", "out\0", "out\ud800", "x" * 5000, b"out")
OPTIONAL = (None,)


@dataclass(frozen=True)
class Verb:
    """A verb, arguments that it takes, and wrong values of each of them."""

    call: Callable[..., Any]
    given: dict[str, Any]
    wrong: dict[str, tuple[Any, ...]]


class Bench:
    """What the verbs work on: made once."""

    def __init__(self, folder: Path) -> None:
        self.pipe = tiny_stable_diffusion()
        self.fox = Concept("fox", surrogate="dog")
        horse = Concept("horse", surrogate="dog")
        self.erasures = [erase(self.pipe, one, captions=CAPTIONS) for one in (self.fox, horse)]
        self.judge = ImageClassifierJudge(save_classifier(folder / "judge"))
        self.task = small_task(("fox",))
        self.file = self.erasures[0].save(folder / "fox")

    def attached(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """``method`` while the erasure is on the pipeline."""

        def call(**arguments: Any) -> Any:
            with self.erasures[0].attach(self.pipe):
                return method(**arguments)

        return call


NO_PIPE = (*STRANGE, None, NAN, 1, True, [], "")
NO_FOLDER = (*NO_PATH, "file", "file/out", "loop", "loop/out", "/dev/null/out")
"""In a folder that has a file of that name, and a link to itself."""
NO_ERASURE = (*STRANGE, None, NAN, 1, "", "fox", [], Path("fox.safetensors"))


def verbs(bench: Bench) -> dict[str, Verb]:
    pipe, (fox, _), captions = bench.pipe, bench.erasures, CAPTIONS
    on_captions = dict(pipe=pipe, captions=captions)
    measured = dict(pipe_or_model=pipe, task=bench.task, concepts=["fox"], controls=False, batch=2)
    of_captions = {"pipe": NO_PIPE, "captions": NO_TEXTS[:-1]}
    settings = (*STRANGE, NAN, 1, "", [], ClosedFormConfig)
    of_measured = {
        "pipe_or_model": NO_PIPE,
        "task": NO_PATH,
        "concepts": (*NO_TEXTS, []),
        "controls": (*NO_FLAG, None),
        "bfloat16": (*NO_FLAG, None),
        "folder": NO_FOLDER,
        "batch": (*NO_INTEGER, 0, None),
    }
    return {
        "erase": Verb(
            erase,
            {**on_captions, "concepts": bench.fox},
            {
                **of_captions,
                "concepts": (*NO_LIST, None, "", " ", [], "fox\0", "x" * 5000, ["fox", ""]),
                "surrogate": (*NO_NAME, "dog"),
                "kind": (*NO_NAME, "animal", "object"),
                "preset": (*NO_NAME, None, "slow"),
                "closed_form": settings,
                "finetune": settings,
                "seed": (*NO_SEED, None),
                "hardening": (*NO_NAME, None, "on"),
                "search": (*NO_NAME, None, "web"),
                "on_step": (NAN, 1, "", "x", [], int, object()),
                "workdir": (*NO_FOLDER, "missing"),
            },
        ),
        "erase, a phrase": Verb(
            erase,
            {**on_captions, "concepts": "fox"},
            {"surrogate": NO_NAME, "kind": (*NO_NAME, None, "animal")},
        ),
        "erase_each": Verb(
            erase_each,
            {**on_captions, "spec": EraseConfig((bench.fox,)), "folder": "out"},
            {
                **of_captions,
                "spec": (*settings, None),
                "folder": (*NO_FOLDER, None),
                "shard": (*NO_LIST, None, (0,), (0, 0), (1, 1), (-1, 1), (0, 1.0), (0, NAN), "01"),
            },
        ),
        "erase_pack": Verb(
            erase_pack,
            {**on_captions, "pack": "weapons"},
            {
                **of_captions,
                "pack": (*NO_PATH, None, "fruit", "loop", "file"),
                "folder": NO_FOLDER,
                "settings": settings,
            },
        ),
        "merge": Verb(
            merge,
            {**on_captions, "artifacts": bench.erasures},
            {
                **of_captions,
                "artifacts": (*NO_LIST, None, [], "", [bench.fox], [fox, fox], fox),
                "strengths": (*NO_LIST, [1.0], ["1", "1"], [NAN, 1], [-1, 1], [3, 1], 1.0),
                "settings": (*settings, None),
                "seed": (*NO_SEED, None),
                "dense": (*NO_FLAG, None),
            },
        ),
        "capacity": Verb(
            capacity,
            {**on_captions, "what": bench.erasures},
            {
                **of_captions,
                "what": (*NO_LIST, None, [], "fox", [bench.fox, "fox"]),
                "settings": (*settings, None, MergeConfig),
            },
        ),
        "certify": Verb(
            certify,
            {"pipe": pipe, "erasure": fox, "paths": 0, "steps": 2},
            {
                "pipe": NO_PIPE,
                "erasure": NO_ERASURE,
                "concepts": (*NO_LIST, [], ["fox"], "fox", [Concept("fox")]),
                "retain": NO_TEXTS,
                "paths": (*NO_INTEGER, None, 1, 10**400),
                "steps": (*NO_INTEGER, None, 0, 10**400),
                "guidance_scale": (*NO_NUMBER, None),
                "noise_level": (*NO_NUMBER, 2),
                "gate": (*NO_NUMBER, 2),
            },
        ),
        "forecast": Verb(
            forecast,
            {**on_captions, "concept": bench.fox, "names": ["cat"]},
            {
                **of_captions,
                "concept": (*STRANGE, None, "fox", [bench.fox], []),
                "names": (*NO_TEXTS, [], [""], ["fox"]),
                "settings": (*settings, None),
            },
        ),
        "generate": Verb(
            generate,
            {"pipe": pipe, "prompts": "a fox", "seeds": [0], "steps": 1, "batch": 1},
            {
                "pipe": NO_PIPE,
                "prompts": (*NO_LIST, None, [], ["a", "b"], "a fox\0", 5),
                "seeds": (*NO_LIST, None, "0", ["0"], [0.5], [-1], [2**63], [NAN], [True]),
                "steps": (*NO_INTEGER, None, 0, 10**400),
                "guidance_scale": (*NO_NUMBER, None),
                "batch": (*NO_INTEGER, None, 0),
                "height": (*NO_INTEGER, 0, 16, 10**400),
                "width": (*NO_INTEGER, 0, 16, 10**400),
                "scheduler": (*NO_NAME, "DDIM", "DiffusionPipeline"),
                "autocast": (*NO_FLAG, None),
                "store": (*STRANGE, 1, "", "out", []),
                "model": (*NO_TEXT, None),
                "shard": (*NO_LIST, None, (0,), (0, 0), (1, 1), (-1, 1), (0, 1.0)),
            },
        ),
        "evaluate": Verb(
            evaluate,
            {**measured, "erasures": fox, "judges": [bench.judge], "per_group": 1},
            {
                **of_measured,
                "erasures": (*NO_LIST, None, ["fox"], "fox"),
                "judges": (*NO_LIST, [], ["resnet"], bench.judge),
                "method": (*NO_NAME, None),
                "strengths": (*NO_LIST, None, [], 1.0, ["1"], [NAN], [-1], [3]),
                "per_group": (*NO_INTEGER, 0),
            },
        ),
        "attack": Verb(
            attack,
            {**measured, "erasure": fox, "attacks": ["typo"], "judge": bench.judge},
            {
                **of_measured,
                "erasure": NO_ERASURE,
                "attacks": (*NO_TEXTS, None, ["typos"]),
                "synonyms": (object(), NAN, 1, "", [], {"fox": "vixen"}, {1: ["x"]}, {"fox": [1]}),
                "judge": (*STRANGE, 1, "resnet", []),
                "model": NO_NAME,
                "cases": (*NO_INTEGER, None, 0),
                "budget": (*STRANGE, None, 1, [], Budget),
            },
        ),
        "load_pipeline": Verb(
            load_pipeline,
            {"model": "no/where"},
            {
                "model": (
                    *STRANGE,
                    None,
                    NAN,
                    1,
                    "",
                    " ",
                    "x" * 5000,
                    "a\0",
                    "file",
                    "loop",
                    "out",
                ),
                "dtype": (*STRANGE, NAN, 16, "", "fp16", "float64", torch.int8),
                "device": (*STRANGE, NAN, 1, "", "gpu", "cuda:x", "x" * 5000),
                "revision": NO_NAME,
                "variant": NO_NAME,
                "offload": (*STRANGE, NAN, 1, "", "cpu", "sequential", "group", "disk"),
            },
        ),
        "attach": Verb(fox.attach, {"pipe": pipe}, {"pipe": NO_PIPE, "strength": (*NO_NUMBER, 3)}),
        "detach": Verb(fox.detach, {"pipe": pipe}, {"pipe": (*NO_PIPE, pipe)}),
        "fuse": Verb(fox.fuse, {"pipe": pipe}, {"pipe": NO_PIPE}),
        "set_weight": Verb(
            bench.attached(fox.set_weight),
            {"pipe": pipe, "weight": 1.0},
            {"pipe": NO_PIPE, "weight": (*NO_NUMBER, None, 3)},
        ),
        "gate": Verb(
            bench.attached(fox.gate),
            {"pipe": pipe, "noise_level": 0.5},
            {"pipe": NO_PIPE, "noise_level": (*NO_NUMBER, None, 2)},
        ),
        "scaled": Verb(fox.scaled, {}, {"strength": (*NO_NUMBER, None, 3)}),
        "save": Verb(fox.save, {}, {"path": (*NO_PATH, None, "file/out", "loop/out", "no/fox")}),
        "load": Verb(Erasure.load, {}, {"path": (*NO_FOLDER, None, "missing")}),
        "save_pretrained": Verb(fox.save_pretrained, {}, {"folder": (*NO_FOLDER, None)}),
        "from_pretrained": Verb(
            Erasure.from_pretrained,
            {"name": bench.file},
            {
                "name": (*NO_FOLDER, None, "missing", "a/b/c"),
                "revision": NO_NAME,
                "local_files_only": (*NO_FLAG, None),
                "token": (*STRANGE, NAN, 1, "", "hf\n", "hf\ud800"),
            },
        ),
        "push_to_hub": Verb(
            fox.push_to_hub,
            {"repo_id": "no/where"},
            {
                "repo_id": (*NO_NAME, None, "a/b/c"),
                "private": (*STRANGE, NAN, 1, "", "yes"),
                "revision": NO_NAME,
                "commit_message": (*NO_NAME, None),
                "token": (*STRANGE, NAN, 1, "", "hf\n", "hf\ud800"),
            },
        ),
    }


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Verb]]:
    folder = tmp_path_factory.mktemp("bench")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield verbs(Bench(folder))


NAMES = (
    "erase", "erase, a phrase", "erase_each", "erase_pack", "merge", "capacity", "certify",
    "forecast", "generate", "evaluate", "attack", "load_pipeline", "attach", "detach", "fuse",
    "set_weight", "gate", "scaled", "save", "load", "save_pretrained", "from_pretrained",
    "push_to_hub",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_argument_is_one_message_and_touches_nothing(bench, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("x")
    os.symlink("loop", "loop")
    verb, pipe = bench[name], bench["merge"].given["pipe"]
    weights = {key: value.clone() for key, value in pipe.unet.state_dict().items()}
    for argument, values in verb.wrong.items():
        for value in values:
            with pytest.raises(InputError) as caught:
                verb.call(**{**verb.given, argument: value})
                pytest.fail(f"{argument}={value!r} is taken")
            message = str(caught.value)
            assert len(message) < 700, (argument, value)
            assert message.endswith((".", "!", "?")), (argument, value, message)
    assert sorted(os.listdir()) == ["file", "loop"]
    after = pipe.unet.state_dict()
    assert list(after) == list(weights)
    assert all(torch.equal(after[key], weight) for key, weight in weights.items())


def test_the_table_has_every_verb(bench):
    assert sorted(NAMES) == sorted(bench)
