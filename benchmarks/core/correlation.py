"""Spearman's rank correlation."""

from __future__ import annotations

from collections.abc import Sequence

from scipy.stats import spearmanr


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """From −1 to 1; nan where one of the two does not vary."""
    return float(spearmanr(first, second)[0])  # type: ignore[arg-type]
