"""Stage 1 at the true sizes of published models, with random weights: seconds and peak memory.

    python -m benchmarks scale-closed-form [--families sd15 …] [--captions N]

Solves stage 1 for "fox" with the surrogate "cat" and eleven retained prompts, in the family's
default mode and with the sentences that the captions lend to it, by the calls that ``erase`` makes
once words are chosen: the second moment of the captions, columns, solve and
certificate of every stream, the change of every map, and the share for a later merge. The
pipelines are those of ``shapes.py`` and ``family_shapes.py``: of Stable Diffusion 1.5 the whole
network has weights, of the larger ones the text-facing maps alone, which is all that stage 1 reads.
Text encoders have the true width and few thin layers. A model
that would need more than 18 GiB here is left out, and its one row, ``needed_gib``, says how much.

Each case has a process of its own: ``second moment``, with the root of the maps' Gram matrix, which
are kept on disk for the model, then ``stage 1 only``.
Rows: a task a family, metrics ``seconds``, ``cpu_seconds`` (of all threads; what ``seconds`` would
be on one core that nobody else uses), ``encoding`` (those spent in the text encoders),
``loaded_mib`` (what it begins with) and ``peak_mib`` of either, and for ``stage 1 only`` also
``maps``, and both seconds with ``_cold``: with what is kept for the model. The second moment's
price is in proportion to ``--captions``. Rows of other families stay.
"""

from __future__ import annotations

import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from benchmarks.core.meter import in_new_process, metered
from benchmarks.core.rows import replace_rows
from benchmarks.scale import family_shapes, shapes
from benchmarks.scale.encoding import encoding_timed
from benchmarks.scale.family_shapes import GIB, ROOM, SHAPES
from benchmarks.scale.shapes import RANDOM, SIZES
from trace_erasure.concepts.captions import photo_captions
from trace_erasure.concepts.concept import ResolvedConcept, fill_template
from trace_erasure.concepts.context_templates import caption_templates
from trace_erasure.concepts.second_moment import second_moment
from trace_erasure.concepts.templates import TEMPLATES
from trace_erasure.config import ClosedFormConfig, EraseConfig
from trace_erasure.evaluation import Row
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.map_root import map_root
from trace_erasure.trace.closed_form import closed_form_edit
from trace_erasure.trace.request import with_mode

CONCEPT = ResolvedConcept("fox", surrogate="cat")
NEAR = ("dog", "wolf", "horse", "bear", "tiger", "lion", "mouse", "rabbit", "cow", "pig", "bird")
MODELS = (*SIZES, *SHAPES)


def remembered(denoiser: Denoiser, texts: Sequence[str]) -> dict[str, float]:
    """What is kept on disk for the model."""
    with denoiser.encoded_once():
        for stream in denoiser.family.streams:
            map_root(denoiser, stream.name, len(second_moment(denoiser, texts, stream.name)))
    return {}


def solved(denoiser: Denoiser, texts: Sequence[str]) -> dict[str, float]:
    """Stage 1, once words are chosen."""
    retain = [fill_template(TEMPLATES["object"][2], word) for word in NEAR]
    concept = CONCEPT
    settings = with_mode(ClosedFormConfig(), EraseConfig((concept,)), denoiser)
    if settings.mode == "ridge":
        lent = caption_templates(photo_captions(), concept.kind)
        concept = replace(concept, templates=(*concept.sentences, *lent))
    result = closed_form_edit(denoiser, [concept], retain, settings, texts)
    return {"maps": len(result.delta)}


CASES = {"second moment": remembered, "stage 1 only": solved}
MOMENT, STAGE = CASES


def case(family: str, name: str, captions: int) -> dict[str, float]:
    """One case, in this process."""
    listed = family in SIZES
    pipe = shapes.build(SIZES[family]) if listed else family_shapes.build(SHAPES[family])
    denoiser, texts = Denoiser(pipe), photo_captions()[:captions]
    used = time.process_time()
    with encoding_timed() as encoding, metered() as cost:
        found = CASES[name](denoiser, texts)
    return {
        "seconds": cost["seconds"],
        "cpu_seconds": time.process_time() - used,
        "encoding": encoding["cpu_seconds"],
        "loaded_mib": cost["before_mib"],
        "peak_mib": cost["before_mib"] + cost["added_mib"],
        **found,
    }


def measured(family: str, captions: int) -> dict[str, dict[str, float]]:
    """Both cases of one family, or what it would need."""
    if family in SHAPES and (needed := family_shapes.needed(SHAPES[family])) > ROOM:
        return {STAGE: {"needed_gib": needed / GIB}}
    with tempfile.TemporaryDirectory() as cache:
        found = {
            name: in_new_process(case, family, name, captions, XDG_CACHE_HOME=cache)
            for name in CASES
        }
    for metric in ("seconds", "cpu_seconds"):
        found[STAGE][f"{metric}_cold"] = found[MOMENT][metric] + found[STAGE][metric]
    return found


def rows_of(family: str, captions: int) -> list[Row]:
    """The rows of one family."""
    found = measured(family, captions)
    threads = torch.get_num_threads()
    fields: dict[str, Any] = dict(judge="none", numerator=None, n=1, seed=0, concept="fox")
    fields |= dict(low=float("nan"), high=float("nan"), model=RANDOM)
    fields |= dict(protocol=f"threads={threads} captions={captions}")
    return [
        Row(task=family, method=name, metric=metric, value=value, **fields)
        for name, values in found.items()
        for metric, value in values.items()
    ]


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--families", nargs="+", default=[*MODELS], choices=[*MODELS])
    parser.add_argument("--captions", type=int, default=len(photo_captions()))


def run(options: Namespace) -> None:
    for family in options.families:
        found = rows_of(family, options.captions)
        replace_rows(
            "scale-closed-form", RANDOM, found, lambda row, of=family: row.task != of, options.out
        )
        for r in found:
            print(f"{r.task:10} {r.method:13} {r.metric:16} {r.value:8.1f}", flush=True)
