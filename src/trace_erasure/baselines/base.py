"""What a method is, and what all baselines have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any, ClassVar, Protocol

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.artifact.provenance import versions
from trace_erasure.artifact.record import BaselineRecord, MethodRecord
from trace_erasure.concepts.captions import captions_for
from trace_erasure.concepts.concept import Concept, ResolvedConcept, fill_template
from trace_erasure.config import EraseConfig
from trace_erasure.errors import InputError
from trace_erasure.math.lowrank import LowRank
from trace_erasure.pipeline import adapters, conditions
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.fingerprint import digest_of, fingerprint
from trace_erasure.trace.request import ResolvedRequest, resolve


class Method(Protocol):
    """Erases concepts from a pipeline. An instance is its settings, and nothing else."""

    def erase(
        self,
        pipe: Any,
        concepts: Sequence[Concept],
        *,
        seed: int = 0,
        captions: Sequence[str] | None = None,
        workdir: Path | None = None,
    ) -> Erasure:
        """Makes the erasure; the pipeline is left as it was.

        Args:
            pipe: a text-to-image pipeline of a supported family.
            concepts: what to erase, together.
            seed: of every random choice; the same seed gives the same bytes.
            captions: ordinary language of the model's domain; None: the package's list.
            workdir: an existing folder for checkpoints, from which a killed run resumes.
                ``Erasure.save`` deletes them.

        Raises:
            InputError: for a pipeline that the method is not made for, before any work starts;
                for a checkpoint that is damaged.
            NonFiniteError: when training diverges; the pipeline is restored.
        """
        ...


@dataclass(frozen=True)
class Change:
    """What a baseline found: a closed-form part, a trained part, and figures for the record."""

    closed_form: dict[str, LowRank] = field(default_factory=dict)
    finetuned: dict[str, LowRank] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class BaselineContext:
    """One erasure in the making.

    Attributes:
        denoiser: the pipeline.
        request: synonyms, surrogates and neighbours, found as for TRACE.
        captions: ordinary language, the concepts included.
        seed: of every random choice.
        checkpoint: path without suffix under which trainings keep their state; None keeps none.
    """

    denoiser: Denoiser
    request: ResolvedRequest
    captions: tuple[str, ...]
    seed: int
    checkpoint: Path | None

    @cached_property
    def concepts(self) -> tuple[ResolvedConcept, ...]:
        return self.request.concepts

    def prompts(self, concepts: Sequence[Concept], templates: bool) -> list[str]:
        """The phrases of ``concepts`` on their own, or in all their sentences.

        Phrases take turns, so that a few trajectories visit every one of them.
        """
        by_phrase = self.by_phrase(concepts, templates)
        return [prompt for turn in zip_longest(*by_phrase) for prompt in turn if prompt]

    def by_phrase(self, concepts: Sequence[Concept], templates: bool) -> list[list[str]]:
        """``prompts``, apart for every phrase."""
        return [
            [fill_template(t, phrase) for t in concept.sentences] if templates else [phrase]
            for concept in concepts
            for phrase in concept.phrases
        ]

    def retained(self, count: int) -> list[str]:
        """``count`` prompts without the concepts: a third neighbours, the rest ordinary."""
        near = list(self.request.retain)[: count // 3]
        ordinary = [text for text in self.request.captions if text not in near]
        stride = max(1, len(ordinary) // max(1, count - len(near)))
        return [*near, *ordinary[::stride][: count - len(near)]]

    def checkpoint_of(self, part: str) -> Path | None:
        """The checkpoint file of one training among several."""
        if self.checkpoint is None:
            return None
        return self.checkpoint.with_name(f"{self.checkpoint.name}-{part}.safetensors")


@dataclass(frozen=True)
class Baseline:
    """A published method as a dataclass of its settings: subclasses say how to ``solve``.

    All of them start from what TRACE starts from, so that a comparison is of methods and not of
    word lists: the synonyms, the surrogate and the neighbours to retain that were named or
    proposed. ``SOURCE`` is the paper, ``SEEDED`` whether the seed changes the erasure.
    """

    NAME: ClassVar[str]
    SOURCE: ClassVar[str]
    SEEDED: ClassVar[bool] = True

    def check(self, denoiser: Denoiser) -> None:
        """Raises ``InputError`` for a family that the method is not made for."""

    def solve(self, context: BaselineContext) -> Change:
        """The change of the network, which may carry adapters of ours when it returns."""
        raise NotImplementedError

    def erase(
        self,
        pipe: Any,
        concepts: Sequence[Concept],
        *,
        seed: int = 0,
        captions: Sequence[str] | None = None,
        workdir: Path | None = None,
    ) -> Erasure:
        """See ``Method.erase``."""
        conditions.check(pipe, conditions.TRAIN)
        denoiser = Denoiser(pipe)
        self.check(denoiser)
        base = fingerprint(pipe)
        # The stages of the spec are TRACE's; only its concepts count here.
        planned = resolve(denoiser, EraseConfig(tuple(concepts), seed=seed), captions)
        named = [asdict(concept) for concept in planned.concepts]
        settings = {"name": self.NAME, "source": self.SOURCE, "settings": asdict(self)}
        checkpoint = None
        if workdir is not None:
            decides = [settings, named, planned.retain, planned.captions, base, seed]
            checkpoint = Path(workdir) / f"{self.NAME}-{digest_of(decides)}"
        ordinary = captions_for(denoiser, captions)
        context = BaselineContext(denoiser, planned, ordinary, seed, checkpoint)
        with adapters.frozen(denoiser):
            change = self.solve(context)
        files: list[Path] = []
        if checkpoint is not None:
            files = sorted(checkpoint.parent.glob(f"{checkpoint.name}-*.safetensors"))
        names = ", ".join(concept.phrase for concept in planned.concepts)
        return Erasure(
            family=denoiser.family.name,
            base=base,
            closed_form=change.closed_form,
            finetuned=change.finetuned,
            record=BaselineRecord(
                title=f"Erases: {names} ({self.NAME})",
                description=f"Removes {names} from text-to-image generation by {self.NAME}.",
                method=MethodRecord(name=self.NAME, source=self.SOURCE, settings=asdict(self)),
                concepts=planned.spec.concepts,
                retain=tuple(planned.retain),
                seed=seed,
                figures=change.figures,
                versions=versions(),
            ),
            checkpoints=tuple(files),
        )


def refuse_joint(denoiser: Denoiser, method: str) -> None:
    """For methods on layers whose input is the prompt's own embeddings, in every block."""
    if denoiser.family.attention.joint:
        raise InputError(
            f"{method} edits the cross-attention layers that read the prompt directly, and "
            f"{denoiser.family.name} has none: text and image attend jointly there. Use a Stable "
            "Diffusion 1, 2 or XL pipeline, or another method."
        )


def refuse_cross(denoiser: Denoiser, method: str) -> None:
    """For methods on the text's own queries and keys in joint attention."""
    if not denoiser.family.attention.joint:
        raise InputError(
            f"{method} trains the text's queries and keys in joint attention, and "
            f"{denoiser.family.name} has none: its image attends to a prompt that asks nothing "
            "back. Use a Stable Diffusion 3 or FLUX.1 pipeline, or another method."
        )


def surrogate_of(concept: ResolvedConcept) -> str:
    """The surrogate that ``plan`` has named."""
    return concept.surrogate


def sentence(template: str, phrase: str) -> str:
    """``fill``, with an empty phrase giving the empty prompt."""
    return fill_template(template, phrase) if phrase else ""
