"""Stage 1: redirects a concept's embeddings to its surrogate's, in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from trace_erasure.columns import Columns, concept_columns, join
from trace_erasure.concept import Concept
from trace_erasure.corpus import second_moment
from trace_erasure.denoiser import EMPTY, Denoiser
from trace_erasure.errors import InputError
from trace_erasure.math import closed_form as algebra
from trace_erasure.math.lowrank import LowRank
from trace_erasure.spec import ClosedForm

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

INEXACT = 1e-4
"""Residual above which an untruncated solve has plainly run out of dimensions."""


@dataclass(frozen=True)
class Certificate:
    """What stage 1 did to the model, in numbers; no image is made for them.

    Attributes:
        residual_listed: ‖W′C − WS‖ / ‖W(C − S)‖ on the prompts of the solve; 0 is exact.
        residual_held_out: the same on wordings that the solve never saw.
        expected_collateral: expected relative squared change of the maps' output on broad captions.
        retained: exact relative change for each retained prompt, worst position.
        empty_prompt: the same for the empty prompt: what guidance subtracts.
        recovery_margin: least distance of any embedding's keys and values from the concept's,
            relative to concept − surrogate; 0 means that some embedding brings the concept back.
        capacity: share of the embedding's dimensions that the constraints use.
        discarded: share of the concept − surrogate energy outside the chosen directions.
        rank: of the edit.
        size: ‖M − I‖_F; large values are ill-conditioned.
    """

    residual_listed: float
    residual_held_out: float
    expected_collateral: float
    retained: dict[str, float]
    empty_prompt: float
    recovery_margin: float
    capacity: float
    discarded: float
    rank: int
    size: float

    def to_dict(self) -> dict:
        return asdict(self)


@dataclass(frozen=True)
class Redirect:
    """The edit of the embedding space, the change of each map, and its certificate."""

    edit: algebra.Edit
    delta: dict[str, LowRank]
    certificate: Certificate


def keep_columns(denoiser: Denoiser, prompts: Sequence[str]) -> Tensor:
    """All distinct token embeddings of ``prompts``, (d, n) float64."""
    tokens = denoiser.encode(list(prompts)).tokens.double().cpu()
    return torch.unique(tokens.flatten(0, 1), dim=0).mT


def principal(columns: Tensor, maps_gram: Tensor, count: int) -> Tensor:
    """``count`` combinations of ``columns`` that carry most of their output through the maps."""
    if count == 0 or columns.shape[1] == 0:
        return columns[:, :0]
    _, s, vh = torch.linalg.svd(algebra.symmetric_root(maps_gram) @ columns, full_matrices=False)
    count = min(count, int((s > algebra.RANK_TOLERANCE * s[0]).sum()))
    return columns @ (vh[:count].mT / s[:count])


def redirect(
    denoiser: Denoiser,
    concepts: Sequence[Concept],
    retain: Sequence[str],
    settings: ClosedForm,
    captions: Sequence[str] | None = None,
) -> Redirect:
    """Solves stage 1 for all ``concepts`` jointly; every concept names its surrogate.

    Args:
        retain: prompts to hold, beside the empty one.
        captions: ordinary language for Σ; default: the package's.
    """
    maps = denoiser.token_maps()
    maps_gram = algebra.gram([layer.weight for layer in maps.values()])
    sigma = algebra.regularised(second_moment(denoiser, captions), settings.ridge)
    columns = join(
        [c for concept in concepts for c in _columns(denoiser, concept, concept.sentences)]
    )
    moved, unmoved = columns.select(columns.moved), columns.select(~columns.moved)
    # The empty prompt and the words before the concept must stay for the redirect to be exact.
    always = torch.cat([keep_columns(denoiser, [EMPTY]), unmoved.concept], dim=1)
    retained = keep_columns(denoiser, retain) if retain else always[:, :0]
    exact = settings.mode == "equality" and settings.directions is None
    if exact:
        held = torch.cat([always, principal(retained, maps_gram, settings.keep)], dim=1)
    else:
        held = principal(torch.cat([always, retained], dim=1), maps_gram, settings.keep)
    scale = moved.weights.sqrt()
    if settings.mode == "equality":
        edit = algebra.equality(
            moved.concept,
            moved.surrogate,
            held,
            sigma,
            maps_gram,
            directions=settings.directions,
            weights=scale,
        )
    else:
        edit = algebra.ridge(moved.concept * scale, moved.surrogate * scale, sigma, maps_gram)
        if settings.mode == "null_space":
            edit = algebra.null_space(edit, held)
    delta = {path: edit.change(layer.weight.detach().cpu()) for path, layer in maps.items()}
    held_out = join([c for x in concepts for c in _columns(denoiser, x, HELD_OUT[x.kind])])
    certificate = certify(denoiser, edit, moved, held_out, retain, sigma, maps_gram)
    if exact and certificate.residual_listed > INEXACT:
        raise InputError(
            f"an exact edit of these prompts needs more than all {len(sigma)} dimensions of the "
            f"embedding (residual {certificate.residual_listed:.2g}). List fewer templates, "
            "synonyms or retained prompts, or set closed_form.directions to a small number."
        )
    return Redirect(edit, delta, certificate)


def _columns(denoiser: Denoiser, concept: Concept, templates: Sequence[str]) -> list[Columns]:
    assert concept.surrogate is not None
    return [concept_columns(denoiser, templates, p, concept.surrogate) for p in concept.phrases]


def certify(
    denoiser: Denoiser,
    edit: algebra.Edit,
    listed: Columns,
    held_out: Columns,
    retain: Sequence[str],
    sigma: Tensor,
    maps_gram: Tensor,
) -> Certificate:
    """Measures ``edit``; see ``Certificate`` for the quantities."""

    def worst(prompt: str) -> float:
        return float(algebra.collateral(edit, keep_columns(denoiser, [prompt]), maps_gram).max())

    return Certificate(
        residual_listed=algebra.residual(edit, listed.concept, listed.surrogate, maps_gram),
        residual_held_out=algebra.residual(edit, held_out.concept, held_out.surrogate, maps_gram),
        expected_collateral=algebra.expected_collateral(edit, sigma, maps_gram),
        retained={prompt: worst(prompt) for prompt in retain},
        empty_prompt=worst(EMPTY),
        recovery_margin=algebra.recovery_margin(edit, listed.concept, listed.surrogate, maps_gram),
        capacity=edit.capacity,
        discarded=edit.discarded,
        rank=edit.rank,
        size=float(LowRank(edit.read, edit.shift).norm()),
    )


def forecast(denoiser: Denoiser, edit: algebra.Edit, prompts: Sequence[str]) -> dict[str, float]:
    """Relative change ‖ΔW E‖ / ‖W E‖ of each prompt over all its positions, largest first."""
    maps_gram = algebra.gram([layer.weight for layer in denoiser.token_maps().values()])
    tokens = denoiser.encode(list(prompts)).tokens.double().cpu()
    changes = {}
    for prompt, positions in zip(prompts, tokens, strict=True):
        columns = positions.mT
        change = algebra.output_norm(edit.shift @ (edit.read @ columns), maps_gram).norm()
        changes[prompt] = float(change / algebra.output_norm(columns, maps_gram).norm())
    return dict(sorted(changes.items(), key=lambda item: -item[1]))
