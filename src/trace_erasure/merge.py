"""Many artifacts into one: a joint closed form, trained parts side by side, one ordinary LoRA."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from trace_erasure import adapt, neighbours
from trace_erasure.concept import Concept, mentions
from trace_erasure.corpus import captions_or_broad
from trace_erasure.denoiser import Denoiser
from trace_erasure.erase import run
from trace_erasure.erasure import SUFFIX, Erasure
from trace_erasure.errors import InputError
from trace_erasure.fingerprint import difference, fingerprint
from trace_erasure.math import joint as algebra
from trace_erasure.math.lowrank import LowRank, cat, scale
from trace_erasure.plan import gone, pairs, plan
from trace_erasure.provenance import heading, versions
from trace_erasure.shard import check_shard
from trace_erasure.share import Share, gather, roots_of
from trace_erasure.spec import EraseSpec, Finetune, Merge
from trace_erasure.spec_file import slug
from trace_erasure.stages import joint
from trace_erasure.stages.joint import Capacity
from trace_erasure.stages.steer import prepare, steer, trained
from trace_erasure.trajectory import predictions

log = logging.getLogger("trace_erasure")

MERGED = "trace_merged"


def merge(
    artifacts: Sequence[Erasure],
    pipe: Any,
    *,
    strengths: Sequence[float] | None = None,
    settings: Merge = Merge(),
    captions: Sequence[str] | None = None,
    seed: int = 0,
    dense: bool = False,
) -> Any:
    """One erasure of everything that ``artifacts`` erase; the pipeline is left as it was.

    A pure function of the artifacts: to add or to remove one, merge the new list. No artifact is
    trained again. What one artifact takes for granted and another erases (a surrogate, a word of
    a sentence, a neighbour to retain) is replaced, and the choice is logged.

    Args:
        artifacts: made on this base model by ``erase``, not by ``merge``.
        strengths: one an artifact, 0 to 2, on top of the strength it was saved at.
        settings: see ``Merge``.
        captions: ordinary language of the model's domain; default: the package's list.
        seed: of the integration finetune.
        dense: give a copy of the pipeline with changed weights instead.

    Returns:
        An ``Erasure``, or a pipeline where ``dense``.

    Raises:
        InputError: for artifacts of another model, without columns for a joint solve, or that
            erase the same thing twice; for strengths out of range.
    """
    started = time.perf_counter()
    denoiser = Denoiser(pipe)
    base = fingerprint(pipe)
    strengths = _check(artifacts, base, strengths)
    captions = captions_or_broad(captions)
    # An artifact of several concepts has one share for each, and one trained part for all.
    shares = [share for artifact in artifacts for share in artifact.shares]
    saved = [s * a.strength for a, s in zip(artifacts, strengths, strict=True) for _ in a.shares]
    settled = settle(denoiser, shares, captions)
    concepts = [share.concept for share in settled]
    ordinary = _ordinary(captions, concepts)
    together = joint.solve(denoiser, settled, saved, settings, ordinary)

    owners = [i for i, artifact in enumerate(artifacts) for _ in artifact.shares]
    tuned, talk = _side_by_side(denoiser, artifacts, owners, settled, together)
    tuned = cat([scale(part, s) for part, s in zip(tuned, strengths, strict=True)])
    record: dict[str, Any] = {}
    if settings.integrate is not None:
        whole = cat([together.delta, tuned])
        parts = [(a.delta, s) for a, s in zip(artifacts, strengths, strict=True)]
        extra, record = _integrate(
            denoiser, whole, parts, owners, concepts, ordinary, settings.integrate, seed
        )
        tuned = cat([tuned, extra])
    closed, tuned, lost = _budget(together.delta, tuned, settings.rank)
    erasure = Erasure(
        family=denoiser.family.name,
        base=base,
        closed_form=closed,
        finetuned=tuned,
        record={
            **heading(concepts),
            "merged": {
                "parts": [a.name for a in artifacts],
                "strengths": list(strengths),
                "concepts": [asdict(concept) for concept in concepts],
                "settings": asdict(settings),
                "capacity": {name: c.to_dict() for name, c in together.capacity.items()},
                "cross_talk": talk,
                "discarded": lost,
                "integrate": record or None,
                "seed": seed,
            },
            "versions": versions(),
        },
    )
    log.info("merged %d concepts: %.1f s", len(concepts), time.perf_counter() - started)
    return erasure.bake(pipe) if dense else erasure


def capacity(
    pipe: Any,
    what: Sequence[Concept | Erasure],
    settings: Merge = Merge(),
    captions: Sequence[str] | None = None,
) -> dict[str, Capacity]:
    """What there is room for, before any work: by stream of text, see ``Capacity``.

    Args:
        what: concepts that are to be erased together, or artifacts that are to be merged.
    """
    denoiser = Denoiser(pipe)
    captions = captions_or_broad(captions)
    artifacts = [one for one in what if isinstance(one, Erasure)]
    concepts = [one for one in what if isinstance(one, Concept)]
    if not what:
        raise InputError("nothing to erase. Give concepts or artifacts.")
    shares = [share for artifact in artifacts for share in artifact.shares]
    if artifacts:
        _check(artifacts, fingerprint(pipe), None)
    if concepts:
        planned = plan(denoiser, EraseSpec(tuple(concepts)), captions)
        roots = roots_of(denoiser)
        shares += [gather(denoiser, x, planned.retain, roots=roots) for x in planned.spec.concepts]
    shares = settle(denoiser, shares, captions)
    ordinary = _ordinary(captions, [share.concept for share in shares])
    return joint.solve(denoiser, shares, [1.0] * len(shares), settings, ordinary).capacity


def erase_each(
    pipe: Any,
    spec: EraseSpec,
    folder: str | Path,
    captions: Sequence[str] | None = None,
    shard: tuple[int, int] = (0, 1),
) -> list[Path]:
    """One artifact for each concept of ``spec`` in ``folder``; those that are there are kept.

    Concepts are independent, so that a killed run goes on, a longer list adds to a shorter one,
    and ``shard`` (i, n) makes only every n-th, for workers side by side.
    """
    check_shard(shard)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [replace(spec, concepts=(concept,)) for concept in spec.concepts]
    files = [folder / (slug(one.concepts[0].name) + SUFFIX) for one in wanted]
    mine = list(zip(wanted, files, strict=True))[shard[0] :: shard[1]]
    for one, file in tqdm(mine, desc="concepts", leave=False, disable=None):
        if file.exists() and Erasure.load(file).record["asked"] == _as_json(one):
            continue
        run(pipe, one, captions, workdir=folder, beside=spec.concepts).save(file)
    return [file for _, file in mine]


def _as_json(spec: EraseSpec) -> Any:
    """A spec as a header gives it back: tuples are lists there."""
    return json.loads(json.dumps(asdict(spec)))


# What artifacts must agree on -------------------------------------------------------------


def _check(
    artifacts: Sequence[Erasure], base: Any, strengths: Sequence[float] | None
) -> list[float]:
    """The strengths; raises ``InputError`` where the artifacts cannot be merged."""
    if not artifacts:
        raise InputError("nothing to merge. Give at least one artifact.")
    for artifact in artifacts:
        title = artifact.record.get("title", artifact.name)
        if not artifact.shares:
            raise InputError(
                f"{title!r} has no columns for a joint solve: it was merged already, or made "
                "without stage 1 or by an older version. Merge the artifacts of single concepts."
            )
        change = difference(artifact.base, base)
        if change:
            raise InputError(
                f"{title!r} was made on another base model ({change}). Use that model, or make "
                "the erasure again on this one."
            )
    names = [share.concept.name.lower() for artifact in artifacts for share in artifact.shares]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{', '.join(twice)} is erased by two artifacts. Give one of them.")
    if len({tuple(share.streams) for a in artifacts for share in a.shares}) > 1:
        raise InputError(
            "some artifacts redirect the pooled vector and some do not. Make them with the same "
            "closed_form.pooled."
        )
    strengths = [1.0] * len(artifacts) if strengths is None else list(strengths)
    if len(strengths) != len(artifacts):
        raise InputError(
            f"{len(strengths)} strengths for {len(artifacts)} artifacts. Give one for each."
        )
    for strength in strengths:
        adapt.check_strength(strength)
    return strengths


def _ordinary(captions: Sequence[str], concepts: Sequence[Concept]) -> tuple[str, ...]:
    ordinary = tuple(t for t in captions if not any(concept.forbids(t) for concept in concepts))
    if not ordinary:
        raise InputError("no caption without the concepts is left. Pass more captions.")
    return ordinary


def settle(denoiser: Denoiser, shares: Sequence[Share], captions: Sequence[str]) -> list[Share]:
    """Shares that do not contradict each other: nothing in one names what another erases.

    Surrogates that are erased too are proposed anew, words in sentences give way to their
    surrogates, retained prompts are left out. Only shares that change are encoded again.
    """
    surrogates: dict[str, str] = {}
    erased = gone([share.concept for share in shares])
    concepts = []
    for concept in (share.concept for share in shares):
        other = concept.only_with
        if other is not None and mentions(other, sorted(erased)):
            raise InputError(
                f"{concept.name!r}: {other!r} is erased anyway. Leave one of the two out."
            )
        if mentions(concept.surrogate or "", sorted(erased)):
            known = neighbours.candidates(captions, concept.kind)
            names = {name: n for name, n in known.items() if not mentions(name, sorted(erased))}
            spoken = neighbours.phrases(captions, concept.kind)
            others = [s.concept for s in shares if s.concept.kind == concept.kind]
            others = [other for other in others if other.name != concept.name]
            open_ = replace(concept, surrogate=None)
            found = neighbours.survey(denoiser, open_, names, spoken, others).surrogate
            log.info(
                "surrogate for %r: %r, since %r is erased too",
                concept.name,
                found,
                concept.surrogate,
            )
            concept = replace(concept, surrogate=found)
        concepts.append(concept)
        if concept.only_with is None:
            surrogates |= {phrase.lower(): concept.surrogate or "" for phrase in concept.phrases}

    settled, roots = [], None
    for share, concept in zip(shares, concepts, strict=True):
        sentences = tuple(dict.fromkeys(_without(t, surrogates) for t in concept.sentences))
        if sentences != concept.sentences:
            concept = replace(concept, templates=sentences)
        stays = [
            prompt
            for prompt in next(iter(share.streams.values())).retained
            if not any(other.forbids(prompt) for other in concepts)
        ]
        if concept != share.concept:
            roots = roots or roots_of(denoiser)
            roots = {name: roots[name] for name in share.streams}
            settled.append(gather(denoiser, concept, stays, roots=roots))
            continue
        streams = {
            name: replace(part, retained={prompt: part.retained[prompt] for prompt in stays})
            for name, part in share.streams.items()
        }
        settled.append(Share(concept, streams))
    return settled


def _without(template: str, surrogates: dict[str, str]) -> str:
    """``template`` with words that are erased replaced by what is shown in their place."""
    for phrase, surrogate in surrogates.items():
        article = "an" if surrogate[:1].lower() in "aeiou" else "a"
        template = re.sub(
            rf"\ban? {re.escape(phrase)}\b", f"{article} {surrogate}", template, flags=re.IGNORECASE
        )
        template = re.sub(rf"\b{re.escape(phrase)}\b", surrogate, template, flags=re.IGNORECASE)
    return template


# Trained parts ----------------------------------------------------------------------------


def _side_by_side(
    denoiser: Denoiser,
    artifacts: Sequence[Erasure],
    owners: Sequence[int],
    shares: Sequence[Share],
    together: joint.Together,
) -> tuple[list[dict[str, LowRank]], dict[str, float]]:
    """Trained parts that leave each other's columns alone, and the cross-talk before and after.

    Only maps that read text have columns to leave alone; other layers are taken as they are.
    """
    parts: list[dict[str, LowRank]] = [dict(artifact.finetuned) for artifact in artifacts]
    before = after = 0.0
    for stream, solved in together.solved.items():
        own = [
            [
                p.concept
                for p, share in zip(solved.pairs, together.owners, strict=True)
                if owners[share] == i
            ]
            for i in range(len(artifacts))
        ]
        columns = [torch.cat(found, dim=1) for found in own]
        sigma = together.sigmas[stream]
        for path in denoiser.maps(stream):
            having = [i for i, part in enumerate(parts) if path in part]
            if not having:
                continue
            width = len(sigma)
            changes = {i: parts[i][path].to(torch.float64) for i in having}
            before += _talk(changes, columns, width)
            for i in having:
                change = changes[i]
                others = torch.cat([c[:, :0] if j == i else c for j, c in enumerate(columns)], 1)
                down = change.down.clone()
                down[:, :width] = algebra.isolate(down[:, :width], columns[i], others, sigma)
                changes[i] = LowRank(down, change.up)
            after += _talk(changes, columns, width)
            for i in having:
                parts[i][path] = changes[i].to(torch.float32)
    return parts, {"before": before, "after": after}


def _talk(changes: dict[int, LowRank], columns: Sequence[torch.Tensor], width: int) -> float:
    """Σ_{i≠j} ‖Δᵢ Cⱼ‖² at one map."""
    heard = {i: LowRank(change.down[:, :width], change.up) for i, change in changes.items()}
    return algebra.cross_talk(heard, columns)


def _integrate(
    denoiser: Denoiser,
    whole: dict[str, LowRank],
    parts: Sequence[tuple[dict[str, LowRank], float]],
    owners: Sequence[int],
    concepts: Sequence[Concept],
    ordinary: Sequence[str],
    settings: Finetune,
    seed: int,
) -> tuple[dict[str, LowRank], dict[str, Any]]:
    """A short finetune on top of ``whole``: on every concept's sentences the model that has
    everything shall predict what the one with that artifact alone does, at all noise levels."""
    asked, instead, whose = pairs(concepts)
    settings = replace(settings, trajectories=max(settings.trajectories, len(concepts)))
    retained = list(ordinary[: settings.retain_trajectories])
    losses: list[float] = []
    with adapt.gradient_flags(denoiser.network):
        denoiser.network.requires_grad_(False)
        try:
            adapt.attach(denoiser, whole, MERGED)
            lesson = prepare(denoiser, asked, instead, retained, settings, seed)
            adapt.detach(denoiser, MERGED)
            lesson.noise_level = 1.0
            owner = torch.tensor([owners[whose[prompt]] for prompt in lesson.bank.prompt.tolist()])
            for i, (delta, strength) in enumerate(parts):
                index = (owner == i).nonzero()[:, 0]
                if not len(index):
                    continue
                adapt.attach(denoiser, delta, MERGED, strength)
                lesson.e_s[index] = predictions(denoiser, lesson.bank[index], lesson.concept)
                adapt.detach(denoiser, MERGED)
            adapt.attach(denoiser, whole, MERGED)
            goal = replace(settings, objective="anchor", eta=1.0)
            steps = steer(denoiser, lesson, goal, seed)
            for step in tqdm(steps, "integrate", settings.steps, leave=False, disable=None):
                losses.append(step.loss)
            tuned = trained(denoiser)
        finally:
            for name in (MERGED, "trace_steer"):
                if adapt.attached(denoiser, name):
                    adapt.detach(denoiser, name)
    return tuned, {"first_loss": losses[0], "final_loss": losses[-1]}


def _budget(
    closed: dict[str, LowRank], tuned: dict[str, LowRank], rank: int | None
) -> tuple[dict[str, LowRank], dict[str, LowRank], dict[str, float]]:
    """Both parts within ``rank``, and the share of energy that each had to give up, at worst.

    The closed form has its rank first: what it promises is exact. Without a budget the parts
    are only freed of rank that they do not need.
    """
    lost = {"closed_form": 0.0, "finetuned": 0.0}
    kept: dict[str, dict[str, LowRank]] = {"closed_form": {}, "finetuned": {}}
    for name, delta in (("closed_form", closed), ("finetuned", tuned)):
        for path, change in delta.items():
            room = min(change.shape)
            if rank is not None:
                first = kept["closed_form"].get(path)
                room = min(room, rank - (first.rank if first is not None else 0))
            if change.rank > room:
                change, share = change.truncate(room)
                lost[name] = max(lost[name], share)
            if change.rank:
                kept[name][path] = change
    for name, share in lost.items():
        if share > 1e-6:
            log.warning("rank %s discards %.2g of the energy of %s", rank, share, name)
    return kept["closed_form"], kept["finetuned"], lost
