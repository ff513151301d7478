"""What every test gets: one thread, so that two workers use two cores, shapes, and tiers."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from support.shapes import check_shapes

check_shapes()
