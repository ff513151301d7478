"""From a pipeline and a concept to an erasure: the one orchestrator."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch

from trace_erasure.artifact.certificate import Certificate
from trace_erasure.artifact.erasure import Erasure
from trace_erasure.artifact.merge_statistics import MergeStatistics
from trace_erasure.artifact.provenance import heading, versions
from trace_erasure.artifact.record import FinetuneRecord, TraceRecord, TrajectoryProfile
from trace_erasure.artifact.verdict import ErasureVerdict
from trace_erasure.concepts.captions import caption_source, captions_for
from trace_erasure.concepts.concept import Concept
from trace_erasure.concepts.kinds import AUTO
from trace_erasure.concepts.masking import words_hidden
from trace_erasure.config import ClosedFormConfig, EraseConfig, FinetuneConfig
from trace_erasure.config import preset as preset_settings
from trace_erasure.errors import InputError, NonFiniteError, shown
from trace_erasure.math.lowrank import LowRank
from trace_erasure.pipeline import adapters, conditions
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.fingerprint import digest_of, fingerprint
from trace_erasure.pipeline.soundness import check_sound
from trace_erasure.trace.closed_form import ClosedFormEdit, closed_form_edit
from trace_erasure.trace.finetune import finetune_adapter
from trace_erasure.trace.finetune_data import prepare_finetune_data
from trace_erasure.trace.request import ResolvedRequest, resolve, retained_prompts
from trace_erasure.trace.training import OnStep
from trace_erasure.trace.verdict import judge, warn_if_failed
from trace_erasure.utils.arguments import check_call, check_list
from trace_erasure.utils.folders import check_folder

log = logging.getLogger("trace_erasure")

OfPreset = Literal["of the preset"]
OF_PRESET: OfPreset = "of the preset"
"""Stands for a setting that the preset decides."""
CLOSED_FORM_ADAPTER = "trace_closed_form"


def erase(  # noqa: PLR0913 - a verb: its options are keyword-only
    pipe: Any,
    concepts: str | Concept | Sequence[str | Concept],
    *,
    surrogate: str | None = None,
    kind: str = AUTO,
    preset: str = "fast",
    closed_form: ClosedFormConfig | OfPreset | None = OF_PRESET,
    finetune: FinetuneConfig | OfPreset | None = OF_PRESET,
    seed: int = 0,
    hardening: str = OF_PRESET,
    search: str = "words",
    captions: Sequence[str] | None = None,
    on_step: OnStep | None = None,
    workdir: str | Path | None = None,
) -> Erasure:
    """Erases concepts from a diffusers pipeline; the pipeline itself is left as it was.

    Args:
        pipe: a text-to-image pipeline of a supported family.
        concepts: phrases without an article (``"fox"``), or ``Concept`` objects.
        surrogate: what to draw instead, for concepts given as phrases; None proposes one.
        kind: ``object``, ``style``, ``identity`` or ``explicit``, for concepts given as phrases;
            ``auto`` takes it from the phrase.
        preset: ``fast`` (stage 1), ``trace`` (both stages) or ``hardened``; see
            ``config.PRESETS``. The three settings that follow are the preset's unless given.
        closed_form: settings of stage 1; None leaves it out.
        finetune: settings of stage 2, ``FinetuneConfig()`` for the usual ones; None leaves it out.
        seed: of every random choice; the same seed gives the same bytes.
        hardening: ``off``, ``closed_form`` or ``adversarial``, which trains; see ``EraseConfig``.
        search: ``words`` or ``network``, what is asked for words that are left open; see
            ``EraseConfig``.
        captions: ordinary language of the model's domain; default: the embedded world's for a
            shipped model, photographs' for any other.
        on_step: called after every training step.
        workdir: an existing folder that keeps a checkpoint of stage 2, from which a killed run
            with the same settings resumes. ``Erasure.save`` deletes the checkpoint.

    Returns:
        The erasure: ``attach`` it, ``save`` it. Its ``verdict`` says what it is worth; a failed
        one is warned of with ``FailedErasureWarning``.

    Raises:
        InputError: for bad settings, a concept the tokenizer cannot place, an unknown pipeline, a
            checkpoint that is damaged.
        NonFiniteError: when training diverges; the pipeline is restored.

    Example:
        >>> from trace_erasure import Concept, erase
        >>> from trace_erasure.testing import CAPTIONS, tiny_stable_diffusion
        >>> pipe = tiny_stable_diffusion()
        >>> erasure = erase(pipe, Concept("fox", surrogate="dog"), captions=CAPTIONS)
        >>> erasure.record.title
        'Erases: fox'
    """
    one = [concepts] if isinstance(concepts, str | Concept) else concepts
    listed = check_list("concepts", one, (str, Concept), empty=False) or ()
    if not any(isinstance(one, str) for one in listed):
        for name, value in (("surrogate", surrogate), ("kind", kind)):
            if value not in (None, AUTO):
                raise InputError(
                    f"{name} is {shown(value)}, and no concept is given as a phrase, so that it "
                    f"would have no effect. Write it in Concept(…, {name}=…)."
                )
    made = [
        c if isinstance(c, Concept) else Concept(c, surrogate=surrogate, kind=kind) for c in listed
    ]
    asked = {"closed_form": closed_form, "finetune": finetune, "hardening": hardening}
    given = {name: value for name, value in asked.items() if value != OF_PRESET}
    spec = EraseConfig(tuple(made), seed=seed, search=search, **preset_settings(preset, given))
    erasure = run(pipe, spec, captions, on_step, workdir)
    warn_if_failed(erasure, stacklevel=3)
    return erasure


@torch.enable_grad()  # a caller under no_grad may train all the same
def run(
    pipe: Any,
    spec: EraseConfig,
    captions: Sequence[str] | None = None,
    on_step: OnStep | None = None,
    workdir: str | Path | None = None,
    beside: Sequence[Concept] = (),
) -> Erasure:
    """``erase`` with its settings as one ``EraseConfig``.

    ``beside`` are other concepts that will be erased together with these, by ``merge``: nothing
    of theirs becomes a surrogate or is retained.
    """
    with words_hidden((*spec.concepts, *beside)):
        return _run(pipe, spec, captions, on_step, workdir, beside)


def _run(
    pipe: Any,
    spec: EraseConfig,
    captions: Sequence[str] | None,
    on_step: OnStep | None,
    workdir: str | Path | None,
    beside: Sequence[Concept],
) -> Erasure:
    """``run``, with every word in its logs."""
    check_call("on_step", on_step, optional=True)
    if workdir is not None:
        workdir = check_folder("workdir", workdir, exists=True)
    started = time.perf_counter()
    trains = spec.finetune is not None or spec.hardening == "adversarial"
    operation = conditions.PREDICT if spec.search == "network" else conditions.MEASURE
    conditions.check(pipe, conditions.MEASURE, conditions.TRAIN if trains else operation)
    conditions.log_adapters(pipe)
    denoiser = Denoiser(pipe)
    check_sound(denoiser)
    base = fingerprint(pipe)
    captions = captions_for(denoiser, captions)
    source = caption_source(captions)
    log.info("captions: %s (%d)", source["list"], source["count"])
    planned = resolve(denoiser, spec, captions, beside)
    closed: dict[str, LowRank] = {}
    certificate: Certificate | None = None
    verdict: ErasureVerdict | None = None
    statistics: tuple[MergeStatistics, ...] = ()
    if planned.spec.closed_form is not None:
        settings = planned.spec.closed_form
        edit = _closed_form(denoiser, planned, settings, captions)
        closed, certificate = edit.delta, edit.certificate
        verdict = judge(denoiser, spec.concepts, planned.concepts, edit, settings.mode, captions)
        statistics = tuple(map(MergeStatistics, planned.concepts, edit.statistics))
        log.info("closed form: %.1f s", time.perf_counter() - started)
    tuned: dict[str, LowRank] = {}
    record: FinetuneRecord | None = None
    checkpoint: Path | None = None
    if planned.spec.finetune is not None:
        if workdir is not None:
            checkpoint = workdir / _checkpoint_name(planned, base)
        tuned, record = _finetune(
            denoiser, planned, planned.spec.finetune, closed, on_step, checkpoint
        )
        log.info("with the finetune: %.1f s", time.perf_counter() - started)
    _check_finite([*closed.values(), *tuned.values()])
    return Erasure(
        family=denoiser.family.name,
        base=base,
        closed_form=closed,
        finetuned=tuned,
        record=TraceRecord(
            **heading(planned.concepts),
            spec=planned.spec,
            asked=spec,
            certificate=certificate,
            verdict=verdict,
            finetune=record,
            captions=source,
            retain=tuple(planned.retain),
            versions=versions(),
        ),
        merge_statistics=statistics,
        checkpoints=() if checkpoint is None else (checkpoint,),
    )


def _check_finite(changes: Sequence[LowRank]) -> None:
    if not all(one.down.isfinite().all() and one.up.isfinite().all() for one in changes):
        raise NonFiniteError("the change that was found is not finite in float32.")


def _closed_form(
    denoiser: Denoiser,
    planned: ResolvedRequest,
    settings: ClosedFormConfig,
    captions: Sequence[str] | None,
) -> ClosedFormEdit:
    """Stage 1; logs the recovery margins of hardened streams."""
    hardened = planned.spec.hardening != "off"
    edit = closed_form_edit(
        denoiser, planned.concepts, planned.retain, settings, captions, hardened=hardened
    )
    for stream, margins in edit.margins.items():
        text = " → ".join(f"{margin:.2g}" for margin in margins)
        log.info("hardened %s, recovery margin: %s", stream, text)
    return edit


def _checkpoint_name(planned: ResolvedRequest, base: Mapping[str, Any]) -> str:
    """Names a checkpoint by everything that decides the training, so that no other resumes it."""
    decides = [asdict(planned.spec), planned.retain, planned.captions, base]
    return f"finetune-{digest_of(decides)}.safetensors"


def _finetune(
    denoiser: Denoiser,
    planned: ResolvedRequest,
    settings: FinetuneConfig,
    closed: dict[str, LowRank],
    on_step: OnStep | None,
    checkpoint: Path | None,
) -> tuple[dict[str, LowRank], FinetuneRecord]:
    """Stage 2 on top of ``closed``, and its record; the network is left as it was."""
    seed = planned.spec.seed
    assert planned.steered is not None  # there is a stage 2
    retained = retained_prompts(planned, settings.retain_trajectories)
    with adapters.frozen(denoiser, CLOSED_FORM_ADAPTER):
        if closed:
            adapters.attach(denoiser, closed, CLOSED_FORM_ADAPTER)
        data = prepare_finetune_data(denoiser, planned.steered, retained, settings, seed)
        adversarial = planned.spec.hardening == "adversarial"
        found = finetune_adapter(
            denoiser,
            data,
            settings,
            seed,
            checkpoint=checkpoint,
            switch_off=partial(adapters.switched_off, denoiser, CLOSED_FORM_ADAPTER)
            if adversarial
            else None,
            on_step=on_step,
        )
    profile = TrajectoryProfile(noise_levels=data.profile.noise_levels, energy=data.profile.energy)
    record = FinetuneRecord(
        noise_level=data.noise_level, profile=profile, final_loss=found.losses[-1:]
    )
    return found.delta, record
