"""The artifact: what was removed from which model, in one small file, to put on and take off."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Mapping
from copy import copy, deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from trace_erasure.artifact import lora_file
from trace_erasure.artifact.header import MERGE_STATISTICS
from trace_erasure.artifact.merge_statistics import MergeStatistics, from_text, to_text
from trace_erasure.errors import InputError
from trace_erasure.math.lowrank import Delta, LowRank, add, scaled
from trace_erasure.pipeline import adapters
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.families import registry
from trace_erasure.pipeline.families.family import TOKENS, Family
from trace_erasure.pipeline.families.registry import family_of
from trace_erasure.pipeline.fingerprint import difference, fingerprint, tensor_bytes

FORMAT = 2
SUFFIX = ".safetensors"


@dataclass(frozen=True, eq=False)
class Erasure:
    """A change to a denoising network that removes concepts, and where it comes from.

    Attributes:
        family: name of the model family.
        base: ``fingerprint`` of the pipeline that it was made on.
        closed_form: the closed-form edit of the text-facing maps; may be empty.
        finetuned: the trained part; may be empty.
        record: provenance that JSON can hold (spec, certificate, figures, versions, seed, noise
            levels). ``title``, ``description`` and ``date`` (ISO 8601) in it are what model
            browsers show.
        merge_statistics: what each concept brings to a joint solve with other artifacts; none in an
            artifact that is itself the result of one.
        checkpoints: files from which its training can resume; ``save`` deletes them.

    Raises ``InputError`` where neither part changes anything.
    """

    family: str
    base: Mapping[str, Any]
    closed_form: Delta = field(repr=False)
    finetuned: Delta = field(repr=False)
    record: Mapping[str, Any] = field(repr=False)
    merge_statistics: tuple[MergeStatistics, ...] = field(default=(), repr=False)
    checkpoints: tuple[Path, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if not any(change.rank for change in self.delta.values()):
            raise InputError(
                "this erasure changes nothing: the closed-form and the finetuned part are both "
                "empty. Make it with at least one of them."
            )

    @property
    def delta(self) -> dict[str, LowRank]:
        """Both parts as one change, ranks concatenated, closed-form first."""
        return add([self.closed_form, self.finetuned])

    @property
    def name(self) -> str:
        """The adapter's name on a pipeline, from the content: the same after save and load."""
        digest = hashlib.sha256()
        for path, change in sorted(self.delta.items()):
            digest.update(path.encode())
            for factor in (change.down, change.up):
                digest.update(tensor_bytes(factor.float()))
        return f"erasure_{digest.hexdigest()[:12]}"

    @property
    def strength(self) -> float:
        """What the factors were multiplied by when the artifact was made: 1 unless ``scaled``."""
        return self.record.get("strength", 1.0)

    def scaled(self, strength: float) -> Erasure:
        """The erasure at ``strength``, 0 to 2, for good: a file of it acts so at weight 1.

        Raises ``InputError`` for a strength out of range.
        """
        adapters.check_strength(strength)
        record = {**self.record, "strength": self.strength * strength}
        return replace(
            self,
            closed_form=scaled(self.closed_form, strength),
            finetuned=scaled(self.finetuned, strength),
            record=record,
        )

    # On a pipeline ------------------------------------------------------------------------

    def attach(self, pipe: Any, strength: float = 1.0) -> Attachment:
        """Erases from ``pipe``, by ``strength`` from 0 (not at all) through 1 (as made) to 2.

        Plain call, or ``with erasure.attach(pipe):`` to detach at the end. Adapters of your own
        stay as they are; load them first, since ``pipe.load_lora_weights`` may switch off what
        was there before (``set_strength`` switches the erasure on again).

        Raises:
            InputError: for a pipeline of another family, one that has this erasure already, a
                strength out of range, or one on which the erasure would have no effect.

        Warns where the pipeline is not the base model that the erasure was made on.
        """
        family = family_of(pipe)
        if family.name != self.family:
            raise InputError(
                f"this erasure was made for {self.family}, and this pipeline is {family.name}. "
                f"Use a {self.family} pipeline, or make an erasure for {family.name}."
            )
        adapters.attach(pipe, self.delta, self.name, strength)
        change = difference(self.base, fingerprint(pipe))
        if change:
            warnings.warn(
                f"this erasure was made on another base model ({change}). "
                "It may erase less here, and its figures and guarantees do not carry over.",
                stacklevel=2,
            )
        return Attachment(self, pipe)

    def bake(self, pipe: Any) -> Any:
        """A copy of ``pipe`` with the erasure in its weights, and no adapter of ours.

        The other parts of the pipeline are shared, the network is not. Raises ``InputError`` as
        ``attach`` does.
        """
        with self.attach(pipe):
            pass  # the same checks, and the same warning
        family = family_of(pipe)
        baked = copy(pipe)
        setattr(baked, family.denoiser, deepcopy(family.network(pipe)))
        with torch.no_grad():
            for path, change in self.delta.items():
                weight = adapters.linear(baked, path).weight
                weight += change.dense().to(weight)
        return baked

    def detach(self, pipe: Any) -> None:
        """Gives back the pipeline as it was. ``InputError`` where it is not attached."""
        adapters.detach(pipe, self.name)

    def set_strength(self, pipe: Any, strength: float) -> None:
        """Changes the strength of an attached erasure, 0 to 2."""
        adapters.set_strength(pipe, self.name, strength)

    def gate(self, pipe: Any, noise_level: float) -> Callable[..., dict[str, Any]]:
        """A ``callback_on_step_end`` that lets an attached erasure act on the late steps only.

        The erasure is off from now on, and acts in every step whose input's noise level,
        σ/(α+σ), is at most ``noise_level``; after the last step it is on again. The step that a
        generation begins with is among them only if the model's whole schedule is, since a
        pipeline calls back at the ends of steps. One gate serves one generation:

            pipe(prompt, callback_on_step_end=erasure.gate(pipe, 0.5))

        If a generation breaks off in between, the erasure stays off until ``set_strength``.

        Raises:
            InputError: for a noise level out of 0 to 1 or an erasure that is not attached with a
                strength above 0; from the callback, for a second generation.
        """
        if not 0 <= noise_level <= 1:
            raise InputError(
                f"noise level {noise_level} is out of range. Choose 0 (clean) to 1 (pure noise)."
            )
        name = self.name
        strength = adapters.strength_of(pipe, name)
        if strength == 0:
            raise InputError(
                "this erasure has strength 0 on this pipeline, so there is nothing to switch on. "
                "Call set_strength first."
            )
        denoiser = Denoiser(pipe)

        def switch(timestep: Any) -> None:
            on = bool(denoiser.noise_levels(torch.as_tensor(timestep)) <= noise_level)
            adapters.set_strength(pipe, name, strength if on else 0.0)

        switch(pipe.scheduler.config.num_train_timesteps - 1)
        done = 0

        def callback(pipe: Any, step: int, timestep: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
            nonlocal done
            if step != done:
                raise InputError(
                    "this gate has served a generation already, so that the new one may have begun "
                    "with the erasure on. Make a new gate for every call of the pipeline."
                )
            done += 1
            if done < len(pipe.scheduler.timesteps):
                switch(pipe.scheduler.timesteps[done])
            else:
                adapters.set_strength(pipe, name, strength)
            return kwargs

        return callback

    # Files --------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes one safetensors file that any LoRA loader reads; returns its path.

        ``.safetensors`` is added where missing. The same erasure gives the same bytes.
        Raises ``InputError`` where the file cannot be written, ``NonFiniteError`` for an erasure
        that is not finite; nothing is left behind then.
        """
        path = Path(path)
        if path.suffix != SUFFIX:
            path = path.with_name(path.name + SUFFIX)
        delta = self.delta
        parts = (self.closed_form, self.finetuned)
        provenance = {
            "format": FORMAT,
            "family": self.family,
            "base": self.base,
            "ranks": {p: [part[p].rank if p in part else 0 for part in parts] for p in delta},
            "record": self.record,
        }
        family = _family(self.family)
        readers = family.stream(TOKENS).maps
        widths = [change.shape[1] for path, change in delta.items() if readers.fullmatch(path)]
        metadata = lora_file.header(
            family,
            max(change.rank for change in delta.values()),
            provenance,
            prediction=self.base["prediction_type"],
            title=self.record.get("title", "Concept erasure"),
            description=self.record.get("description", "Removes a concept. Use at strength 1."),
            date=self.record.get("date"),
            text_width=widths[0] if widths else None,
        )
        if self.merge_statistics:
            metadata[MERGE_STATISTICS] = to_text(self.merge_statistics)
        lora_file.write(path, lora_file.state_dict(delta, family), metadata)
        for checkpoint in self.checkpoints:
            checkpoint.unlink(missing_ok=True)
        return path

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Erasure:
        """The erasure in a file that ``save`` wrote, both parts apart.

        Raises ``InputError`` for a file that is missing, damaged, changed, a pickle, not ours,
        or of another version's format.
        """
        tensors, metadata = lora_file.read(path)
        provenance = json.loads(metadata[lora_file.PROVENANCE])
        if (found := provenance["format"]) != FORMAT:
            remedy = "Upgrade trace-erasure." if found > FORMAT else "Make the erasure again."
            raise InputError(
                f"{path} has format {found}, and this version reads {FORMAT}. {remedy}"
            )
        ranks: dict[str, list[int]] = provenance["ranks"]
        delta = lora_file.delta_of(tensors, _family(provenance["family"]), ranks)
        closed_form, finetuned = {}, {}
        for module, (first, second) in ranks.items():
            down, up = delta[module].down, delta[module].up
            if first:
                closed_form[module] = LowRank(down[:first], up[:, :first])
            if second:
                rows = slice(first, first + second)
                finetuned[module] = LowRank(down[rows], up[:, rows])
        return cls(
            family=provenance["family"],
            base=provenance["base"],
            closed_form=closed_form,
            finetuned=finetuned,
            record=provenance["record"],
            merge_statistics=from_text(metadata[MERGE_STATISTICS])
            if MERGE_STATISTICS in metadata
            else (),
        )


@dataclass(frozen=True)
class Attachment:
    """An erasure on a pipeline; as a context manager it gives the pipeline and detaches."""

    erasure: Erasure
    pipe: Any

    def __enter__(self) -> Any:
        return self.pipe

    def __exit__(self, *exception: object) -> None:
        if adapters.attached(self.pipe, self.erasure.name):
            self.erasure.detach(self.pipe)


def _family(name: str) -> Family:
    for family in registry.FAMILIES:
        if family.name == name:
            return family
    known = ", ".join(family.name for family in registry.FAMILIES)
    raise InputError(f"model family {name!r} is not supported here. Supported: {known}.")
