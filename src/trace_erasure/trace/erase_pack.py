"""Erases a pack: one concept with its synonyms, or many, one by one and merged."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.concepts.masking import words_hidden
from trace_erasure.concepts.pack import Pack, load_pack
from trace_erasure.config import EraseConfig
from trace_erasure.trace.erase import run
from trace_erasure.trace.erase_each import erase_each
from trace_erasure.trace.merge import merge
from trace_erasure.trace.verdict import warn_if_failed
from trace_erasure.utils.arguments import check_kind
from trace_erasure.utils.folders import check_folder, check_path, make_folder


def erase_pack(
    pipe: Any,
    pack: str | os.PathLike[str] | Pack,
    *,
    folder: str | os.PathLike[str] | None = None,
    settings: EraseConfig | None = None,
    captions: Sequence[str] | None = None,
) -> Erasure:
    """Erases what a pack lists, as one erasure; the pipeline itself is left as it was.

    Args:
        pipe: a text-to-image pipeline of a supported family.
        pack: a shipped one (``trace-erasure ls packs``), a YAML file, or a ``Pack``.
        folder: where each concept's erasure is kept, so that a killed run goes on.
        settings: of every concept; its own concepts do not count.
        captions: ordinary language of the model's domain; default: the package's list.

    Raises:
        InputError: for a pack that does not exist or is none, and as ``erase`` and ``merge`` do.

    Warns with ``FailedErasureWarning`` where the verdict is *failed*.

    Example:
        >>> from trace_erasure.concepts.pack import Pack
        >>> from trace_erasure import Concept, erase_pack
        >>> from trace_erasure.testing import CAPTIONS, tiny_stable_diffusion
        >>> animals = (Concept("fox", "dog"), Concept("horse", "dog"))
        >>> pack = Pack("animals", 1, "", "", animals, sensitive=False)
        >>> erase_pack(tiny_stable_diffusion(), pack, captions=CAPTIONS).record.title
        'Erases: the pack animals 1'
    """
    check_kind("settings", settings, EraseConfig, optional=True)
    if folder is not None:
        check_folder("folder", folder)
    found = pack if isinstance(pack, Pack) else load_pack(check_path("pack", pack))
    spec = spec_of(found, settings)
    if len(found.concepts) == 1:
        workdir = None if folder is None else make_folder(folder, "folder")
        erasure = run(pipe, spec, captions, workdir=workdir)
        warn_if_failed(erasure)
        return titled(erasure, found)
    kept = tempfile.TemporaryDirectory() if folder is None else nullcontext(folder)
    with kept as where, words_hidden(found.concepts):
        files = erase_each(pipe, spec, Path(where), captions)
        merged = merge([Erasure.load(file) for file in files], pipe, captions=captions)
    return titled(merged, found)


def spec_of(pack: Pack, settings: EraseConfig | None = None) -> EraseConfig:
    """``settings``, by default the usual ones, for the concepts of ``pack``."""
    if settings is None:
        return EraseConfig(pack.concepts)
    return replace(settings, concepts=pack.concepts)


def titled(erasure: Erasure, pack: Pack) -> Erasure:
    """``erasure`` with the pack's name in its title and description."""
    name = f"the pack {pack.title}"
    heading = {
        "title": f"Erases: {name}",
        "description": f"Removes {name} from text-to-image generation. Use at strength 1.",
    }
    return replace(erasure, record=erasure.record.model_copy(update=heading))
