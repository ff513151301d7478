"""What is kept on disk between runs: found again for the same model alone, and only undamaged."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from support.artifacts import lora_on_text_encoder
from support.cli import call, fails
from trace_erasure import Concept, EraseConfig, Erasure, erase
from trace_erasure.concepts.prediction_similarity import prediction_sketches
from trace_erasure.concepts.second_moment import second_moment
from trace_erasure.errors import InputError, NonFiniteError
from trace_erasure.pipeline.content_digest import network_digest, text_digest
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.fingerprint import fingerprint
from trace_erasure.testing import CAPTIONS, tiny_flux, tiny_sd3, tiny_sdxl, tiny_stable_diffusion
from trace_erasure.trace.erase_each import erase_each
from trace_erasure.utils import cache
from trace_erasure.utils.cache import cached, kept, key_of

PROMPTS = ["a fox", "a dog"]
VALUE = torch.arange(6.0).reshape(2, 3)
FAMILIES = (tiny_stable_diffusion, tiny_sdxl, tiny_sd3, tiny_flux)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "trace-erasure"


def value(key: str = "", make=lambda: VALUE) -> torch.Tensor:
    return cached("value", key_of(__name__, key), (2, 3), make)


def absent() -> torch.Tensor:
    raise AssertionError("made again")


def encoder_weight(pipe) -> torch.Tensor:
    return pipe.text_encoder.get_input_embeddings().weight


# Keys -------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", FAMILIES)
def test_one_weight_of_a_text_encoder_changes_the_key(make):
    pipe = make()
    found = [text_digest(pipe)]
    names = [name for name in pipe.components if name.startswith("text_encoder")]
    for name in names:
        *_, last = getattr(pipe, name).parameters()
        before = last.detach().clone()
        with torch.no_grad():
            last.view(-1)[-1] += 1e-3
        found.append(text_digest(pipe))
        with torch.no_grad():
            last.copy_(before)
    assert len(set(found)) == len(found) == 1 + len(names)
    assert text_digest(pipe) == text_digest(make()) == found[0]


def test_embeddings_of_words_that_no_probe_reads_change_sigma(folder):
    """The old key was of the empty prompt and of the first caption alone."""
    pipe = tiny_stable_diffusion()
    first = second_moment(Denoiser(pipe), CAPTIONS)
    rare = pipe.tokenizer.convert_tokens_to_ids("horse</w>")
    assert rare not in pipe.tokenizer(["", CAPTIONS[0]]).input_ids[1]
    with torch.no_grad():
        encoder_weight(pipe)[rare] += 1
    second = second_moment(Denoiser(pipe), CAPTIONS)
    assert not torch.equal(first, second) and len(kept()) == 2
    again = cache.clear(kept()), second_moment(Denoiser(pipe), CAPTIONS)
    assert torch.equal(again[1], second)


def test_what_changes_the_key_of_texts():
    found = []
    for change in (
        lambda pipe: None,
        lambda pipe: setattr(pipe.tokenizer, "model_max_length", 9),
        lambda pipe: pipe.tokenizer.add_tokens(["<new>"]),
        lambda pipe: setattr(pipe.text_encoder.config, "hidden_act", "relu"),
        lambda pipe: pipe.text_encoder.to(torch.float64),
        lora_on_text_encoder,
    ):
        pipe = tiny_stable_diffusion()
        change(pipe)
        found.append(text_digest(pipe))
    assert len(set(found)) == len(found)


def test_a_call_of_the_tokenizer_changes_nothing():
    pipe = tiny_stable_diffusion()
    before = text_digest(pipe)
    pipe.tokenizer(["a fox"], padding="max_length", max_length=7, truncation=True)
    assert text_digest(pipe) == before


def test_what_changes_the_key_of_predictions_and_what_does_not(folder):
    pipe = tiny_stable_diffusion()
    first, _ = prediction_sketches(Denoiser(pipe), PROMPTS)
    erasure = erase(pipe, Concept("fox", surrogate="dog"), captions=CAPTIONS)
    cache.clear(kept())
    digest = network_digest(pipe)
    prediction_sketches(Denoiser(pipe), PROMPTS)
    with erasure.attach(pipe):  # adapters are off while sketches are made
        assert network_digest(pipe) == digest
        attached, _ = prediction_sketches(Denoiser(pipe), PROMPTS)
    assert torch.equal(first, attached) and len(kept()) == 1
    with torch.no_grad():
        next(iter(pipe.vae.parameters())).add_(1)
    assert network_digest(pipe) == digest
    with torch.no_grad():
        pipe.unet.conv_out.bias[-1] += 0.5
    second, _ = prediction_sketches(Denoiser(pipe), PROMPTS)
    assert not torch.equal(first, second) and len(kept()) == 2
    pipe.scheduler.register_to_config(beta_end=0.02)
    assert network_digest(pipe) != digest


def test_captions_and_streams_have_keys_of_their_own():
    denoiser = Denoiser(tiny_flux())
    second_moment(denoiser, CAPTIONS)
    second_moment(denoiser, CAPTIONS[:2])
    second_moment(denoiser, CAPTIONS, "pooled")
    assert len(kept()) == 3


def test_the_code_is_part_of_the_key(tmp_path, monkeypatch):
    (tmp_path / "math").mkdir()
    (tmp_path / "math/__init__.py").write_text("")
    (tmp_path / "own.py").write_text("from trace_erasure.math import (\n    deep,\n)\n")
    (tmp_path / "other.py").write_text("")
    deep = tmp_path / "math/deep.py"
    monkeypatch.setattr(cache, "ROOT", tmp_path)

    def digest() -> str:
        cache.code_digest.cache_clear()
        return cache.code_digest("trace_erasure.own")

    deep.write_text("A = 1")
    before = digest()
    (tmp_path / "other.py").write_text("B = 1")
    assert digest() == before
    deep.write_text("A = 2")
    assert digest() != before
    cache.code_digest.cache_clear()


def test_parts_of_a_key_do_not_run_together():
    assert key_of(__name__, "ab", "c") != key_of(__name__, "a", "bc")
    assert key_of(__name__, "a") != key_of("trace_erasure.concepts.second_moment", "a")


# Damage -----------------------------------------------------------------------------------


def file_of(folder: Path) -> Path:
    value()
    (file,) = folder.iterdir()
    return file


def rewrite(file: Path, **changes) -> None:
    from safetensors import safe_open

    with safe_open(file, "pt") as entries:
        about = entries.metadata()
    save_file({**load_file(file), **changes}, file, about)


DAMAGES = {
    "empty": lambda file: file.write_bytes(b""),
    "cut": lambda file: os.truncate(file, file.stat().st_size - 3),
    "noise": lambda file: file.write_bytes(os.urandom(300)),
    "one bit": lambda file: file.write_bytes(file.read_bytes()[:-1] + b"\x01"),
    "shape": lambda file: rewrite(file, value=torch.zeros(3, 2)),
    "nan": lambda file: rewrite(file, value=torch.full((2, 3), torch.nan)),
    "dtype": lambda file: rewrite(file, value=torch.zeros(2, 3, dtype=torch.float16)),
    "key": lambda file: file.write_bytes(file.read_bytes().replace(b'"key":"', b'"key":"0', 1)),
    "other tensor": lambda file: save_file({"other": VALUE}, file),
    "no checksum": lambda file: save_file({"value": VALUE + 1}, file),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_file_is_made_again(folder, damage, caplog):
    file = file_of(folder)
    damage(file)
    with caplog.at_level(logging.WARNING):
        assert torch.equal(value(), VALUE)
    assert "made again" in caplog.text and str(file.name) in caplog.text
    assert torch.equal(value(make=absent), VALUE)


def test_a_damaged_sigma_gives_the_same_bytes(folder, tmp_path):
    pipe = tiny_stable_diffusion()
    concept = Concept("fox", surrogate="dog")
    first = erase(pipe, concept, captions=CAPTIONS).save(tmp_path / "a").read_bytes()
    for one in kept():
        rewrite(one.file, value=load_file(one.file)["value"] * torch.nan)
    second = erase(pipe, concept, captions=CAPTIONS).save(tmp_path / "b").read_bytes()
    assert first == second


def test_what_is_not_finite_is_not_kept(folder):
    with pytest.raises(NonFiniteError, match="the value of this model is not finite"):
        value(make=lambda: VALUE / 0)
    assert not kept()


# No place ---------------------------------------------------------------------------------


def unwritable(path: Path) -> str:
    path.write_text("a file")
    return str(path)


PLACES = {
    "a file": unwritable,
    "below a file": lambda path: unwritable(path) + "/deep",
    "no place": lambda path: "/proc/none",
    "full": lambda path: "/dev/full",
    "too long": lambda path: str(path / ("x" * 300)),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
def test_without_a_place_the_work_goes_on(place, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("XDG_CACHE_HOME", place(tmp_path / "place"))
    pipe = tiny_stable_diffusion()
    with caplog.at_level(logging.WARNING):
        made = erase(pipe, Concept("fox", surrogate="dog"), captions=CAPTIONS)
    assert made.delta and "XDG_CACHE_HOME" in caplog.text
    assert kept() == []


def test_a_disk_that_fills_up(folder, monkeypatch, caplog):
    def full(tensors, path, metadata=None):
        Path(path).write_bytes(b"half")
        from safetensors import SafetensorError

        raise SafetensorError("Error while serializing: I/O error: No space left on device")

    monkeypatch.setattr(cache, "save_file", full)
    with caplog.at_level(logging.WARNING):
        assert torch.equal(value(), VALUE)
    assert "No space left" in caplog.text and list(folder.iterdir()) == []


def test_no_home_folder(monkeypatch, caplog):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with caplog.at_level(logging.WARNING):
        assert torch.equal(value(), VALUE)
    assert "no home folder" in caplog.text


def test_relative_places_are_ignored(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for place in ("", "here", "./there"):
        monkeypatch.setenv("XDG_CACHE_HOME", place)
        assert cache.cache_folder() == tmp_path / ".cache/trace-erasure"


# The verb ---------------------------------------------------------------------------------


def test_the_verb_shows_and_clears(folder):
    value()
    value("other")
    (folder / ".value-0123456789abcdef01234567.safetensors.12.part").write_bytes(b"half")
    (folder / "mine.txt").write_text("not ours")
    shown = call("cache")
    assert shown.exit_code == 0 and "3 files" in shown.stdout and str(folder) in shown.stdout
    assert "value" in shown.stdout and "killed run" in shown.stdout
    told = json.loads(call("cache", "--json").stdout)
    assert len(told["files"]) == 3 and not told["cleared"]
    assert "Deleted" in call("cache", "--clear").stdout
    assert [file.name for file in folder.iterdir()] == ["mine.txt"]
    assert "0 files" in call("cache").stdout


def test_the_verb_where_nothing_can_be_deleted(folder, monkeypatch):
    value()

    def refuse(self, missing_ok=False):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "unlink", refuse)
    assert "cannot delete" in fails(call("cache", "--clear"))
    with pytest.raises(InputError, match="Permission denied"):
        cache.clear(kept())


def test_an_artifact_of_another_model_is_made_again(tmp_path):
    spec = EraseConfig((Concept("fox", surrogate="dog"),))
    pipe = tiny_stable_diffusion()
    (file,) = erase_each(pipe, spec, tmp_path, CAPTIONS)
    first = file.read_bytes()
    erase_each(pipe, spec, tmp_path, CAPTIONS)
    assert file.read_bytes() == first
    with torch.no_grad():
        encoder_weight(pipe).add_(0.01)
    erase_each(pipe, spec, tmp_path, CAPTIONS)
    assert Erasure.load(file).base == fingerprint(pipe)
