"""Every supported family, in one tuple."""

from trace_erasure.families.sd import STABLE_DIFFUSION
from trace_erasure.families.table import Family

FAMILIES: tuple[Family, ...] = (STABLE_DIFFUSION,)
