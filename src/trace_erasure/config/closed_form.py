"""Settings of stage 1."""

from __future__ import annotations

from dataclasses import dataclass

from trace_erasure.config.checks import check
from trace_erasure.utils.numbers import check_flag, check_integer, check_number

MODES = ("equality", "ridge", "null_space")


@dataclass(frozen=True)
class ClosedFormConfig:
    """Stage 1.

    Attributes:
        mode: ``equality`` (redirect exactly along the chosen directions), ``ridge`` (the best
            compromise of so many directions, over sentences from the captions, too) or
            ``null_space`` (that, but never touch the retained span). None is ``ridge`` where a
            text encoder reads both ways, or where one direction for each concept is more than an
            equality has room for, and nothing asks for an equality; else ``equality``.
        directions: how many leading directions of surrogate − concept to redirect. None solves
            untruncated: in equality mode exact on the listed prompts, badly conditioned with many
            of them. There several concepts of one run share the directions out, at least one each;
            a compromise has so many for each.
        ridge: λ of Σ + λ·mean(diag Σ)·I.
        keep: how many leading directions of the retained embeddings are held exactly; a ridge
            weighs all of them instead.
        pooled: whether the pooled vector, in families that have one, is redirected too; without
            it the concept keeps a way in, and the certificate calls the pooled path open.

    ``directions`` and ``keep`` count for each segment of tokens (Stable Diffusion 3 has CLIP's
    and T5's) and for the pooled vector.
    """

    mode: str | None = None
    directions: int | None = 8
    ridge: float = 1e-3
    keep: int = 24
    pooled: bool = True

    def __post_init__(self) -> None:
        known = self.mode is None or self.mode in MODES
        check(known, "closed_form.mode", self.mode, ", ".join(MODES))
        check_integer("closed_form.directions", self.directions, 1, optional=True)
        check_number("closed_form.ridge", self.ridge, 0, exclusive=True)
        check_integer("closed_form.keep", self.keep, 0)
        check_flag("closed_form.pooled", self.pooled)
