"""Sentences that captions lend to a concept."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from trace_erasure import ClosedFormConfig, Concept
from trace_erasure.concepts.concept import fill_template
from trace_erasure.concepts.context_templates import caption_templates
from trace_erasure.concepts.templates import TEMPLATES
from trace_erasure.config import EraseConfig
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.loading import load_pipeline
from trace_erasure.testing import tiny_flux, tiny_sd3, tiny_sdxl, tiny_stable_diffusion
from trace_erasure.trace.erase import erase
from trace_erasure.trace.request import resolve, with_mode

CAPTIONS = (
    "a cat, neon style",
    "an owl, neon style",
    "a drawing of an owl on a red background",
    "a cat and an owl",
    "a cat next to a cat",
)


def test_a_caption_that_names_one_thing_once_lends_its_sentence():
    found = caption_templates(CAPTIONS, "object", 10)
    assert found == ("a {x}, neon style", "a drawing of a {x} on a red background")
    assert fill_template(found[0], "apple") == "an apple, neon style"
    assert caption_templates(CAPTIONS, "object", 1) == found[:1]
    assert caption_templates((), "object") == ()
    assert caption_templates(("a cat, neon style",), "style") == ("a cat, {x} style",)


@pytest.mark.slow
def test_only_a_compromise_takes_sentences_from_captions_and_none_with_what_is_erased():
    denoiser = Denoiser(load_pipeline("emoji-sd"))
    concepts = Concept("fox", "duck"), Concept("neon", "ink", "style")
    of = {
        mode: resolve(denoiser, EraseConfig(concepts, ClosedFormConfig(mode=mode))).spec.concepts[0]
        for mode in ("equality", "ridge")
    }
    assert of["equality"].templates == ()
    sentences = of["ridge"].sentences
    assert sentences[: len(TEMPLATES["object"])] == TEMPLATES["object"]
    assert len(sentences) > 30 and len(set(sentences)) == len(sentences)
    assert not any("neon" in sentence for sentence in sentences)
    own = Concept("fox", "duck", templates=("a {x}",))
    kept = resolve(denoiser, EraseConfig((own,), ClosedFormConfig(mode="ridge"))).spec.concepts[0]
    assert kept.templates == ("a {x}",)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["car", "house"])
def test_a_compromise_in_context_carries_further_than_an_equality_where_words_see_each_other(name):
    """T5 reads both ways, so that a style's words hold the thing that is drawn in it."""
    pipe = load_pipeline("emoji-flux")
    denoiser = Denoiser(pipe)
    states, level = denoiser.initial_states(range(4)), torch.tensor(900.0)

    def predicted(thing: str | None) -> torch.Tensor:
        styles = ("neon", "ink", "watercolor")
        parts = [denoiser.encode([f"a {thing}, {style} style"] * 4) for style in styles]
        with torch.no_grad():
            return torch.stack([denoiser.predict(states, level, part, 3.5) for part in parts])

    before, missed, ranks = predicted(name), {}, {}
    for mode in ("equality", None):  # None is this family's own
        erasure = erase(pipe, name, closed_form=ClosedFormConfig(mode=mode))
        goal = predicted(erasure.record.concepts[0].surrogate)
        with erasure.attach(pipe):
            missed[mode] = float((predicted(name) - goal).norm() / (before - goal).norm())
        ranks[mode] = max(change.rank for change in erasure.closed_form.values())
    record: Any = erasure.record
    assert record.spec.closed_form.mode == "ridge"
    assert missed[None] < missed["equality"]
    assert ranks[None] <= ranks["equality"] == 9  # eight, and one of the name spelled out


@pytest.mark.parametrize("build", [tiny_stable_diffusion, tiny_sdxl, tiny_sd3, tiny_flux])
def test_a_compromise_is_the_default_where_an_encoder_reads_both_ways(build):
    pipe = build()
    denoiser = Denoiser(pipe)

    def mode(*concepts: Concept, hardening: str = "off", **changes) -> str | None:
        spec = EraseConfig(concepts, ClosedFormConfig(**changes), hardening=hardening)
        return with_mode(ClosedFormConfig(**changes), spec, denoiser).mode

    fox = Concept("fox", "dog")
    bidirectional = "transformer" in pipe.components  # of these, the two with T5
    assert mode(fox) == ("ridge" if bidirectional else "equality")
    # What is promised exactly is an equality everywhere.
    assert mode(fox, directions=None) == mode(fox, hardening="closed_form") == "equality"
    assert mode(Concept("fox", "dog", only_with="horse")) == mode(fox)
    assert mode(fox, mode="null_space") == "null_space"
    # And a compromise is left where not one direction each would fit.
    width = denoiser.embeddings([""])[0].shape[-1]
    many = [Concept(f"fox {i}", "dog") for i in range(width)]
    assert mode(*many) == "ridge" and mode(*many, mode="equality") == "equality"
