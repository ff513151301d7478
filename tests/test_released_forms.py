"""Baselines in the forms that their authors released, against dense code from the formulas."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from trace_erasure.baselines import speed as speed_module
from trace_erasure.baselines.base import BaselineContext
from trace_erasure.baselines.closed_form_common import subject_tails
from trace_erasure.baselines.rece import RECE
from trace_erasure.baselines.speed import SPEED
from trace_erasure.baselines.uce import UCE
from trace_erasure.concepts.concept import Concept
from trace_erasure.config import EraseConfig
from trace_erasure.errors import InputError
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.families.family import TOKENS
from trace_erasure.testing import tiny_flux, tiny_stable_diffusion
from trace_erasure.trace.request import resolve

CAPTIONS = tuple(f"a picture of a {word}" for word in ("dog", "tree", "house", "boat", "fox"))
ROUNDED: dict[str, Any] = dict(atol=1e-6, rtol=1e-6)
"""Factors longer than a map is wide are decomposed anew, to the precision of float32."""
CONCEPT = Concept("red fox", surrogate="horse", synonyms=("vixen",), templates=("{x}", "a {x} now"))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def context_for(pipe) -> BaselineContext:
    denoiser = Denoiser(pipe)
    denoiser.network.requires_grad_(False)
    planned = resolve(denoiser, EraseConfig((CONCEPT,)), CAPTIONS)
    return BaselineContext(denoiser, planned, CAPTIONS, 0, None)


def rows_of(context: BaselineContext, prompt: str) -> torch.Tensor:
    """All positions of one prompt, (positions, d)."""
    return context.denoiser.embeddings([prompt])[0][0]


def last_of(context: BaselineContext, prompt: str) -> int:
    """Position of the last token before the end token."""
    return len(context.denoiser.pipe.tokenizer(prompt).input_ids) - 2


def released_problem(context: BaselineContext, guide: str):
    """Keys, values' inputs and retained keys as the code of 2023 has them, one row a token."""
    keys, values = [], []
    for phrase in context.concepts[0].phrases:
        old, new = last_of(context, phrase), last_of(context, guide) if guide else 0
        farthest = max(old, new)
        rows, others = rows_of(context, phrase), rows_of(context, guide)
        keys.append(rows[old : len(rows) - (farthest - old)])
        values.append(others[new : len(others) - (farthest - new)])
    kept = torch.cat([rows_of(context, text) for text in ("", *context.request.retain)])
    return torch.cat(keys), torch.cat(values), kept


def released_solution(w, keys, values, kept, erase, preserve, penalty):
    """W′ = mat1 mat2⁻¹, the sums taken token by token as the released code does."""
    eye = torch.eye(w.shape[1], dtype=w.dtype)
    mat1, mat2 = penalty * w, penalty * eye
    for key, value in zip(keys, values, strict=True):
        mat1 = mat1 + erase * torch.outer(w @ value, key)
        mat2 = mat2 + erase * torch.outer(key, key)
    for key in kept:
        mat1 = mat1 + preserve * torch.outer(w @ key, key)
        mat2 = mat2 + preserve * torch.outer(key, key)
    return mat1 @ torch.linalg.inv(mat2)


@pytest.mark.parametrize("guide", ["", None])
def test_uce_of_all_tokens_is_the_released_solution(guide):
    context = context_for(tiny_stable_diffusion())
    word = "horse" if guide is None else guide
    method = UCE(guide=guide, columns="tail", preserve_scale=0.1, penalty=0.5)
    found = method.solve(context).closed_form
    keys, values, kept = released_problem(context, word)
    penalty = 0.5 * kept.square().mean()
    maps = context.denoiser.maps()
    assert found.keys() == maps.keys()
    for path, layer in maps.items():
        w = layer.weight.double()
        dense = released_solution(w, keys, values, kept, 1.0, 0.1, penalty)
        torch.testing.assert_close(w + found[path].dense(), dense, **ROUNDED)
    with pytest.raises(InputError, match="columns is 'every'; allowed: last, tail"):
        UCE(columns="every")


def test_rece_of_objects_is_the_released_round():
    """One round over all maps jointly, with all columns of the retained prompts held."""
    context = context_for(tiny_stable_diffusion())
    method = RECE(rounds=1, penalty=0.1, retained="all", attack=0.1)
    found = method.solve(context).closed_form
    keys, values, kept = released_problem(context, "")
    penalty = 0.1 * kept.square().mean()
    old = {path: layer.weight.double() for path, layer in context.denoiser.maps().items()}
    first = {
        path: released_solution(w, keys, values, kept, 1.0, 0.1, penalty) for path, w in old.items()
    }
    eye = torch.eye(keys.shape[1], dtype=keys.dtype)
    left = torch.stack([w.mT @ w for w in first.values()]).sum(0) + 0.1 * eye
    right = torch.stack([first[path].mT @ old[path] for path in old]).sum(0)
    regained = torch.stack([torch.linalg.inv(left) @ right @ key for key in keys])
    for path, w in first.items():
        dense = released_solution(w, regained, values, kept, 1.0, 0.1, penalty)
        now = old[path] + found[path].dense()
        torch.testing.assert_close(now, dense, **ROUNDED)
    with pytest.raises(InputError, match="retained is 'none'; allowed: last, all"):
        RECE(retained="none")


def test_speed_takes_the_mean_over_phrases_where_asked(monkeypatch):
    context = context_for(tiny_stable_diffusion())
    seen, real = [], speed_module.speed_edit

    def spy(concept, target, *rest):
        seen.append((concept, target))
        return real(concept, target, *rest)

    monkeypatch.setattr(speed_module, "speed_edit", spy)
    SPEED(guide=None, average=True, copies=1).solve(context)
    phrases = context.concepts[0].phrases
    assert len(phrases) > 1
    own = torch.stack([rows_of(context, text)[last_of(context, text)] for text in phrases])
    (concept, target), *_ = seen
    torch.testing.assert_close(concept[:, 0], own.mean(0), atol=1e-12, rtol=1e-12)
    horse = rows_of(context, "horse")[last_of(context, "horse")]
    torch.testing.assert_close(target[:, 0], horse, atol=1e-12, rtol=1e-12)
    assert concept.shape[1] == 1


@pytest.mark.parametrize("build", [tiny_stable_diffusion, lambda: tiny_flux(positions=24)])
def test_a_tail_begins_at_the_phrase_and_not_at_the_sentence_s_last_word(build):
    context = context_for(build())
    own, others = subject_tails(context, TOKENS, None, templates=True)
    assert own.shape == others.shape
    prompt = "a red fox now"
    tokenizer, _ = context.denoiser.segments(TOKENS)[0]
    spans = tokenizer(prompt, return_offsets_mapping=True)["offset_mapping"]
    start = next(i for i, (a, b) in enumerate(spans) if b == len("a red fox") and b > a)
    rows = rows_of(context, prompt)
    columns = {tuple(column.tolist()) for column in own.mT}
    assert tuple(rows[start].tolist()) in columns
    assert tuple(rows[start - 1].tolist()) not in columns
