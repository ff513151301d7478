"""Chooses how many threads to train with while other programs use the same cores."""

from __future__ import annotations

import os

import torch

SPARE = 0.5  # of a core: how much of the load that others make is taken for idle


class Threads:
    """All cores when no other program wants them, else one.

    Threads wait for each other at every operation. When another program has one of the cores, two
    threads are many times slower than a single one.
    """

    def __init__(self) -> None:
        self.cores = os.cpu_count() or 1
        torch.set_num_threads(1)

    def adapt(self) -> None:
        """Sets the number of threads by the load of the last minute."""
        own = torch.get_num_threads()
        others = os.getloadavg()[0] - own
        wanted = self.cores if others < SPARE else 1
        if wanted != own:
            torch.set_num_threads(wanted)
