"""Which ordinary captions a model gets, and that the record says so."""

from __future__ import annotations

import hashlib
import re

import pytest

from trace_erasure import Concept, erase, load_pipeline
from trace_erasure.artifact.record import TraceRecord
from trace_erasure.concepts.candidates import caption_names
from trace_erasure.concepts.caption_source import GIVEN, PHOTOS, WORLD
from trace_erasure.concepts.captions import (
    caption_source,
    captions_for,
    photo_captions,
    world_captions,
)
from trace_erasure.concepts.kinds import kind_of
from trace_erasure.concepts.resolve import resolve_concepts
from trace_erasure.concepts.templates import PHOTO_TEMPLATES, TEMPLATES
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.testing import CAPTIONS, tiny_stable_diffusion


@pytest.mark.parametrize("model", ["emoji-sd", "emoji-flux"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_shipped_models_get_the_captions_of_their_world(model, dtype):
    denoiser = Denoiser(load_pipeline(model, dtype=dtype))
    assert denoiser.shipped and captions_for(denoiser) == world_captions()
    assert captions_for(denoiser, ["a cat"]) == ("a cat",)


def test_a_shipped_model_with_something_baked_in_or_learnt_stays_one():
    pipe = load_pipeline("emoji-sd")
    erase(pipe, Concept("fox", surrogate="cat")).bake(pipe)
    table = pipe.text_encoder.get_input_embeddings().weight.detach()
    pipe.load_textual_inversion(table[300:301].clone(), token="<t>")
    assert Denoiser(pipe).shipped


def test_other_models_get_photographs():
    denoiser = Denoiser(tiny_stable_diffusion())
    assert not denoiser.shipped and captions_for(denoiser) == photo_captions()


def test_captions_of_photographs_name_things_of_every_kind_and_nobody_unknown():
    texts = photo_captions()
    assert len(set(texts)) == len(texts) == 3000 and max(map(len, texts)) < 120
    assert len(caption_names(texts, "object")) > 200 and len(caption_names(texts, "style")) > 40
    people = [name for name in caption_names(texts, "identity") if not name.startswith("van ")]
    assert len(people) > 30 and {kind_of(name) for name in people} == {"identity"}
    assert not [text for text in texts if re.search(r"[.!]$|  ", text)]


def test_sentences_of_the_embedded_world_are_for_shipped_models_alone():
    cat = Concept("cat", surrogate="dog")
    shipped = resolve_concepts(Denoiser(load_pipeline("emoji-sd")), [cat], ("a fox",))
    other = resolve_concepts(Denoiser(tiny_stable_diffusion()), [cat], ("a fox",))
    assert shipped.concepts[0].sentences == TEMPLATES["object"]
    assert other.concepts[0].sentences == PHOTO_TEMPLATES["object"]


def test_the_record_says_which_captions_were_used():
    given = erase(tiny_stable_diffusion(), Concept("fox", surrogate="dog"), captions=CAPTIONS)
    assert isinstance(given.record, TraceRecord)
    digest = hashlib.sha256("\n".join(CAPTIONS).encode()).hexdigest()
    assert given.record.captions == {"list": GIVEN, "count": len(CAPTIONS), "sha256": digest}
    assert caption_source(world_captions())["list"] == WORLD
    assert caption_source(photo_captions())["list"] == PHOTOS
