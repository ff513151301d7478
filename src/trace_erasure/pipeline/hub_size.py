"""How much of a repository on the hub will be downloaded, said before it is."""

from __future__ import annotations

import logging
import re

log = logging.getLogger("trace_erasure")

WEIGHTS = re.compile(r"[^.]+(?:\.(?P<variant>[A-Za-z]\w*))?(?:-\d+-of-\d+)?\.safetensors")


def say_size(name: str, revision: str | None, variant: str | None) -> None:
    """Logs the size of the weights of the repository ``name``.

    Says nothing where the hub cannot tell: the download that follows then says why.
    """
    from huggingface_hub import HfApi

    try:
        found = HfApi().model_info(name, revision=revision, files_metadata=True, timeout=10)
    except Exception:  # no network, no such repository: the download says it
        return
    sizes = [
        one.size or 0
        for one in found.siblings or ()
        if "/" in one.rfilename and _variant(one.rfilename) == variant
    ]
    log.info(
        "%s: %.1f GB of weights come from the hub, but for those that are here already",
        name,
        sum(sizes) / 1e9,
    )


def _variant(file: str) -> str | None:
    """The variant of a file of weights; an empty text for other files."""
    match = WEIGHTS.fullmatch(file.rpartition("/")[2])
    return match["variant"] if match else ""
