"""The shapes of published models, as the benchmarks build them: no weights, no measurements."""

from __future__ import annotations

import pytest

from benchmarks.scale import closed_form, family_shapes, shapes
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.families.registry import FAMILIES
from trace_erasure.testing.families import tiny

MAPS = {
    "sd15": {"tokens": (32, 768)},
    "sdxl": {"tokens": (140, 2048), "pooled": (1, 2816)},
    "sd3-medium": {"tokens": (1, 4096), "pooled": (1, 2048)},
    "flux-dev": {"tokens": (1, 4096), "pooled": (1, 768)},
}
POSITIONS = {"sd15": [77], "sdxl": [77], "sd3-medium": [77, 256], "flux-dev": [512]}


@pytest.mark.parametrize("family", MAPS)
def test_text_enters_by_as_many_maps_of_the_width_that_is_published(family):
    denoiser = Denoiser(shapes.outline(shapes.SIZES[family]))
    for stream, (count, width) in MAPS[family].items():
        maps = denoiser.maps(stream)
        assert len(maps) == count
        assert {layer.in_features for layer in maps.values()} == {width}
    assert [length for _, length in denoiser.segments()] == POSITIONS[family]


OUTPUTS = {
    "flux-2-klein": 3072,
    "flux-2-dev": 6144,
    "z-image": 3840,
    "qwen-image": 3072,
    "chroma": 3072,
    "sana": 2240,
    "pixart-sigma": 1152,
    "lumina-2": 2304,
    "aura-flow": 3072,
    "wan": 5120,
    "kandinsky-5": 2048,
}
"""Of the one layer that reads the tokens."""


@pytest.mark.parametrize("name", family_shapes.SHAPES)
def test_newer_networks_read_tokens_by_one_layer_of_the_published_shape(name):
    shape = family_shapes.SHAPES[name]
    pipe = tiny(shape.family)
    family_shapes.outlined(pipe, shape)
    (layer,) = Denoiser(pipe).maps("tokens").values()
    assert (layer.out_features, layer.in_features) == (OUTPUTS[name], shape.width)


def test_every_family_has_a_true_shape():
    older = {type(shapes.outline(size)).__name__ for size in shapes.SIZES.values()}
    listed = {name for family in FAMILIES for name in family.pipelines if name in older}
    newer = {shape.family for shape in family_shapes.SHAPES.values()}
    named = {family.name for family in FAMILIES if not listed & {*family.pipelines}}
    assert named == newer


def test_what_is_too_large_says_how_much_it_needs(monkeypatch):
    monkeypatch.setattr(closed_form, "in_new_process", None)  # nothing is run
    (row,) = closed_form.rows_of("flux-2-dev", 50)
    assert row.metric == "needed_gib" and row.value > 18
