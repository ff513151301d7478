"""SPEED: a closed form in the null space of what is retained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from trace_erasure.baselines.base import Baseline, BaselineContext, Change
from trace_erasure.baselines.closed_form_common import (
    change_of,
    empty_columns,
    gram_of,
    least_squares,
    streams_of,
    subject_columns,
    subject_means,
)
from trace_erasure.baselines.last_token import last_columns, moment
from trace_erasure.concepts import candidates
from trace_erasure.concepts.concept import fill_template
from trace_erasure.math.baseline_edits import kmeans_centres, null_basis, speed_edit
from trace_erasure.math.edit_metrics import output_norm
from trace_erasure.pipeline.families.family import TOKENS
from trace_erasure.utils.words import mentions


@dataclass(frozen=True)
class SPEED(Baseline):
    """SPEED (Li et al., ICLR 2026), ε and flow.

    Edits the values only, by the least squares of ``math.baseline_edits.constrained``: in the null
    space of
    the retained embeddings, with the first token of the empty prompt and a few centres of its
    other tokens held exactly. The retained embeddings are those names that a trial edit without
    constraints changes more than the average, each with copies that differ along the direction
    to which the layers respond least.

    Attributes:
        guide: what to put in the concept's place: ``""``, a word, or None for the surrogate.
        penalty: ρ, over the mean squared entry of an embedding; 0.05 for many concepts.
        threshold: eigenvalues of the retained second moment below this share of their mean are
            null.
        copies: of every retained embedding.
        centres: of the empty prompt's tokens after the first.
        templates: whether a phrase is taken in all of the concept's sentences too.
        average: whether a concept is the mean of its phrases and sentences, one column, as in the
            released code, or each of them is a column.
        pooled: whether the layer that reads the pooled vector is edited.

    What differs from the released code:

    - the solve is in coordinates of the null space, symmetric and without the extra λ that the
      released formula adds before it inverts; that λ → 0 gives the same matrix;
    - several phrases of a concept are a column each by default, where the released code takes
      their mean: ``average`` does that;
    - ρ and the threshold are relative to the mean squared entry of the embeddings, which is about
      1 in Stable Diffusion 1, for which they were published;
    - the names to retain are all that the captions name, the concepts left out by whole words,
      and the influence is measured over all layers at once instead of by layer;
    - on flow families one layer feeds keys and values, so that both are edited, and the pooled
      vector is edited too: the released code has neither.
    """

    NAME: ClassVar[str] = "speed"
    SOURCE: ClassVar[str] = "arXiv 2503.07392"

    guide: str | None = ""
    penalty: float = 1.0
    threshold: float = 0.1
    copies: int = 10
    centres: int = 3
    templates: bool = False
    average: bool = False
    pooled: bool = True

    def solve(self, context: BaselineContext) -> Change:
        denoiser = context.denoiser
        delta, figures = {}, {}
        for stream in streams_of(denoiser, self.pooled):
            subject = subject_means if self.average else subject_columns
            concept, target = subject(context, stream, self.guide, self.templates)
            maps_gram = gram_of(denoiser, stream, len(concept))
            retained = self._retained(context, stream, concept, target, maps_gram)
            free = null_basis(moment(retained), self.threshold)
            hold = [
                torch.cat([part[:, :1], kmeans_centres(part[:, 1:], self.centres)], dim=1)
                if part.shape[1] > 1
                else part
                for part in empty_columns(denoiser, stream)
            ]
            edit = speed_edit(concept, target, free, torch.cat(hold, dim=1), self.penalty)
            only = denoiser.family.attention.values if stream == TOKENS else None
            delta |= change_of(denoiser, stream, edit, only)
            figures[stream] = {"retained": retained.shape[1], "free": free.shape[1]}
        return Change(closed_form=delta, figures=figures)

    def _retained(
        self,
        context: BaselineContext,
        stream: str,
        concept: Tensor,
        target: Tensor,
        maps_gram: Tensor,
    ) -> Tensor:
        """The influenced names' columns and their copies, (d, n)."""
        erased = [phrase for c in context.concepts for phrase in c.phrases]
        names = [
            fill_template(candidates.PROBE_TEMPLATES[kind], name)
            for kind in ("object", "style", "identity")
            for name in candidates.caption_names(context.captions, kind)
            if not mentions(name, erased)
        ]
        prompts = list(dict.fromkeys([*context.request.retain, *names]))
        columns = torch.cat(last_columns(context.denoiser, prompts, stream), dim=1)
        trial = least_squares(concept, target, columns[:, :0], penalty=self.penalty, preserve=0.0)
        influence = output_norm(trial.shift @ (trial.read @ columns), maps_gram)
        columns = columns[:, influence >= influence.mean()]
        least_used = torch.linalg.eigh(maps_gram).eigenvectors[:, :1]
        generator = torch.Generator().manual_seed(context.seed)
        noise = torch.randn(
            1, columns.shape[1] * self.copies, generator=generator, dtype=torch.float64
        )
        size = columns.square().mean().sqrt()
        return torch.cat(
            [columns, columns.repeat(1, self.copies) + size * least_used * noise], dim=1
        )
