"""From a pipeline and a concept to an erasure: the one orchestrator."""

from __future__ import annotations

import hashlib
import json
import logging
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path
from random import Random
from typing import Any

from tqdm import tqdm

from trace_erasure import __version__, adapt, neighbours
from trace_erasure.concept import Concept, alone, fill
from trace_erasure.corpus import broad_captions
from trace_erasure.denoiser import Denoiser
from trace_erasure.erasure import Erasure
from trace_erasure.errors import InputError
from trace_erasure.fingerprint import fingerprint
from trace_erasure.math.lowrank import LowRank
from trace_erasure.share import COLUMNS, Share, gather
from trace_erasure.spec import ClosedForm, EraseSpec, Finetune
from trace_erasure.stages.redirect import Certificate, redirect
from trace_erasure.stages.steer import StepRecord, prepare, steer, trained

log = logging.getLogger("trace_erasure")

REDIRECT = "trace_redirect"
COMPANY = 6
"""How many neighbours stand beside each half of what is erased in combination only."""
OnStep = Callable[[StepRecord], None]


@dataclass(frozen=True)
class Plan:
    """A resolved spec: surrogates named, neighbours found, prompts written out.

    Attributes:
        spec: with a surrogate for every concept.
        retain: prompts that stage 1 holds and reports on.
        captions: ordinary language without the concept.
    """

    spec: EraseSpec
    retain: tuple[str, ...]
    captions: tuple[str, ...]


def plan(
    denoiser: Denoiser,
    spec: EraseSpec,
    captions: Sequence[str] | None = None,
    beside: Sequence[Concept] = (),
) -> Plan:
    """Fills in what the user left open, and logs every choice made for them.

    ``beside``: concepts that are erased too, but not here.
    """
    captions = broad_captions() if captions is None else captions
    if not captions:
        raise InputError("captions is empty. Pass sentences of the model's domain, or None.")
    resolved, retain = [], []
    # One concept may well be the other's neighbour.
    erased = gone((*spec.concepts, *beside))
    given = {concept.surrogate.lower() for concept in spec.concepts if concept.surrogate}
    for concept in spec.concepts:
        known = neighbours.candidates(captions, concept.kind)
        names = {name: n for name, n in known.items() if name.lower() not in erased}
        spoken = neighbours.phrases(captions, concept.kind)
        others = [c for c in spec.concepts if c.kind == concept.kind and c is not concept]
        near = neighbours.survey(denoiser, concept, names, spoken, others)
        heard = [text for text in near.synonyms if text.lower() not in erased | given]
        if concept.surrogate is None:
            concept = replace(concept, surrogate=near.surrogate)
            log.info("surrogate for %r: %r (proposed)", concept.phrase, near.surrogate)
        if heard:
            words = len(concept.phrase.split())
            short = [text for text in heard if len(text.split()) <= words]
            longer = [text for text in heard if len(text.split()) > words]
            concept = replace(
                concept,
                synonyms=(*concept.synonyms, *short),
                descriptions=(*concept.descriptions, *longer),
            )
            log.info("heard as %r too: %s", concept.phrase, ", ".join(heard))
        if concept.only_with is not None:
            # Each half has to stay beside other things, too.
            words = [w for w in near.retain if w.lower() != concept.only_with.lower()]
            concept = replace(concept, retain=(*concept.retain, *words[:COMPANY]))
            retain += alone(concept)
        frame = neighbours.FRAMES[concept.kind]
        retain += [fill(frame, word) for word in (*concept.retain, *near.retain)]
        resolved.append(concept)
    names = gone(resolved)
    for concept in resolved:
        if (concept.surrogate or "").lower() in names:
            raise InputError(
                f"the surrogate of {concept.phrase!r} is {concept.surrogate!r}, which is erased "
                "too. Name another surrogate."
            )
    everything = (*resolved, *beside)

    def stays(texts: Iterable[str]) -> tuple[str, ...]:
        return tuple(text for text in texts if not any(c.forbids(text) for c in everything))

    # What one concept has as its neighbour may be a synonym of another's.
    spec = replace(spec, concepts=tuple(resolved))
    return Plan(spec, stays(dict.fromkeys(retain)), stays(captions))


def gone(concepts: Sequence[Concept]) -> set[str]:
    """Phrases that no sentence will be heard with, in lower case."""
    return {p.lower() for c in concepts if c.only_with is None for p in c.phrases}


def erase(
    pipe: Any,
    concepts: str | Concept | Sequence[str | Concept],
    *,
    surrogate: str | None = None,
    kind: str = "object",
    closed_form: ClosedForm | None = ClosedForm(),
    finetune: Finetune | None = Finetune(),
    seed: int = 0,
    hardening: str = "off",
    captions: Sequence[str] | None = None,
    on_step: OnStep | None = None,
    workdir: str | Path | None = None,
) -> Erasure:
    """Erases concepts from a diffusers pipeline; the pipeline itself is left as it was.

    Args:
        pipe: a text-to-image pipeline of a supported family.
        concepts: phrases without an article (``"fox"``), or ``Concept`` objects.
        surrogate, kind: for concepts given as phrases; see ``Concept``.
        closed_form: settings of stage 1; None leaves it out.
        finetune: settings of stage 2; None leaves it out.
        seed: of every random choice; the same seed gives the same bytes.
        hardening: ``off``, ``closed_form`` or ``adversarial``; see ``EraseSpec``.
        captions: ordinary language of the model's domain; default: the package's list.
        on_step: called after every training step.
        workdir: an existing folder that keeps a checkpoint of stage 2, from which a killed run
            with the same settings resumes.

    Returns:
        The erasure: ``attach`` it, ``save`` it.

    Raises:
        InputError: for bad settings, a concept the tokenizer cannot place, an unknown pipeline.
        NonFiniteError: when training diverges; the pipeline is restored.
    """
    listed = [concepts] if isinstance(concepts, str | Concept) else list(concepts)
    made = [
        c if isinstance(c, Concept) else Concept(c, surrogate=surrogate, kind=kind) for c in listed
    ]
    spec = EraseSpec(tuple(made), closed_form, finetune, seed, hardening)
    return run(pipe, spec, captions, on_step, workdir)


def run(
    pipe: Any,
    spec: EraseSpec,
    captions: Sequence[str] | None = None,
    on_step: OnStep | None = None,
    workdir: str | Path | None = None,
    beside: Sequence[Concept] = (),
) -> Erasure:
    """``erase`` with its settings as one ``EraseSpec``.

    ``beside`` are other concepts that will be erased together with these, by ``merge``: nothing
    of theirs becomes a surrogate or is retained.
    """
    started = time.perf_counter()
    denoiser = Denoiser(pipe)
    base = fingerprint(pipe)
    planned = plan(denoiser, spec, captions, beside)
    closed: dict[str, LowRank] = {}
    certificate: Certificate | None = None
    shares: tuple[Share, ...] = ()
    if spec.closed_form is not None:
        concepts = planned.spec.concepts
        hardened = spec.hardening != "off"
        result = redirect(
            denoiser, concepts, planned.retain, spec.closed_form, captions, hardened=hardened
        )
        closed, certificate = result.delta, result.certificate
        # An exact solve has to stay exact among others, so it carries all of its columns.
        columns = COLUMNS if spec.closed_form.directions is not None else None
        shares = tuple(
            gather(
                denoiser,
                concept,
                planned.retain,
                roots=result.roots,
                columns=columns,
                found=found,
            )
            for concept, found in zip(concepts, result.material, strict=True)
        )
        for stream, margins in result.margins.items():
            text = " → ".join(f"{margin:.2g}" for margin in margins)
            log.info("hardened %s, recovery margin: %s", stream, text)
        log.info("closed form: %.1f s", time.perf_counter() - started)
    tuned: dict[str, LowRank] = {}
    record: dict[str, Any] = {}
    if spec.finetune is not None:
        checkpoint = Path(workdir) / _checkpoint_name(planned, base) if workdir else None
        tuned, record = _finetune(denoiser, planned, spec.finetune, closed, on_step, checkpoint)
        log.info("both stages: %.1f s", time.perf_counter() - started)
    names = ", ".join(concept.name for concept in planned.spec.concepts)
    return Erasure(
        family=denoiser.family.name,
        base=base,
        closed_form=closed,
        finetuned=tuned,
        record={
            "title": f"Erases: {names}",
            "description": f"Removes {names} from text-to-image generation. Use at strength 1.",
            "spec": asdict(planned.spec),
            "asked": asdict(spec),
            "certificate": certificate.to_dict() if certificate else None,
            "finetune": record or None,
            "retain": list(planned.retain),
            "versions": versions(),
        },
        shares=shares,
    )


def versions() -> dict[str, str]:
    """What made an artifact, for its record."""
    return {
        "trace-erasure": __version__,
        **{package: version(package) for package in ("torch", "diffusers", "peft")},
        "python": platform.python_version(),
    }


def _checkpoint_name(planned: Plan, base: Mapping[str, Any]) -> str:
    """Names a checkpoint by everything that decides the training, so that no other resumes it."""
    decides = [asdict(planned.spec), planned.retain, planned.captions, base]
    digest = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()
    return f"finetune-{digest[:12]}.safetensors"


def pairs(concepts: Sequence[Concept]) -> tuple[list[str], list[str], list[int]]:
    """Concept prompts, the same with the surrogate in its place, and whose they are.

    Phrases take turns, so that a few trajectories visit every one of them.
    """
    by_phrase = []
    for i, concept in enumerate(concepts):
        surrogate, count = concept.surrogate or "", len(concept.sentences)
        wordings = (*concept.wordings(), *concept.wordings(phrases=concept.descriptions))
        both = [(fill(t, p), fill(t, surrogate), i) for t, p in wordings]
        by_phrase += [both[i : i + count] for i in range(0, len(both), count)]
    found = [pair for turn in zip_longest(*by_phrase) for pair in turn if pair]
    return [one for one, _, _ in found], [one for _, one, _ in found], [i for _, _, i in found]


def _finetune(
    denoiser: Denoiser,
    planned: Plan,
    settings: Finetune,
    closed: dict[str, LowRank],
    on_step: OnStep | None,
    checkpoint: Path | None,
) -> tuple[dict[str, LowRank], dict[str, Any]]:
    """Stage 2 on top of ``closed``; whatever happens, the network is given back as it was."""
    seed = planned.spec.seed
    concept_prompts, surrogate_prompts, _ = pairs(planned.spec.concepts)
    ordinary = Random(seed).sample(
        planned.captions, min(settings.retain_trajectories, len(planned.captions))
    )
    if not ordinary:
        raise InputError("no caption without the concept is left to retain. Pass more captions.")
    near = list(planned.retain)[: settings.retain_trajectories // 3]
    retained = [*near, *ordinary[: settings.retain_trajectories - len(near)]]
    losses: list[float] = []
    with adapt.gradient_flags(denoiser.network):
        denoiser.network.requires_grad_(False)
        try:
            if closed:
                adapt.attach(denoiser, closed, REDIRECT)
            lesson = prepare(denoiser, concept_prompts, surrogate_prompts, retained, settings, seed)
            adversarial = planned.spec.hardening == "adversarial"
            training = steer(denoiser, lesson, settings, seed, checkpoint, adversarial)
            bar = tqdm(training, "finetune", settings.steps, leave=False, disable=None)
            for step in bar:
                bar.n = step.step  # a resumed run begins further on
                losses.append(step.loss)
                if on_step is not None:
                    on_step(step)
            tuned = trained(denoiser)
        finally:
            for name in (REDIRECT, "trace_steer"):
                if adapt.attached(denoiser, name):
                    adapt.detach(denoiser, name)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    profile = {"noise_levels": lesson.profile.noise_levels, "energy": lesson.profile.energy}
    return tuned, {"noise_level": lesson.noise_level, "profile": profile, "final_loss": losses[-1:]}
