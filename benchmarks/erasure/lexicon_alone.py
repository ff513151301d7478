"""Stage 1 on an embedded model as on any other: the lexicon in place of the world's words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.baselines.trace import Trace
from trace_erasure.concepts.captions import captions_for
from trace_erasure.concepts.concept import Concept, without_article
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.utils.words import mentions
from trace_erasure.world import load_world


@dataclass(frozen=True)
class LexiconAlone:
    """TRACE at its defaults, told nothing of the world but captions without any test's wording.

    Surrogate, synonyms and templates are those of a model of the real world. What is passed on as
    captions has no synonym and no description that ``world.yaml`` lists.
    """

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
        known = captions_for(Denoiser(pipe), captions)
        with patch.object(Denoiser, "shipped", None):
            return Trace().erase(pipe, concepts, seed=seed, captions=untold(known), workdir=workdir)


def untold(captions: Sequence[str]) -> tuple[str, ...]:
    """``captions`` without those that have a synonym or a description of the world's list.

    >>> untold(["a fox", "a vixen", "a thing that shoots arrows"])
    ('a fox',)
    """
    told = [word for thing in load_world().objects for word in (*thing.synonyms, *thing.hints)]
    told = [without_article(word) for word in told]
    return tuple(text for text in captions if not mentions(text, told))
