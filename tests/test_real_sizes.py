"""The shapes of published models, as the benchmarks build them: no weights, no measurements."""

from __future__ import annotations

import pytest

from benchmarks.scale import shapes
from trace_erasure.pipeline.denoiser import Denoiser

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
