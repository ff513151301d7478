"""The command line: what it writes, what it says, how it ends."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
import yaml
from diffusers import StableDiffusionPipeline
from PIL import Image

from support.cli import call, fails
from trace_erasure import Erasure
from trace_erasure.artifact.record import TraceRecord
from trace_erasure.config import FinetuneConfig
from trace_erasure.config_file import load_config, parse_config
from trace_erasure.errors import NonFiniteError
from trace_erasure.testing import tiny_stable_diffusion

SPEC = """
model: {model}
concepts: [{{phrase: fox, surrogate: dog}}]
closed_form: {{keep: 2}}
finetune: {{steps: 4, batch: 2, rank: 2, trajectories: 2, retain_trajectories: 4, sampler_steps: 3}}
seed: 5
"""
CAPTIONS = ("a red dog", "a photo of a horse", "the painting of a dog", "a red horse in the photo")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "tiny"
    tiny_stable_diffusion().save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def small_world(monkeypatch, tmp_path):
    """Short captions, and a cache that ends with the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("world_captions", "photo_captions"):
        monkeypatch.setattr(f"trace_erasure.concepts.captions.{name}", lambda *_: CAPTIONS)


@pytest.fixture
def spec(model, tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text(SPEC.format(model=model), "utf-8")
    return file


def names(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_help_is_instant_and_loads_no_torch():
    code = (
        "import sys; sys.argv = ['trace-erasure', '--help']\n"
        "from trace_erasure.cli import main\n"
        "try: main()\n"
        "finally: assert not {'torch', 'diffusers', 'transformers'} & set(sys.modules)"
    )
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    for verb in ("erase", "generate", "info", "ls", "validate", "demo"):
        assert verb in done.stdout
    # The processor's time: what a quiet machine takes.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1


def test_erase_writes_a_lora_and_its_spec(spec, tmp_path):
    out = tmp_path / "out"
    result = call("erase", spec, "--out", out)
    assert result.exit_code == 0, result.output
    assert names(out) == ["fox.safetensors", "fox.yaml"]
    assert "fox → dog" in " ".join(result.stdout.split())
    erasure = Erasure.load(out / "fox.safetensors")
    assert erasure.closed_form and erasure.finetuned
    resolved = load_config(out / "fox.yaml").erase
    assert resolved.seed == 5
    assert resolved.finetune == load_config(spec).erase.finetune
    assert resolved.concepts[0].surrogate == "dog"
    pipe = tiny_stable_diffusion()
    pipe.load_lora_weights(out / "fox.safetensors")  # as any other tool would


def test_erase_from_options_alone(model, tmp_path):
    out = tmp_path / "out"
    options = ["--model", model, "--concept", "fox", "--seed", 7, "--quiet"]
    result = call("erase", *options, "--out", out)
    assert result.exit_code == 0, result.output
    assert result.output == ""
    erasure = Erasure.load(out / "fox.safetensors")
    assert not erasure.finetuned
    assert isinstance(erasure.record, TraceRecord)
    assert erasure.record.spec.seed == 7
    assert erasure.record.spec.concepts[0].surrogate
    assert erasure.record.asked.concepts[0].surrogate is None


def test_dry_run_shows_the_resolved_spec_and_writes_nothing(spec, tmp_path):
    out = tmp_path / "out"
    result = call("erase", spec, "--out", out, "--dry-run", "--no-closed-form")
    assert result.exit_code == 0, result.output
    shown = yaml.safe_load(result.stdout)
    assert shown["concepts"][0]["surrogate"] == "dog"
    assert shown["closed_form"] is None
    assert not out.exists()


def test_stage_2_is_trained_where_it_is_asked_for(model, spec, tmp_path):
    asked = ["--model", model, "--concept", "fox", "--surrogate", "dog", "--dry-run"]
    usual = FinetuneConfig()
    scenes = FinetuneConfig.for_scenes("a kitchen", "a chef")
    for given, wanted in (
        ([], None),
        (["--finetune"], usual),
        (["--preset", "trace"], usual),
        (["--preset", "trace", "--no-finetune"], None),
        (["--state-prompt", "a kitchen", "--state-prompt", "a chef"], scenes),
    ):
        found = parse_config(call("erase", *asked, *given).stdout).erase
        assert found.finetune == wanted
    out = tmp_path / "out"
    assert call("erase", spec, "--out", out, "--no-finetune", "--quiet").exit_code == 0
    assert not Erasure.load(out / "fox.safetensors").finetuned


@pytest.mark.slow
def test_an_interrupted_run_goes_on_to_the_same_bytes(spec, tmp_path, monkeypatch):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert call("erase", spec, "--out", whole).exit_code == 0

    home = importlib.import_module("trace_erasure.trace.erase")
    monkeypatch.setattr("trace_erasure.trace.training.CHECKPOINT_EVERY", 1)
    finetune, done = home.finetune_adapter, []

    def interrupted(*arguments, **options):
        def stop(step):
            done.append(step.step)
            if step.step == 1 and len(done) == 2:
                raise KeyboardInterrupt

        return finetune(*arguments, **{**options, "on_step": stop})

    monkeypatch.setattr(home, "finetune_adapter", interrupted)
    message = fails(call("erase", spec, "--out", parts, "--quiet"), 130)
    assert "Interrupted; nothing was written. The same command goes on" in message
    (left,) = names(parts)
    assert left.startswith("finetune-")

    # Another run in the same folder is not confused by it.
    other = call("erase", spec, "--out", parts, "--seed", 6, "--quiet")
    assert other.exit_code == 0, other.output
    assert left in names(parts)
    assert done == [0, 1, 0, 1, 2, 3]

    assert call("erase", spec, "--out", parts).exit_code == 0
    assert done[6:] == [2, 3]
    assert names(parts) == names(whole) == ["fox.safetensors", "fox.yaml"]
    same = [(folder / "fox.safetensors").read_bytes() for folder in (whole, parts)]
    assert same[0] == same[1]


def test_divergence_ends_with_one_line_and_nothing_on_disk(spec, tmp_path, monkeypatch):
    def diverging(*arguments, **options):
        raise NonFiniteError("loss term 'late' is nan at step 3.")

    home = importlib.import_module("trace_erasure.trace.erase")
    monkeypatch.setattr(home, "finetune_adapter", diverging)
    out = tmp_path / "out"
    assert "nan at step 3" in fails(call("erase", spec, "--out", out, "--quiet"), 1)
    assert not out.exists()


def test_interrupted_before_any_work(spec, tmp_path, monkeypatch):
    def load(model, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("trace_erasure.pipeline.loading.load_pipeline", load)
    assert "Interrupted" in fails(call("erase", spec, "--out", tmp_path / "out"), 130)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "nothing to erase"),
        (["missing.yaml"], "there is no file missing.yaml"),
        (
            ["--concept", "fox", "--model", "sdxl"],
            "there is no model 'sdxl'. Give a shipped model (emoji-sd, emoji-flux, emoji-scenes)",
        ),
        (["--concept", "fox", "--kind", "animal"], "unknown concept kind 'animal'"),
        (["--concept", " "], "the concept is empty"),
        (["--concept", "fox", "--surrogate", "Fox"], "nothing would change"),
        (["--concept", "fox", "--no-closed-form"], "nothing would be erased"),
        (["SPEC", "--no-finetune", "--no-closed-form"], "nothing would be erased"),
        (["SPEC", "--preset", "slow"], "preset is 'slow'; allowed: fast, trace, hardened"),
        (["SPEC", "--no-finetune", "--state-prompt", "a chef"], "Leave out --no-finetune"),
        (["SPEC", "--concept", "fox"], "both say what to erase"),
        (["SPEC", "--model", "nowhere"], "there is no model 'nowhere'"),
        (["SPEC", "--out", "SPEC"], "cannot make the folder"),
        (["SPEC", "--out", "SPEC/deeper"], "cannot make the folder"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(spec, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    before = names(tmp_path)
    said = fails(call("erase", *(one.replace("SPEC", str(spec)) for one in arguments)))
    assert message in said
    assert [name for name in names(tmp_path) if name != "cache"] == before


def test_concepts_that_work_against_each_other(model, tmp_path):
    options = ["--model", model, "--concept", "fox", "--concept", "dog", "--surrogate", "horse"]
    out = tmp_path / "out"
    assert call("erase", *options, "--out", out, "--quiet").exit_code == 0
    retained = Erasure.load(out / "fox_dog.safetensors").record.retain
    assert not [prompt for prompt in retained if "fox" in prompt or "dog" in prompt]

    options[-1] = "dog"
    options[4:6] = ["--concept", "dog"]
    file = tmp_path / "both.yaml"
    concepts = [{"phrase": "fox", "surrogate": "dog"}, {"phrase": "dog", "surrogate": "horse"}]
    file.write_text(yaml.safe_dump({"model": str(model), "concepts": concepts}), "utf-8")
    said = fails(call("erase", file, "--out", tmp_path / "both", "--quiet"))
    assert "surrogate of 'fox' is 'dog', which is erased too" in said
    assert not (tmp_path / "both").exists()


@pytest.fixture(scope="module")
def erased(model, tmp_path_factory):
    """One erasure for the tests that only read it."""
    from trace_erasure import ClosedFormConfig, Concept
    from trace_erasure.trace.erase import erase

    pipe = StableDiffusionPipeline.from_pretrained(model)
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("erased")
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        settings = ClosedFormConfig(keep=2)
        erasure = erase(
            pipe, Concept("fox", "dog"), closed_form=settings, finetune=None, captions=CAPTIONS
        )
        return erasure.save(folder / "fox")


def test_generate_at_equal_seeds(model, erased, tmp_path):
    options = ["--model", model, "--prompt", "a fox", "--prompt", "A red dog!", "--steps", 2]
    plain, zero, full = tmp_path / "plain", tmp_path / "zero", tmp_path / "full"
    result = call("generate", *options, "--count", 2, "--seed", 3, "--out", plain)
    assert result.exit_code == 0, result.output
    made = [
        "01-a-fox-seed3.png",
        "01-a-fox-seed4.png",
        "02-a-red-dog-seed3.png",
        "02-a-red-dog-seed4.png",
    ]
    assert names(plain) == made
    assert [line.split("/")[-1] for line in result.stdout.split()] == made

    more = ["--count", 1, "--seed", 3, "--erasure", erased]
    assert call("generate", *options, *more, "--strength", 0, "--out", zero).exit_code == 0
    assert call("generate", *options, *more, "--out", full).exit_code == 0

    def pixels(folder):
        return np.asarray(Image.open(folder / made[0])).astype(int)

    assert np.abs(pixels(plain) - pixels(zero)).max() <= 1
    assert np.abs(pixels(plain) - pixels(full)).max() > 1


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--strength", "1"], "belongs to an erasure"),
        (["--erasure", "missing.safetensors"], "there is no file missing.safetensors"),
        (["--erasure", "ERASED", "--strength", "3"], "strength 3.0 is out of range"),
    ],
)
def test_generate_refuses(model, erased, tmp_path, arguments, message):
    out = tmp_path / "out"
    given = [str(erased) if one == "ERASED" else one for one in arguments]
    said = fails(call("generate", "--model", model, "--prompt", "a fox", *given, "--out", out))
    assert message in said
    assert not out.exists()


@pytest.mark.slow
def test_info_reads_the_header_without_torch(erased):
    code = (
        "import sys; sys.argv = ['trace-erasure', 'info', *sys.argv[1:]]\n"
        "from trace_erasure.cli import main\n"
        "try: main()\n"
        "finally: assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(erased)], capture_output=True, text=True, check=True
    )
    said = " ".join(done.stdout.split())
    for words in ("Erases: fox", "fox → dog", "stable-diffusion", f"torch {torch.__version__}"):
        assert words in said


def test_info_as_json_is_the_provenance(erased):
    result = call("info", erased, "--json")
    assert result.exit_code == 0, result.output
    whole = json.loads(result.stdout)
    erasure = Erasure.load(erased)
    assert whole["record"] == erasure.record.to_dict()
    assert whole["base"] == erasure.base
    assert whole["bytes"] == erased.stat().st_size
    assert whole["metadata"]["modelspec.sai_model_spec"] == "1.0.1"


def test_info_refuses_other_files(erased, tmp_path):
    from safetensors.torch import save_file

    assert "there is no file" in fails(call("info", tmp_path / "missing"))
    assert "cannot read" in fails(call("info", tmp_path))
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"PK\x03\x04" + bytes(100))
    assert "not a safetensors file" in fails(call("info", other))
    other.write_bytes(b"")
    assert "not a safetensors file" in fails(call("info", other))
    other.write_bytes(erased.read_bytes()[:100])
    assert "not a safetensors file" in fails(call("info", other))
    save_file({"a": torch.zeros(1)}, other)
    assert "no erasure of trace_erasure" in fails(call("info", other))


def test_ls(monkeypatch, tmp_path):
    said = {what: call("ls", what) for what in ("concepts", "families", "objectives")}
    assert all(result.exit_code == 0 for result in said.values())
    assert "Mira Solberg" in said["concepts"].stdout and "neon" in said["concepts"].stdout
    assert "StableDiffusionPipeline" in said["families"].stdout
    assert "anchor" in said["objectives"].stdout and "margin" in said["objectives"].stdout
    monkeypatch.setattr("trace_erasure.pipeline.shipped.path", lambda name: tmp_path / name)
    assert "emoji-sd" in call("ls", "models").stdout
    assert call("ls", "colours").exit_code == 2


def test_validate_writes_out_every_default(spec, tmp_path):
    result = call("validate", spec)
    assert result.exit_code == 0, result.output
    again = tmp_path / "again.yaml"
    again.write_text(result.stdout, "utf-8")
    assert load_config(again) == load_config(spec)
    assert "early: 0.5" in result.stdout
    spec.write_text("model: a\nconcept: [fox]\n", "utf-8")
    assert "unknown key 'concept'; the nearest is 'concepts'" in fails(call("validate", spec))
