"""The certificate of an erasure: what holds exactly, what holds with confidence, what does not."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.concepts.concept import Concept, ResolvedConcept, fill_template
from trace_erasure.errors import InputError
from trace_erasure.guarantees.exact import ExactPart, exact_part
from trace_erasure.guarantees.path_kl import PathKL, divergence, sampler_name
from trace_erasure.pipeline import adapter_layers, conditions
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.fingerprint import difference, fingerprint
from trace_erasure.pipeline.sampling import Sampling
from trace_erasure.pipeline.soundness import check_sound
from trace_erasure.utils.arguments import check_kind, check_list, check_texts
from trace_erasure.utils.numbers import check_integer, check_number
from trace_erasure.utils.sequences import evenly_spaced

NOT_COVERED = (
    "Prompts that are not listed: other words for the concept, other languages, typos, hints and "
    "strings found by search may reach it.",
    "Negative prompts that name the concept: they push away from the surrogate. Exactness needs an "
    "empty negative prompt.",
    "Image-to-image and inpainting: the concept can enter through the picture.",
    "Completion: latents that the original model has begun already show the concept.",
    "Guidance by a classifier, control networks, adapters and further finetuning, which can teach "
    "the concept again.",
    "Other samplers, step counts and guidance scales than the stated one, in the statistical part.",
    "Other base models than the one whose fingerprint the file carries.",
)
MOST_PATHS = 100_000
SEEDS = 7_000_000
"""Where the seeds of certified paths begin, away from those of training and of evaluation."""


@dataclass(frozen=True)
class Guarantee:
    """What is certified of one erasure on one pipeline.

    Attributes:
        title: of the erasure.
        exact: without chance, see ``ExactPart``.
        sampler, steps, guidance_scale, noise_level, gate: what the statistical part is about; τ
            parts early from late.
        concept: erased model on concept prompts against the original on surrogate prompts: how
            far from provable suppression.
        retained: erased model against the original on retained prompts: what the erasure cost.
        not_covered: in words.
    """

    title: str
    exact: ExactPart
    sampler: str
    steps: int
    guidance_scale: float
    noise_level: float
    gate: float | None
    concept: PathKL | None
    retained: PathKL | None
    not_covered: tuple[str, ...] = NOT_COVERED

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it: bounds without an upper end have None there."""
        return _finite(asdict(self))


def certify(  # noqa: PLR0913 - a verb: its options are keyword-only
    pipe: Any,
    erasure: Erasure,
    *,
    concepts: Sequence[Concept] | None = None,
    retain: Sequence[str] | None = None,
    paths: int = 16,
    steps: int = 20,
    guidance_scale: float = 3.5,
    noise_level: float | None = None,
    gate: float | None = None,
) -> Guarantee:
    """Certifies ``erasure`` on ``pipe``, whose adapters stay as they are.

    Args:
        concepts: with surrogates; default: those of the erasure's record.
        retain: prompts to compare; default: those of the record.
        paths: Monte Carlo paths for each comparison; 0 leaves the statistical part out.
        steps: steps of the sampler that the certificate describes.
        guidance_scale: guidance scale of that sampler; 1 is none.
        noise_level: τ between early and late; default: the gate's, the finetune's, else 0.5.
        gate: certify the erasure as ``Erasure.gate`` at this noise level applies it.

    Raises:
        InputError: the erasure is of another family, no concepts are known, one has no surrogate,
            a setting is out of range, or 1 path, of which no interval can be made.

    Example:
        >>> from trace_erasure import certify
        >>> from trace_erasure.testing import tiny_erasure
        >>> pipe, erasure = tiny_erasure()
        >>> found = certify(pipe, erasure, paths=2, steps=2)
        >>> 0 <= found.concept.detector <= 1
        True
    """
    check_kind("erasure", erasure, Erasure)
    concepts = check_list("concepts", concepts, Concept, optional=True)
    retain = check_texts("retain", retain, optional=True)
    check_integer("paths", paths, 0, MOST_PATHS)
    predicts = [conditions.PREDICT] if paths else []
    conditions.check(pipe, conditions.ATTACH, conditions.MEASURE, *predicts)
    denoiser = Denoiser(pipe)
    check_sound(denoiser)
    _check_fits(denoiser, erasure)
    _check_settings(denoiser, steps, guidance_scale, noise_level, gate)
    resolved = _concepts_with_surrogates(erasure, concepts)
    if paths == 1:
        raise InputError(f"paths is {paths}; allowed: 0 for no statistical part, or 2 or more.")
    record = erasure.record
    trained = None
    if record.kind == "trace" and record.finetune is not None:
        trained = record.finetune.noise_level
    levels = (noise_level, gate, trained, 0.5)
    level: float = next(value for value in levels if value is not None)
    exact = exact_part(denoiser, erasure, resolved, record.certificate)
    concept = retained = None
    if paths:
        kept = list(record.retain if retain is None else retain)
        options: dict[str, Any] = dict(steps=steps, guidance=guidance_scale, gate=gate)
        with _attached(erasure, pipe):
            concept, retained = _divergences(
                denoiser, erasure, _pairs(resolved), kept, paths, level, options
            )
    return Guarantee(
        title=record.title,
        exact=exact,
        sampler=sampler_name(denoiser),
        steps=steps,
        guidance_scale=guidance_scale,
        noise_level=level,
        gate=gate,
        concept=concept,
        retained=retained,
    )


def _concepts_with_surrogates(
    erasure: Erasure, concepts: Sequence[Concept] | None
) -> list[ResolvedConcept]:
    """The given concepts, or those of the record; each has to name its surrogate."""
    concepts = erasure.record.concepts if concepts is None else concepts
    if not concepts or any(concept.surrogate is None for concept in concepts):
        raise InputError(
            "which concepts with which surrogates to certify is not in this erasure's record. "
            "Pass concepts=[Concept('fox', surrogate='cat')]."
        )
    return [ResolvedConcept.of(concept) for concept in concepts]


@contextmanager
def _attached(erasure: Erasure, pipe: Any) -> Iterator[None]:
    """Within it ``erasure`` is on ``pipe``; afterwards it is on or off as before."""
    if adapter_layers.attached(pipe, erasure.name):
        yield
        return
    with erasure.attach(pipe):
        yield


def _divergences(
    denoiser: Denoiser,
    erasure: Erasure,
    pairs: Sequence[tuple[str, str]],
    kept: Sequence[str],
    paths: int,
    level: float,
    options: dict[str, Any],
) -> tuple[PathKL, PathKL | None]:
    """The divergence on concept prompts, and on the prompts that were kept, if there are any."""
    seeds = range(SEEDS, SEEDS + paths)
    pairs = evenly_spaced(pairs, paths)
    own, instead = [a for a, _ in pairs], [b for _, b in pairs]
    terms, plan = divergence(
        denoiser, erasure, own, instead, seeds, label="concept paths", **options
    )
    comparison = "erased model on concept prompts against the original on surrogate prompts"
    concept = PathKL.of(comparison, len(own), terms, plan, level)
    if not kept:
        return concept, None
    kept = evenly_spaced(kept, paths)
    terms, plan = divergence(
        denoiser, erasure, kept, kept, seeds, label="retained paths", **options
    )
    comparison = "erased model against the original on retained prompts"
    return concept, PathKL.of(comparison, len(kept), terms, plan, level)


def _check_fits(denoiser: Denoiser, erasure: Erasure) -> None:
    """The erasure's layers are those of the pipeline; another base model is warned of."""
    if denoiser.family.name != erasure.family:
        raise InputError(
            f"this erasure was made for {erasure.family}, and this pipeline is "
            f"{denoiser.family.name}. Certify it on the model that it was made on."
        )
    if change := difference(erasure.base, fingerprint(denoiser.pipe)):
        warnings.warn(
            f"this erasure was made on another base model ({change}). The certificate is about "
            "the pipeline that you gave, not about that one.",
            stacklevel=3,
        )


def _check_settings(
    denoiser: Denoiser,
    steps: int,
    guidance_scale: float,
    noise_level: float | None,
    gate: float | None,
) -> None:
    Sampling(steps=steps, guidance_scale=guidance_scale).check(denoiser.pipe.scheduler)
    check_number("noise_level", noise_level, 0, 1, optional=True)
    check_number("gate", gate, 0, 1, optional=True)


def certified(erasure: Erasure, guarantee: Guarantee) -> Erasure:
    """``erasure`` with the certificate in its record; the change itself is the same."""
    return replace(
        erasure, record=erasure.record.model_copy(update={"guarantee": guarantee.to_dict()})
    )


def _pairs(concepts: Sequence[ResolvedConcept]) -> list[tuple[str, str]]:
    """Every listed concept prompt with the surrogate's prompt."""
    return [
        (fill_template(template, phrase), fill_template(template, concept.surrogate))
        for concept in concepts
        for template, phrase in concept.wordings()
    ]


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and value in (float("inf"), float("-inf")) else value
