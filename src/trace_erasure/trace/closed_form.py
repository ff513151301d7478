"""Stage 1: a closed-form edit moves a concept's embeddings to its surrogate's."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from torch import Tensor

from trace_erasure.artifact.certificate import Certificate, StreamCertificate
from trace_erasure.artifact.merge_statistics import StreamStatistics
from trace_erasure.concepts.alignment import Columns
from trace_erasure.concepts.captions import captions_for
from trace_erasure.concepts.concept import ResolvedConcept
from trace_erasure.concepts.stream_columns import stream_columns
from trace_erasure.concepts.templates import held_out_templates
from trace_erasure.config import ClosedFormConfig
from trace_erasure.errors import InputError
from trace_erasure.math.closed_form import Edit
from trace_erasure.math.lowrank import LowRank
from trace_erasure.pipeline.content_digest import text_digest
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.families.family import POOLED
from trace_erasure.trace.certificate import measure_edit
from trace_erasure.trace.hardening_search import search_prompts
from trace_erasure.trace.hardening_typos import caption_words
from trace_erasure.trace.stream_problem import HardeningPrompts, StreamProblem, pose_problem
from trace_erasure.trace.stream_solvers import SOLVERS, StreamSolution, is_exact, solve_equality

INEXACT = 1e-4
"""Residual above which an untruncated solve needs more dimensions than there are."""


log = logging.getLogger("trace_erasure")


@dataclass(frozen=True)
class ClosedFormEdit:
    """The result of stage 1.

    Attributes:
        edits: of each stream's embeddings.
        delta: the change of every map, by module path.
        certificate: figures of what the edits do.
        statistics: for each concept, stream to what a joint solve with other artifacts takes.
        roots: G^½ of each stream's maps, as it was used.
        margins: recovery margins of each hardened stream, before the adversarial rounds and after
            each that was kept.
    """

    edits: dict[str, Edit]
    delta: dict[str, LowRank]
    certificate: Certificate
    statistics: list[dict[str, StreamStatistics]]
    roots: dict[str, Tensor] = field(default_factory=dict, repr=False)
    margins: dict[str, tuple[float, ...]] = field(default_factory=dict)


def closed_form_edit(
    denoiser: Denoiser,
    concepts: Sequence[ResolvedConcept],
    retain: Sequence[str],
    settings: ClosedFormConfig,
    captions: Sequence[str] | None = None,
    hardened: bool = False,
) -> ClosedFormEdit:
    """Solves stage 1 for all ``concepts`` jointly.

    Each stream of text has an edit of its own, which all maps that read the stream share.

    Args:
        concepts: each with its surrogate named.
        retain: prompts to keep, beside the empty one.
        settings: the mode is ``equality`` where it is None.
        captions: ordinary language for Σ; None is the package's list.
        hardened: in equality mode, redirects typos and repetitions of the concept and prompts that
            a search finds for it, and adds adversarial rounds.

    Raises:
        InputError: for an untruncated solve that needs more dimensions than the embedding has, a
            mode that cannot be hardened, or a prompt that the tokenizers cannot place.
    """
    settings = replace(settings, mode=settings.mode or "equality")
    _note_lengths(denoiser, concepts)
    hardening = _hardening_prompts(denoiser, concepts, retain, settings, captions, hardened)
    names = [stream.name for stream in denoiser.family.streams]
    streams = [name for name in names if name != POOLED or settings.pooled]
    edits: dict[str, Edit] = {}
    delta: dict[str, LowRank] = {}
    figures: dict[str, StreamCertificate] = {}
    roots: dict[str, Tensor] = {}
    margins: dict[str, tuple[float, ...]] = {}
    statistics: list[dict[str, StreamStatistics]] = [{} for _ in concepts]
    encoders = text_digest(denoiser.pipe)
    with denoiser.encoded_once():
        for stream in streams:
            problem = pose_problem(
                denoiser, concepts, retain, settings, captions, stream, encoders, hardening
            )
            solution = _solve(problem, settings, hardened)
            exact = settings.directions is None
            held_out = partial(held_out_columns, denoiser, stream=stream, exact=exact)
            unseen = (held_out(concept) for concept in concepts)
            figures[stream] = measure_edit(denoiser, problem, solution.edit, unseen)
            _check_exact(problem, settings, figures[stream])
            edits[stream], roots[stream] = solution.edit, problem.root
            if hardened:
                margins[stream] = solution.margins
            for own, found in zip(statistics, problem.statistics, strict=True):
                own[stream] = found
            for path, layer in denoiser.maps(stream).items():
                change = solution.edit.change(problem.weights[path])
                delta[path] = change.widen(layer.in_features)
    pooled = "none" if POOLED not in names else "edited" if POOLED in edits else "open"
    certificate = Certificate.over(figures, pooled)
    return ClosedFormEdit(edits, delta, certificate, statistics, roots, margins)


def _note_lengths(denoiser: Denoiser, concepts: Sequence[ResolvedConcept]) -> None:
    """Warns of surrogates of another length, where the network tells how long a prompt is."""
    if denoiser.family.padding == "heard":
        return
    for concept in concepts:
        pair = (concept.phrases[0], concept.surrogate)
        for tokenizer, _ in denoiser.segments():
            own, other = (len(tokenizer(f"a {phrase}").input_ids) for phrase in pair)
            if own != other:
                log.warning(
                    "%r and %r differ by %d tokens, which a %s network sees: the redirect is near, "
                    "not exact. A surrogate of as many tokens makes it exact.",
                    *pair, abs(own - other), denoiser.family.name,
                )  # fmt: skip


def held_out_columns(
    denoiser: Denoiser, concept: ResolvedConcept, stream: str, exact: bool = False
) -> Columns:
    """Columns of ``concept`` in templates that no solve sees."""
    combined = concept.only_with is not None
    templates = held_out_templates(concept.kind, bool(denoiser.shipped), combined)
    return stream_columns(denoiser, concept, stream, concept.fit(templates), exact=exact).moved


def _solve(problem: StreamProblem, settings: ClosedFormConfig, hardened: bool) -> StreamSolution:
    if hardened:
        return solve_equality(problem, settings, hardened=True)
    return SOLVERS[settings.mode or "equality"](problem, settings)


def _hardening_prompts(
    denoiser: Denoiser,
    concepts: Sequence[ResolvedConcept],
    retain: Sequence[str],
    settings: ClosedFormConfig,
    captions: Sequence[str] | None,
    hardened: bool,
) -> HardeningPrompts | None:
    if not hardened:
        return None
    if settings.mode != "equality":
        raise InputError(
            f"closed_form.mode is {settings.mode!r}, and only 'equality' can be hardened. "
            "Choose it, or set hardening to 'off'."
        )
    words = caption_words([*captions_for(denoiser, captions), *retain])
    return HardeningPrompts(words, [search_prompts(denoiser, concept) for concept in concepts])


def _check_exact(
    problem: StreamProblem, settings: ClosedFormConfig, figures: StreamCertificate
) -> None:
    residual = figures.residual_listed
    if is_exact(settings) and residual > INEXACT:
        raise InputError(
            f"an exact edit of these prompts needs more than all {len(problem.second_moment)} "
            f"dimensions of the embedding ({problem.stream}, residual {residual:.2g}). List fewer "
            "templates, synonyms or retained prompts, or set closed_form.directions to a small "
            "number."
        )
