"""TRACE as a technique of ``eval-unlearn`` (PyPI), which finds it by its entry point.

technique: trace
technique_config: {model_id: /models/stable-diffusion-v1-5, erase_concept: nudity}
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from PIL import Image

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.concepts.concept import Concept
from trace_erasure.config import FinetuneConfig
from trace_erasure.errors import InputError
from trace_erasure.pipeline.generate import generate
from trace_erasure.pipeline.loading import load_pipeline
from trace_erasure.trace.erase import erase


@dataclass(frozen=True)
class Options:
    """What ``technique_config`` may say.

    Attributes:
        model_id: a shipped model, or the folder of a diffusers pipeline; nothing is downloaded.
        erase_concept: one concept or several.
        surrogate, kind: of every concept; see ``Concept``.
        load_path: an erasure to use instead of making one.
        save_path: where to write the one that is made.
        finetune: whether stage 2 is trained on top of the closed form.
        device: to draw on; the erasure is made there, too.
        batch: pictures drawn at once.
    """

    model_id: str = ""
    erase_concept: str | Sequence[str] = ()
    surrogate: str | None = None
    kind: str = "object"
    load_path: str | None = None
    save_path: str | None = None
    finetune: bool = False
    device: str = "cpu"
    num_inference_steps: int = 50
    guidance_scale: float = 7.5
    batch: int = 4
    seed: int = 0


def _phrases(named: Any) -> list[str]:
    """One concept, or a list of them, as a list without repeats."""
    listed = [named] if isinstance(named, str) else named
    if not isinstance(listed, list | tuple) or not all(isinstance(one, str) for one in listed):
        raise InputError(
            f"erase_concept is {named!r}; allowed: a concept, or a list of concepts, as texts."
        )
    phrases = [one.strip() for one in listed if one.strip()]
    return list(dict.fromkeys(phrases))


class TraceTechnique:
    """The pipeline with the erasure on it.

    Raises:
        InputError: an option is unknown, or neither a concept nor ``load_path`` is given.
    """

    def __init__(self, **options: Any) -> None:
        known = [field.name for field in fields(Options)]
        for name in options:
            if name not in known:
                raise InputError(f"unknown option {name!r}. Allowed: {', '.join(known)}.")
        self.config = Options(**options)
        phrases = _phrases(self.config.erase_concept)
        if not phrases and self.config.load_path is None:
            raise InputError("nothing to erase. Give erase_concept, or load_path with an erasure.")
        self.pipe = load_pipeline(self.config.model_id).to(self.config.device)
        if self.config.load_path is not None:
            erasure = Erasure.load(self.config.load_path)
        else:
            concepts = [Concept(p, self.config.surrogate, self.config.kind) for p in phrases]
            finetune = FinetuneConfig() if self.config.finetune else None
            erasure = erase(self.pipe, concepts, finetune=finetune, seed=self.config.seed)
        if self.config.save_path is not None:
            erasure.save(Path(self.config.save_path))
        erasure.attach(self.pipe)
        self.asked: Counter[str] = Counter()

    def generate(
        self, prompts: Sequence[str], seed: int | None = None, **options: Any
    ) -> list[Image.Image]:
        """One picture for each prompt.

        Its noise follows from ``seed`` (0 where there is none), the prompt, and how often that was
        asked for, so that it does not depend on how the caller divides the prompts.
        """
        numbers = []
        for prompt in prompts:
            text = f"{seed or 0} {self.asked[prompt]} {prompt}"
            numbers.append(int(hashlib.sha256(text.encode()).hexdigest()[:7], 16))
            self.asked[prompt] += 1
        return generate(
            self.pipe,
            list(prompts),
            numbers,
            steps=options.get("num_inference_steps", self.config.num_inference_steps),
            guidance_scale=options.get("guidance_scale", self.config.guidance_scale),
            batch=self.config.batch,
        )
