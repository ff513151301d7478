"""The artifact: what was removed from which model, in one small file, to put on and take off."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import warnings
from collections.abc import Callable, Mapping
from copy import copy, deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from trace_erasure.artifact import hub, storage
from trace_erasure.artifact.merge_statistics import MergeStatistics
from trace_erasure.artifact.model_card import NO_NOTES, CardNotes
from trace_erasure.artifact.provenance import invalid
from trace_erasure.artifact.record import RECORD, Record
from trace_erasure.artifact.verdict import ErasureVerdict
from trace_erasure.errors import InputError
from trace_erasure.math.lowrank import Delta, LowRank, add, scaled
from trace_erasure.pipeline.families.registry import family_of
from trace_erasure.pipeline.fingerprint import Fingerprint, difference, fingerprint, tensor_bytes
from trace_erasure.pipeline.strength import check_strength
from trace_erasure.utils.folders import check_folder, check_path

log = logging.getLogger("trace_erasure")

# Modules that need diffusers or peft are imported where a pipeline is at hand, so that reading a
# file needs neither.


@dataclass(frozen=True, eq=False, repr=False)
class Erasure:
    """A change to a denoising network that removes concepts, and where it comes from.

    Attributes:
        family: name of the model family.
        base: ``fingerprint`` of the pipeline that it was made on.
        closed_form: the closed-form edit of the text-facing maps; may be empty.
        finetuned: the trained part; may be empty.
        record: how it was made; see ``artifact.record``. A mapping as version 0.1.0 wrote it is
            read into one.
        merge_statistics: what each concept contributes to a joint solve with other artifacts; none
            in an artifact that is itself the result of one.
        checkpoints: files from which its training can resume; ``save`` deletes them.

    Raises ``InputError`` where neither part changes anything, or for a mapping that is no record.
    """

    family: str
    base: Fingerprint
    closed_form: Delta
    finetuned: Delta
    record: Record
    merge_statistics: tuple[MergeStatistics, ...] = ()
    checkpoints: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if not any(change.rank for change in self.delta.values()):
            raise InputError(
                "this erasure changes nothing: the closed-form and the finetuned part are both "
                "empty. Make it with at least one of them."
            )
        if isinstance(self.record, Mapping):
            try:
                record = RECORD.validate_json(json.dumps(self.record))
            except ValidationError as error:
                raise invalid("this erasure", "record", error) from error
            object.__setattr__(self, "record", record)

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
        return self.record.strength

    @property
    def shares(self) -> tuple[MergeStatistics, ...]:
        """``merge_statistics`` under its name of version 0.1.0; goes in the next release."""
        warnings.warn(
            "Erasure.shares is now called merge_statistics.", DeprecationWarning, stacklevel=2
        )
        return self.merge_statistics

    @property
    def verdict(self) -> ErasureVerdict | None:
        """What the erasure is worth by its figures, in a word; see ``artifact.verdict``.

        None where the file has none: it is older, of another method, or at a strength other than 1.
        """
        return self.record.verdict

    @property
    def complaint(self) -> str:
        """What is wrong with an erasure that failed, and what to do next; else empty."""
        if self.verdict is None or not self.verdict.failed:
            return ""
        return " ".join([f"{self.record.title}: {self.verdict}.", *self.verdict.advice])

    def __repr__(self) -> str:
        verdict = "" if self.verdict is None else f", {self.verdict.word}"
        rank = max(change.rank for change in self.delta.values())
        return f"<Erasure {self.record.title!r} of {self.family}, rank {rank}{verdict}>"

    def scaled(self, strength: float) -> Erasure:
        """The erasure at ``strength``, 0 to 2, for good: a file of it acts so at weight 1.

        Raises ``InputError`` for a strength out of range.
        """
        check_strength(strength)
        return replace(
            self,
            closed_form=scaled(self.closed_form, strength),
            finetuned=scaled(self.finetuned, strength),
            record=self.record.model_copy(
                update={
                    "strength": self.strength * strength,
                    "verdict": self.verdict if strength == 1 else None,
                }
            ),
        )

    # On a pipeline ------------------------------------------------------------------------

    def attach(self, pipe: Any, strength: float = 1.0) -> Attachment:
        """Erases from ``pipe``, by ``strength`` from 0 (not at all) through 1 (as made) to 2.

        Plain call, or ``with erasure.attach(pipe):`` to detach at the end. Adapters of your own
        stay as they are; load them first, since ``pipe.load_lora_weights`` may switch off what
        was there before (``set_strength`` switches the erasure on again).

        Raises:
            InputError: for a pipeline of another family, one that has this erasure already, a
                strength out of range, or one on which the erasure would have no effect. The
                pipeline is then as it was.

        Warns where the pipeline is not the base model that the erasure was made on.

        Example:
            >>> from trace_erasure.testing import tiny_erasure
            >>> pipe, erasure = tiny_erasure()
            >>> with erasure.attach(pipe) as erased:
            ...     image = erased("a photo of a fox", num_inference_steps=2).images[0]
            >>> image.size
            (16, 16)
        """
        from trace_erasure.pipeline import adapters, conditions

        family = family_of(pipe)
        if family.name != self.family:
            raise InputError(
                f"this erasure was made for {self.family}, and this pipeline is {family.name}. "
                f"Use a {self.family} pipeline, or make an erasure for {family.name}."
            )
        conditions.check(pipe, conditions.ATTACH)
        change = ""
        if conditions.without_text(pipe):
            log.info("no text encoder here: whether this is the erasure's base is not checked")
        else:
            change = difference(self.base, fingerprint(pipe))
        adapters.attach(pipe, self.delta, self.name, strength)
        if change:
            warnings.warn(
                f"this erasure was made on another base model ({change}). "
                "It may erase less here, and its figures and guarantees do not carry over.",
                stacklevel=2,
            )
        return Attachment(self, pipe)

    def bake(self, pipe: Any) -> Any:
        """``fuse`` under its name of version 0.1.0."""
        return self.fuse(pipe)

    def fuse(self, pipe: Any) -> Any:
        """A copy of ``pipe`` with the erasure in its weights, and no adapter of ours.

        The other parts of the pipeline are shared, the network is not. Raises ``InputError`` as
        ``attach`` does.

        Example:
            >>> from trace_erasure.testing import tiny_erasure
            >>> pipe, erasure = tiny_erasure()
            >>> fused = erasure.fuse(pipe)
            >>> fused.unet is pipe.unet, fused.vae is pipe.vae
            (False, True)
        """
        from trace_erasure.pipeline import adapter_layers, conditions

        conditions.check(pipe, conditions.FUSE)
        with self.attach(pipe):
            pass  # the same checks, and the same warning
        family = family_of(pipe)
        fused = copy(pipe)
        setattr(fused, family.denoiser, deepcopy(family.network(pipe)))
        with torch.no_grad():
            for path, change in self.delta.items():
                weight = adapter_layers.linear_at(fused, path).weight
                weight += change.dense().to(weight)
        return fused

    def detach(self, pipe: Any) -> None:
        """Gives back the pipeline as it was. ``InputError`` where it is not attached."""
        from trace_erasure.pipeline import adapters

        adapters.detach(pipe, self.name)

    def set_strength(self, pipe: Any, strength: float) -> None:
        """Changes the strength of an attached erasure, 0 to 2."""
        from trace_erasure.pipeline import adapters

        adapters.set_strength(pipe, self.name, strength)

    def set_weight(self, pipe: Any, weight: float) -> None:
        """``set_strength`` under the name that users of LoRA adapters know.

        Example:
            >>> from trace_erasure.testing import tiny_erasure
            >>> pipe, erasure = tiny_erasure()
            >>> attachment = erasure.attach(pipe)
            >>> erasure.set_weight(pipe, 0.5)
            >>> erasure.detach(pipe)
        """
        self.set_strength(pipe, weight)

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
        from trace_erasure.pipeline.gate import gate

        return gate(pipe, self.name, noise_level)

    # Files --------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes one safetensors file that any LoRA loader reads; returns its path.

        ``.safetensors`` is added where missing. The same erasure gives the same bytes. A file that
        is there is replaced.

        Raises ``InputError`` where the file cannot be written, ``NonFiniteError`` for an erasure
        that is not finite; nothing is left behind then.

        Example:
            >>> import tempfile
            >>> from trace_erasure.testing import tiny_erasure
            >>> pipe, erasure = tiny_erasure()
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     erasure.save(f"{folder}/no-fox").name
            'no-fox.safetensors'
        """
        file = storage.with_suffix(path)
        if file.is_file():
            log.info("%s was there already and is replaced", file)
        storage.write(self, file)
        for checkpoint in self.checkpoints:
            checkpoint.unlink(missing_ok=True)
        return file

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Erasure:
        """The erasure in a file that ``save`` wrote, both parts apart.

        Raises ``InputError`` for a file that is missing, damaged, changed, a pickle, not ours,
        or of another version's format; the message names the file and the field.

        Example:
            >>> import tempfile
            >>> from trace_erasure import Erasure
            >>> from trace_erasure.testing import tiny_erasure
            >>> pipe, erasure = tiny_erasure()
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     found = Erasure.load(erasure.save(f"{folder}/no-fox"))
            >>> found.record.concepts[0].phrase
            'fox'
        """
        return cls(**storage.read(check_path("path", path)))

    def save_pretrained(self, folder: str | os.PathLike[str], notes: CardNotes = NO_NOTES) -> Path:
        """Writes ``pytorch_lora_weights.safetensors`` and a model card into ``folder``.

        The folder is made where it is missing; ``pipe.load_lora_weights(folder)`` finds the file.
        ``notes`` are for the card: the base's name, the licence, the attacks that were run.
        Returns the folder. Raises ``InputError`` as ``save`` does.

        Example:
            >>> import os, tempfile
            >>> from trace_erasure.testing import tiny_erasure
            >>> pipe, erasure = tiny_erasure()
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     sorted(os.listdir(erasure.save_pretrained(folder)))
            ['README.md', 'pytorch_lora_weights.safetensors']
        """
        return hub.save_pretrained(self, check_folder("folder", folder), notes)

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str],
        *,
        revision: str | None = None,
        local_files_only: bool = False,
        token: str | bool | None = None,
    ) -> Erasure:
        """The erasure in a folder that ``save_pretrained`` wrote, or in a repository of the hub.

        Args:
            name: a folder, a file, or a repository such as ``user/no-fox``.
            revision: branch, tag or commit of the repository.
            local_files_only: never download; take what the hub's cache has.
            token: of the hub, for private repositories.

        Raises ``InputError`` where there is no such folder or repository, where it cannot be
        reached, and as ``load`` does.

        Example:
            >>> import tempfile
            >>> from trace_erasure import Erasure
            >>> from trace_erasure.testing import tiny_erasure
            >>> pipe, erasure = tiny_erasure()
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     found = Erasure.from_pretrained(erasure.save_pretrained(folder))
            >>> found.name == erasure.name
            True
        """
        return cls.load(
            hub.weights_file(name, revision, local_files_only=local_files_only, token=token)
        )

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        revision: str | None = None,
        commit_message: str = "Upload an erasure",
        token: str | bool | None = None,
        notes: CardNotes = NO_NOTES,
    ) -> str:
        """Uploads what ``save_pretrained`` writes to ``repo_id``, made where it is missing.

        Returns the address of the commit. Raises ``InputError`` where the hub cannot be reached or
        refuses.
        """
        return hub.push(
            self, repo_id, revision, commit_message, private=private, token=token, notes=notes
        )


@dataclass(frozen=True)
class Attachment:
    """An erasure on a pipeline; as a context manager it gives the pipeline and detaches."""

    erasure: Erasure
    pipe: Any

    def __enter__(self) -> Any:
        return self.pipe

    def __exit__(self, *exception: object) -> None:
        from trace_erasure.pipeline import adapters

        adapters.remove(self.pipe, self.erasure.name)
