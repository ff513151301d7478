"""UCE: one column a concept, redirected by least squares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from trace_erasure.baselines.base import Baseline, BaselineContext, Change
from trace_erasure.baselines.closed_form_common import (
    change_of,
    least_squares,
    retained_columns,
    streams_of,
    subject_columns,
    subject_tails,
)
from trace_erasure.errors import InputError

COLUMNS = ("last", "tail")


@dataclass(frozen=True)
class UCE(Baseline):
    """Unified Concept Editing (Gandikota et al., WACV 2024), ε and flow.

    Minimises, over every layer that reads text directly,

        erase ‖W′C − WS‖² + preserve ‖W′R − WR‖² + λ‖W′ − W‖²

    with the columns of the concept in C, the guide's in S, and those of retained prompts in R.
    Two codes were released, which differ in these columns:

    - ``last``, of 2025: the last token of the phrase, of the guide and of each retained prompt;
    - ``tail``, of 2023: from the phrase's last token to the end of the prompt, padding included,
      as many of the guide's, and all columns of the retained prompts and of the empty one.

    Attributes:
        guide: what to put in the concept's place: ``""``, a word, or None for the surrogate.
        erase_scale, preserve_scale: weights of the terms.
        penalty: λ, over the mean squared entry of an embedding.
        columns: ``last`` or ``tail``.
        templates: whether a phrase is taken in all of the concept's sentences too.
        pooled: whether the layer that reads the pooled vector is edited.

    What differs from the released code:

    - the bias is no part of the regression. On FLUX it is in the released target but not in the
      regressed product, so that every edited prompt is shifted by it;
    - an empty guide is the first token of the empty prompt for every tokenizer. In the released
      code that is so for CLIP, but for T5 the index -1 is the last padding token;
    - λ is relative: CLIP's entries have a mean square of about 1 in Stable Diffusion 1, for which
      0.5 was published, and T5's are far smaller;
    - the pooled layer is edited in every family that has one. The released code does so on FLUX
      and not on SDXL, where its users report that concepts stay;
    - the preserved concepts, a list of the user's there, are the retained neighbours of TRACE;
    - the sentences of ``templates`` are the concept's own, where the released code has five;
    - of ``tail``, the preserve scale is given and not 1 over the number of retained prompts, and
      an empty guide is the empty prompt, where that code has a single space.
    """

    NAME: ClassVar[str] = "uce"
    SOURCE: ClassVar[str] = "arXiv 2308.14761"
    SEEDED: ClassVar[bool] = False

    guide: str | None = ""
    erase_scale: float = 1.0
    preserve_scale: float = 1.0
    penalty: float = 0.5
    columns: str = "last"
    templates: bool = False
    pooled: bool = True

    def __post_init__(self) -> None:
        if self.columns not in COLUMNS:
            raise InputError(f"columns is {self.columns!r}; allowed: {', '.join(COLUMNS)}.")

    def solve(self, context: BaselineContext) -> Change:
        denoiser, whole = context.denoiser, self.columns == "tail"
        subject = subject_tails if whole else subject_columns
        delta = {}
        for stream in streams_of(denoiser, self.pooled):
            concept, target = subject(context, stream, self.guide, self.templates)
            edit = least_squares(
                self.erase_scale**0.5 * concept,
                self.erase_scale**0.5 * target,
                retained_columns(context, stream, whole),
                penalty=self.penalty,
                preserve=self.preserve_scale,
            )
            delta |= change_of(denoiser, stream, edit)
        return Change(closed_form=delta)
