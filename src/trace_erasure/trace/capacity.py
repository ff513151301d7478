"""What there is room for among concepts that are to be erased together, before any work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trace_erasure.artifact.capacity import Capacity
from trace_erasure.artifact.erasure import Erasure
from trace_erasure.concepts.captions import captions_for
from trace_erasure.concepts.concept import Concept
from trace_erasure.config import EraseConfig, MergeConfig
from trace_erasure.errors import InputError
from trace_erasure.pipeline import conditions
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.fingerprint import fingerprint
from trace_erasure.pipeline.soundness import check_sound
from trace_erasure.trace import conflicts, joint
from trace_erasure.trace.gather_statistics import gather_statistics, gram_roots
from trace_erasure.trace.request import resolve
from trace_erasure.utils.arguments import check_kind, check_list


def capacity(
    pipe: Any,
    what: Sequence[Concept | Erasure],
    settings: MergeConfig = MergeConfig(),
    captions: Sequence[str] | None = None,
) -> dict[str, Capacity]:
    """What there is room for, before any work: by stream of text, see ``Capacity``.

    Args:
        what: concepts that are to be erased together, or artifacts that are to be merged.
        settings: of the merge.
        captions: ordinary language of the model's domain; default: the package's list.

    Raises:
        InputError: for nothing at all, or for artifacts that ``merge`` would refuse.
    """
    what = check_list("what", what, (Concept, Erasure)) or ()
    check_kind("settings", settings, MergeConfig)
    conditions.check(pipe, conditions.MEASURE)
    denoiser = Denoiser(pipe)
    check_sound(denoiser)
    captions = captions_for(denoiser, captions)
    artifacts = [one for one in what if isinstance(one, Erasure)]
    concepts = [one for one in what if isinstance(one, Concept)]
    if not what:
        raise InputError("nothing to erase. Give concepts or artifacts.")
    shares = [share for artifact in artifacts for share in artifact.merge_statistics]
    if artifacts:
        conflicts.check(artifacts, fingerprint(pipe))
    if concepts:
        planned = resolve(denoiser, EraseConfig(tuple(concepts)), captions)
        roots = gram_roots(denoiser)
        shares += [gather_statistics(denoiser, x, planned.retain, roots) for x in planned.concepts]
    shares = conflicts.reconcile(denoiser, shares, captions)
    ordinary = conflicts.ordinary(captions, shares)
    return joint.solve(denoiser, shares, [1.0] * len(shares), settings, ordinary).capacity
