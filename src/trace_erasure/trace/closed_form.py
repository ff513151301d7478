"""Stage 1: redirects a concept's embeddings to its surrogate's, in closed form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from trace_erasure.artifact.certificate import Certificate, StreamCertificate
from trace_erasure.artifact.merge_statistics import StreamStatistics
from trace_erasure.concepts.alignment import (
    Columns,
    StreamColumns,
    join,
    keep_columns,
    stream_columns,
)
from trace_erasure.concepts.captions import captions_or_broad
from trace_erasure.concepts.concept import Concept
from trace_erasure.concepts.second_moment import second_moment
from trace_erasure.config import ClosedFormConfig
from trace_erasure.errors import InputError
from trace_erasure.math import closed_form as algebra
from trace_erasure.math import edit_metrics, subspaces
from trace_erasure.math.adversarial_rounds import Hardening, harden
from trace_erasure.math.column_pairs import concatenated
from trace_erasure.math.lowrank import LowRank
from trace_erasure.math.weighted_ridge import ORDINARY, PENALTY, reweighted
from trace_erasure.pipeline.denoiser import EMPTY, Denoiser
from trace_erasure.pipeline.families.family import POOLED
from trace_erasure.trace.certificate import certify
from trace_erasure.trace.gather_statistics import HALVES, names_of, part_of, rest_of
from trace_erasure.trace.hardening_search import echo_columns, echoes
from trace_erasure.trace.hardening_typos import careless, spoken_words

# Wordings that the solve never sees, to measure how far the redirect carries.
HELD_OUT = {
    "object": (
        "this is a {x}",
        "a {x} next to a house",
        "a drawing of a {x} on a green background",
    ),
    "style": ("a bird in {x} style", "a {x} style picture of a boat"),
    "identity": ("this is {x}", "an image of {x} on a green background"),
}
HELD_OUT["explicit"] = HELD_OUT["object"]
HELD_OUT_TOGETHER = {
    "object": ("this is a {y} and a {x}", "an image of a {x} next to a {y}"),
    "style": ("a drawing of a {y}, {x} style", "a {y} in {x} style on a green background"),
    "identity": ("this is {x} and a {y}", "a drawing of a {y} next to {x}"),
}
HELD_OUT_TOGETHER["explicit"] = HELD_OUT_TOGETHER["object"]

ROUNDS = 8
"""Most adversarial rounds of a hardened solve."""
ADDED = 2
"""Directions that a round redirects, for each population of tokens."""
ADVERSARIAL_DIRECTIONS = 4
"""Directions that are redirected of what a search found, for each population of tokens."""
INEXACT = 1e-4
"""Residual above which an untruncated solve has plainly run out of dimensions."""


@dataclass(frozen=True)
class Redirect:
    """The edit of each stream's embeddings, the change of every map, and the certificate.

    ``parts`` are what a joint solve needs of each concept, by stream. ``margins`` are each hardened
    stream's recovery margins, before and after every round kept.
    """

    edits: dict[str, algebra.Edit]
    delta: dict[str, LowRank]
    certificate: Certificate
    parts: list[dict[str, StreamStatistics]]
    margins: dict[str, list[float]] = field(default_factory=dict)


def redirect(
    denoiser: Denoiser,
    concepts: Sequence[Concept],
    retain: Sequence[str],
    settings: ClosedFormConfig,
    captions: Sequence[str] | None = None,
    hardened: bool = False,
) -> Redirect:
    """Solves stage 1 for all ``concepts`` jointly; every concept names its surrogate.

    Every stream of text has an edit of its own, which all maps that read it share.

    Args:
        retain: prompts to hold, beside the empty one.
        settings: without a mode, they are an equality's.
        captions: ordinary language for Σ; default: the package's.
        hardened: in equality mode, also what leads in the concept mistyped and repeated (see
            ``careless``) and said without its name (``echoes``), and adversarial rounds until the
            recovery margin stops rising (``math.adversarial_rounds``).

    Raises:
        InputError: for an untruncated solve that needs more dimensions than the embedding has, or
            a prompt that the tokenizers cannot place.
    """
    edits: dict[str, algebra.Edit] = {}
    delta: dict[str, LowRank] = {}
    figures: dict[str, StreamCertificate] = {}
    parts: list[dict[str, StreamStatistics]] = [{} for _ in concepts]
    margins: dict[str, list[float]] = {}
    settings = replace(settings, mode=settings.mode or "equality")
    if hardened and settings.mode != "equality":
        raise InputError(
            f"closed_form.mode is {settings.mode!r}, and only 'equality' can be hardened. "
            "Choose it, or set hardening to 'off'."
        )
    words = spoken_words([*captions_or_broad(captions), *retain]) if hardened else set()
    heard = [echoes(denoiser, concept) for concept in concepts] if hardened else []
    names = [stream.name for stream in denoiser.family.streams]
    for stream in names:
        if stream == POOLED and not settings.pooled:
            continue
        sigma = algebra.regularised(second_moment(denoiser, captions, stream), settings.ridge)
        maps = denoiser.maps(stream)
        weights = denoiser.weights(stream, len(sigma))
        root = subspaces.gram_root(list(weights.values()))
        found = [stream_columns(denoiser, concept, stream) for concept in concepts]
        if hardened:
            found = [
                replace(
                    own,
                    described=(*own.described, *careless(denoiser, concept, words, stream)),
                    adversarial=echo_columns(denoiser, concept, said, stream),
                )
                for own, concept, said in zip(found, concepts, heard, strict=True)
            ]
        # An exact solve has to stay exact among others, so it carries all of its columns.
        exact = settings.directions is None
        for part, own in zip(parts, found, strict=True):
            part[stream] = part_of(denoiser, own, retain, stream, root, exact)
        compact = [part[stream] for part in parts]
        known: Mapping[str, Tensor] = {}
        if settings.mode != "equality":
            spoken = captions_or_broad(captions)
            known = names_of(denoiser, concepts, spoken, stream, root)
        edit, moved, held, redirected = _solve(
            denoiser, stream, found, compact, retain, known, settings, sigma, root
        )
        if hardened:
            edit, margins[stream] = harden(
                edit,
                Hardening(moved.concept, moved.surrogate, held, sigma, root, moved.weights.sqrt()),
                redirected=redirected,
                rounds=ROUNDS,
                added=ADDED * len(denoiser.populations(stream)),
            )
        held_out = join([unseen(denoiser, concept, stream) for concept in concepts])
        figures[stream] = certify(denoiser, edit, moved, held_out, retain, sigma, root, stream)
        residual = figures[stream].residual_listed
        if _exact(settings) and residual > INEXACT:
            raise InputError(
                f"an exact edit of these prompts needs more than all {len(sigma)} dimensions of "
                f"the embedding ({stream}, residual {residual:.2g}). List fewer templates, "
                "synonyms or retained prompts, or set closed_form.directions to a small number."
            )
        edits[stream] = edit
        for path, weight in weights.items():
            delta[path] = edit.change(weight).widen(maps[path].in_features)
    state = "none" if POOLED not in names else "edited" if POOLED in edits else "open"
    return Redirect(edits, delta, Certificate.over(figures, state), parts, margins)


def _exact(settings: ClosedFormConfig) -> bool:
    """Whether the solve is untruncated, with no compromise but rounding."""
    return settings.mode == "equality" and settings.directions is None


def _leading(
    parts: Sequence[StreamColumns], root: Tensor, directions: int | None, populations: int
) -> tuple[Tensor, Tensor, float]:
    """C and S of the combinations that an equality redirects, and the most energy that is left
    out of any concept."""
    each = directions
    if each is not None:
        each = max(1, each // len(parts)) * populations
    # Ordinary words stand in a description, so that only what leads in it may move.
    chosen = [(part.moved, each) for part in parts]
    chosen += [(found, populations) for part in parts for found in part.described]
    count = ADVERSARIAL_DIRECTIONS * populations
    chosen += [(found, count) for part in parts for found in part.adversarial]
    pairs = [
        algebra.leading_pairs(found.concept, found.surrogate, root, count, found.weights.sqrt())
        for found, count in chosen
    ]
    c = torch.cat([own for own, _, _ in pairs], dim=1)
    s = torch.cat([other for _, other, _ in pairs], dim=1)
    return c, s, max(pair[2] for pair in pairs[: len(parts)])


def _solve(
    denoiser: Denoiser,
    stream: str,
    parts: Sequence[StreamColumns],
    compact: Sequence[StreamStatistics],
    retain: Sequence[str],
    known: Mapping[str, Tensor],
    settings: ClosedFormConfig,
    sigma: Tensor,
    root: Tensor,
) -> tuple[algebra.Edit, Columns, Tensor, tuple[Tensor, Tensor]]:
    """The edit of one stream, the columns that it is for, those that it holds, and the
    combinations of columns that it redirects, with where they go."""
    moved = join([part.moved for part in parts])
    # The empty prompt and the words before the concept must stay for the redirect to be exact.
    empty = keep_columns(denoiser, [EMPTY], stream)
    always = torch.cat([empty, *(part.before for part in parts)], dim=1)
    halves = [subspaces.leading_columns(part.single_mention, root, HALVES) for part in parts]
    retained = keep_columns(denoiser, retain, stream) if retain else always[:, :0]
    populations = len(denoiser.populations(stream))
    keep = settings.keep * populations
    if _exact(settings):
        held = torch.cat([always, subspaces.leading_columns(retained, root, keep), *halves], dim=1)
    else:
        general = subspaces.leading_columns(torch.cat([always, retained], dim=1), root, keep)
        held = torch.cat([general, *halves], dim=1)
    if settings.mode == "equality":
        c, s, discarded = _leading(parts, root, settings.directions, populations)
        edit = replace(algebra.equality(c, s, held, sigma, root), discarded=discarded)
    else:
        own = [(part.pairs, *part.described) for part in compact]
        pairs, prior = reweighted(own, rest_of(compact, empty, known), sigma, root)
        c, s = concatenated(pairs)
        edit = algebra.ridge(
            c,
            s,
            prior,
            penalty=PENALTY,
            preserve=ORDINARY,
            root=root,
            directions=settings.directions and settings.directions * len(parts) * populations,
        )
        if settings.mode == "null_space":
            edit = algebra.null_space(edit, held)
    return edit, moved, held, (c, s)


def unseen(denoiser: Denoiser, concept: Concept, stream: str) -> Columns:
    """Columns of ``concept`` in wordings that no solve sees."""
    wordings = HELD_OUT if concept.only_with is None else HELD_OUT_TOGETHER
    return stream_columns(denoiser, concept, stream, concept.fit(wordings[concept.kind])).moved


def forecast(
    denoiser: Denoiser, edits: Mapping[str, algebra.Edit], prompts: Sequence[str]
) -> dict[str, float]:
    """Relative change ‖ΔW E‖ / ‖W E‖ of each prompt over all its positions, largest first.

    ``edits`` are those of a ``Redirect``; of several streams the one that changes most counts.
    """
    changes = dict.fromkeys(prompts, 0.0)
    for stream, edit in edits.items():
        maps_gram = subspaces.gram(denoiser.weights(stream, len(edit.shift)).values())
        parts = denoiser.embeddings(prompts, stream)
        for prompt, positions in zip(prompts, torch.cat(parts, dim=1), strict=True):
            columns = positions.mT
            change = edit_metrics.output_norm(edit.shift @ (edit.read @ columns), maps_gram).norm()
            relative = float(change / edit_metrics.output_norm(columns, maps_gram).norm())
            changes[prompt] = max(changes[prompt], relative)
    return dict(sorted(changes.items(), key=lambda item: -item[1]))
