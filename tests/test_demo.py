"""The demonstration on a tiny random model: what it leaves, and that it never works twice."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image
from rich.console import Console

from support.browser import look_at, needs_browser
from support.evaluation import save_classifier, save_clip
from trace_erasure import ClosedFormConfig, Erasure, FinetuneConfig
from trace_erasure.demo import run as demo
from trace_erasure.pipeline.sampling import Sampling
from trace_erasure.testing import tiny_stable_diffusion
from trace_erasure.world import load_world

CAPTIONS = (
    "a red dog",
    "a picture of a horse",
    "a dog, red style",
    "a horse in painting style",
    "a picture of Red Horse",
    "the painting of Ada Fox",
)
FINETUNE = FinetuneConfig(
    steps=3, batch=2, rank=2, trajectories=2, retain_trajectories=3, sampler_steps=2
)


@pytest.fixture
def tiny_world(monkeypatch, tmp_path):
    """The demonstration with a random model, random judges and hardly any work."""
    world = load_world()
    labels = [f"subject/{thing.name}" for thing in world.objects]
    labels += [f"subject/{name}" for name in world.people] + ["subject/nothing"]
    labels += [f"style/{key}" for key in world.styles]
    judges = {
        f"judges/{name}": save_classifier(tmp_path / "judges" / name, labels, seed)
        for seed, name in enumerate(("resnet", "regnet"))
    }
    clip = tmp_path / "judges" / "clip"
    judges["judges/clip"] = save_clip(clip, tiny_stable_diffusion().tokenizer)
    monkeypatch.setattr(demo.loading, "load_pipeline", lambda name: tiny_stable_diffusion())
    monkeypatch.setattr(demo.shipped, "path", judges.__getitem__)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("world_captions", "photo_captions"):
        monkeypatch.setattr(f"trace_erasure.concepts.captions.{name}", lambda *_: CAPTIONS)
    cases = tuple(
        replace(
            case, spec=replace(case.spec, closed_form=ClosedFormConfig(keep=2), finetune=FINETUNE)
        )
        for case in demo.CONCEPTS
    )
    monkeypatch.setattr(demo, "CONCEPTS", cases)
    for name, count in (("TARGETS", 3), ("NEAR", 2), ("FAR", 1)):
        monkeypatch.setattr(demo, name, count)
    whole = demo.demo_task

    def quick():
        return replace(whole(), sampling=Sampling(steps=2, guidance_scale=2.0))

    monkeypatch.setattr(demo, "demo_task", quick)
    out = tmp_path / "out"
    out.mkdir()
    return out


def run(out):
    console = Console(record=True, width=160, file=open("/dev/null", "w"))  # noqa: SIM115
    page = demo.run_demo(out, console)
    return page, console.export_text()


def files(out):
    return sorted(path.name for path in out.iterdir() if path.is_file())


STEMS = ("fox", "mira-solberg", "neon")
LEFT = [
    "demo.png",
    "index.html",
    *(f"{stem}.{end}" for stem in STEMS for end in ("png", "safetensors", "training.json")),
]


@pytest.mark.slow
def test_everything_is_left_and_said(tiny_world):
    page, said = run(tiny_world)
    assert files(tiny_world) == sorted(LEFT)
    for stem, concept in zip(STEMS, ("fox", "Mira Solberg", "neon"), strict=True):
        erasure = Erasure.load(tiny_world / f"{stem}.safetensors")
        assert erasure.record.concepts[0].phrase == concept
        sheet = Image.open(tiny_world / f"{stem}.png")
        assert sheet.size[0] > 4 * 128 and sheet.size[1] > 2 * 128
        line = next(line for line in said.splitlines() if concept in line and "resnet" in line)
        assert re.search(r"\d/3 → \d/3", line) and re.search(r"\d/4 → \d/4", line)
        assert str(erasure.record.concepts[0].surrogate) in line
    html = page.read_text("utf-8")
    assert not re.search(r"""(src|href)=["']?(https?:|//)""", html)
    for title in ("certificate of the closed form", "loss", "along the trajectory"):
        assert html.count(f"<h2>fox: {title}</h2>") == 1
    for part in ("The concept", "Its neighbours", "By strength", "Use it"):
        assert html.count(f"<h3>{part}</h3>") == 3
    assert "resnet: " in html and "regnet: " in html and "clip: " not in html
    assert html.count("<h2>CLIP scores</h2>") == 1
    record: Any = Erasure.load(tiny_world / f"{STEMS[-1]}.safetensors").record
    assert f"noise level {record.finetune.noise_level:.2f}" in html


def test_the_closed_form_alone_is_timed_too(tiny_world, monkeypatch):
    (fox, *_) = demo.CONCEPTS
    monkeypatch.setattr(demo, "CONCEPTS", (replace(fox, spec=replace(fox.spec, finetune=None)),))
    page, _ = run(tiny_world)
    record = json.loads((tiny_world / "fox.training.json").read_text("utf-8"))
    assert record["seconds"] > 0 and record["steps"] == []
    html = page.read_text("utf-8")
    assert "certificate of the closed form" in html and "fox: loss" not in html


@pytest.mark.slow
@needs_browser
def test_the_page_in_a_browser(tiny_world, tmp_path):
    page, _ = run(tiny_world)
    for width in (390, 1280):
        seen = look_at(page, tmp_path, width)
        assert seen["images"] >= 3 * (2 + 2 * 3 + 5)  # a pair on the strip, targets, strengths
        assert seen["zoom"]["after"]["width"] > 1.5 * seen["zoom"]["before"]["width"]
        places = [seen["headings"].index(name) for name in ("The concept", "Use it", "Recognised")]
        assert places == sorted(places)  # pictures come before tables
        assert {*seen["files"]} == {*LEFT} - {"index.html"}


@pytest.mark.slow
def test_a_second_run_only_looks_again(tiny_world, monkeypatch):
    run(tiny_world)
    before = {name: (tiny_world / name).read_bytes() for name in LEFT if name != "index.html"}

    def work(*arguments, **options):
        raise AssertionError("erased again")

    monkeypatch.setattr(demo, "run", work)
    run(tiny_world)
    assert {name: (tiny_world / name).read_bytes() for name in before} == before


@pytest.mark.slow
def test_what_no_longer_fits_is_made_again(tiny_world, monkeypatch):
    run(tiny_world)
    made = [demo.run]
    done = []

    def counted(pipe, spec, **options):
        done.append(spec.concepts[0].phrase)
        return made[0](pipe, spec, **options)

    monkeypatch.setattr(demo, "run", counted)
    fox, neon, mira = demo.CONCEPTS
    other = replace(neon, spec=replace(neon.spec, seed=9))
    monkeypatch.setattr(demo, "CONCEPTS", (fox, other, mira))
    (tiny_world / "fox.safetensors").write_bytes(b"damaged")
    _, said = run(tiny_world)
    assert done == ["fox", "neon"]
    assert "other settings: made again" in said and "It is made again" in said


@pytest.mark.slow
def test_an_interrupted_run_keeps_its_records(tiny_world, monkeypatch):
    monkeypatch.setattr("trace_erasure.trace.training.CHECKPOINT_EVERY", 1)
    once = [True]
    save = demo.save

    def interrupted(training, file):
        save(training, file)
        if len(training.steps) == 2 and once:
            once.clear()
            raise KeyboardInterrupt

    monkeypatch.setattr(demo, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(tiny_world)
    assert any(name.startswith("finetune-") for name in files(tiny_world))
    seen = []
    monkeypatch.setattr(demo, "save", lambda t, f: (seen.append(t.steps[-1]["step"]), save(t, f)))
    run(tiny_world)
    assert seen == [2, 2, 0, 1, 2, 2, 0, 1, 2, 2]  # every step, and the end
    assert files(tiny_world) == sorted(LEFT)


def test_the_task_covers_neighbours_and_everything_else():
    task = demo.demo_task()
    assert task.concepts == tuple(case.name for case in demo.CONCEPTS)
    retained = {}
    for case in demo.CONCEPTS:
        items = task.of(case.name)
        groups = [item.group for item in items]
        assert groups.count("target") == 24 and groups.count("retain") == 48
        kept = [item for item in items if item.group == "retain"]
        assert sum(demo.is_neighbour(case, item) for item in kept) >= demo.NEAR // 2
        assert not [i for i in kept if re.search(rf"\b{case.name}\b", i.prompt, re.IGNORECASE)]
        retained[case.name] = {(item.prompt, item.seed) for item in kept}
    # Shared pictures are drawn once: fewer than three times 48.
    assert len(set.union(*retained.values())) == 3 * demo.NEAR


def test_a_style_that_is_gone_leaves_the_plain_one():
    """A look-alike of the style, such as ink, draws blots that look like damage."""
    styles = [one.concept for one in demo.CONCEPTS if one.concept.kind == "style"]
    assert [style.surrogate for style in styles] == [load_world().plain_style]
