"""Folders and repositories: diffusers finds the file by itself, and nothing else is asked for."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from trace_erasure import Erasure
from trace_erasure.artifact.hub import CARD, WEIGHTS
from trace_erasure.artifact.model_card import CardNotes
from trace_erasure.attacks.budget import Budget
from trace_erasure.attacks.outcomes import Outcome
from trace_erasure.attacks.registry import ATTACKS
from trace_erasure.attacks.results import attack_protocol, empty_row, rows_of, tried
from trace_erasure.errors import InputError
from trace_erasure.testing import tiny_erasure, tiny_stable_diffusion


@pytest.fixture(scope="module")
def made():
    return tiny_erasure()


def draw(pipe) -> torch.Tensor:
    noise = torch.Generator().manual_seed(0)
    return pipe("a fox", num_inference_steps=2, generator=noise, output_type="pt").images


def test_a_folder_comes_back_and_diffusers_loads_it(tmp_path, made):
    pipe, erasure = made
    folder = erasure.save_pretrained(tmp_path / "new" / "folder")
    assert sorted(file.name for file in folder.iterdir()) == [CARD, WEIGHTS]
    assert Erasure.from_pretrained(folder).name == erasure.name
    assert Erasure.from_pretrained(str(folder / WEIGHTS)).name == erasure.name
    with erasure.attach(pipe):
        expected = draw(pipe)
    plain = tiny_stable_diffusion()
    plain.load_lora_weights(folder)
    torch.testing.assert_close(draw(plain), expected, atol=1e-5, rtol=0)


def test_the_card_says_base_concepts_and_figures(tmp_path, made):
    text = (made[1].save_pretrained(tmp_path) / CARD).read_text("utf-8")
    for said in ("library_name: diffusers", "fox", "dog", "StableDiffusionPipeline", "residual"):
        assert said in text


def test_the_card_says_the_verdict_the_attacks_and_the_licence(tmp_path, made):
    text = (made[1].save_pretrained(tmp_path / "bare") / CARD).read_text("utf-8")
    assert f"Verdict: {made[1].verdict.word}" in text
    assert "None was run that this card knows of" in text and "## Licence\n\nNot stated" in text
    notes = CardNotes("user/base", "openrail++", {"typo": 0.25, "p4d": None})
    text = (made[1].save_pretrained(tmp_path / "noted", notes) / CARD).read_text("utf-8")
    front = text.split("---")[1]
    assert 'base_model: "user/base"' in front and 'license: "openrail++"' in front
    assert "| typo | 25% |" in text and "Not run: p4d." in text and "openrail++. The" in text


def test_a_card_names_every_attack_run_or_not():
    like = empty_row("m", "j", attack_protocol("typo", Budget(), [], 2, 1.0, "float32"))
    rows = rows_of({"fox": [Outcome("typo", "erased", "fox", "a", 0, False, 1, 1, "b", {})]},
                   "erased", like)  # fmt: skip
    found = tried(rows, "erased")
    assert found["typo"] == 1.0 and found["p4d"] is None and list(found) == list(ATTACKS)


def test_a_card_holds_no_markup_of_others(tmp_path, made):
    from dataclasses import replace

    title = "<b>x</b>\n[y](javascript:z) \x1b[2J"
    record = made[1].record.model_copy(update={"title": title})
    text = (replace(made[1], record=record).save_pretrained(tmp_path) / CARD).read_text("utf-8")
    assert "\x1b" not in text and "<b>" not in text.replace("\\<", "")
    assert "[y]" not in text.replace("\\[", "")


def test_folders_without_an_erasure(tmp_path):
    with pytest.raises(InputError, match=f"no {WEIGHTS}"):
        Erasure.from_pretrained(tmp_path)
    with pytest.raises(InputError, match="user/name"):
        Erasure.from_pretrained("no such: name/at/all")


def test_a_repository_is_downloaded_by_the_hubs_rules(tmp_path, made, monkeypatch):
    folder, asked = made[1].save_pretrained(tmp_path), {}

    def download(repo, name, **options):
        asked.update(options, repo=repo, name=name)
        return str(folder / name)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    found = Erasure.from_pretrained("user/no-fox", revision="v1", local_files_only=True)
    assert found.name == made[1].name
    assert asked == {
        "repo": "user/no-fox", "name": WEIGHTS, "revision": "v1", "local_files_only": True,
        "token": None,
    }  # fmt: skip


def test_what_is_not_in_the_cache_is_one_error(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=r"'user/no-such-erasure' on the hub.*local folder"):
        Erasure.from_pretrained("user/no-such-erasure", local_files_only=True)


def test_pushing_uploads_the_folder(made, monkeypatch):
    done = {}

    class Api:
        def __init__(self, token=None):
            done["token"] = token

        def create_repo(self, name, **options):
            done.update(options)
            return SimpleNamespace(repo_id=name)

        def upload_folder(self, *, folder_path, **options):
            done.update(options, files=sorted(file.name for file in Path(folder_path).iterdir()))
            return SimpleNamespace(commit_url="https://hub/commit")

    monkeypatch.setattr("huggingface_hub.HfApi", Api)
    url = made[1].push_to_hub("user/no-fox", private=True, token="secret")
    assert url == "https://hub/commit"
    assert done == {
        "token": "secret", "private": True, "exist_ok": True, "repo_id": "user/no-fox",
        "revision": None, "commit_message": "Upload an erasure", "files": [CARD, WEIGHTS],
    }  # fmt: skip


def test_a_refused_push_is_one_error(made, monkeypatch):
    class Api:
        def __init__(self, token=None):
            pass

        def create_repo(self, name, **options):
            raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.HfApi", Api)
    with pytest.raises(InputError, match=r"cannot write to 'user/no-fox'.*no network"):
        made[1].push_to_hub("user/no-fox")
