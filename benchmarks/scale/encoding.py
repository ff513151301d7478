"""What passes through the text encoders cost, apart from everything else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from trace_erasure.pipeline.denoiser import Denoiser


@contextmanager
def encoding_timed() -> Iterator[dict[str, float]]:
    """Adds up ``seconds`` and ``cpu_seconds`` of every ``Denoiser.encode`` within."""
    encode, spent = Denoiser.encode, {"seconds": 0.0, "cpu_seconds": 0.0}

    def timed(*arguments: Any, **options: Any) -> Any:
        used, started = time.process_time(), time.perf_counter()
        found = encode(*arguments, **options)
        spent["cpu_seconds"] += time.process_time() - used
        spent["seconds"] += time.perf_counter() - started
        return found

    with patch.object(Denoiser, "encode", timed):
        yield spent
