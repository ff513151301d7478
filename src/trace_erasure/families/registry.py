"""Every supported family, in one tuple."""

from trace_erasure.families.flux import FLUX
from trace_erasure.families.flux2 import FLUX_2
from trace_erasure.families.sd import STABLE_DIFFUSION
from trace_erasure.families.sd3 import STABLE_DIFFUSION_3
from trace_erasure.families.sdxl import STABLE_DIFFUSION_XL
from trace_erasure.families.table import Family

FAMILIES: tuple[Family, ...] = (
    STABLE_DIFFUSION,
    STABLE_DIFFUSION_XL,
    STABLE_DIFFUSION_3,
    FLUX,
    FLUX_2,
)
