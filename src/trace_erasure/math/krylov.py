"""The leading subspace of a matrix of which few directions are asked for: block Lanczos.

Golub and Van Loan, Matrix Computations, 4th ed., 10.3.6. Full reorthogonalisation, so that rounding
brings no direction back.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from trace_erasure.math import linalg

EXTRA = 8
"""Directions of a block beyond those that are asked for."""
ACCURACY = 1e-9
"""Sine of the largest angle between the subspace that is found and the true one."""
ROUNDING = 1e-14
"""Eigenvalues below this share of the largest are rounding."""
MOST_SHARE = 0.25
"""Share of all directions beyond which a full decomposition takes no longer."""


def krylov_basis(matrix: Float[Tensor, "m n"], count: int) -> Float[Tensor, "m r"] | None:
    """An orthonormal basis of the ``count`` leading left singular vectors of ``matrix``, m ≤ n.

    Columns stand in ascending order of their singular values. None where they are too many, or
    lie too close to the next, for this to be faster than a full decomposition.
    """
    rows = len(matrix)
    width = count + EXTRA
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(matrix.shape[1], width, generator=generator, dtype=matrix.dtype)
    block = linalg.qr((start.mT @ matrix.mT).mT)[0]
    basis, images = block, block[:0]
    while basis.shape[1] <= MOST_SHARE * rows:
        # A few columns from the left: the library's kernels take half of the time for them there.
        image = (block.mT @ matrix).mT
        images = torch.cat([images.reshape(len(image), -1), image], dim=1)
        values, vectors = linalg.eigh(images.mT @ images)
        block = (image.mT @ matrix.mT).mT
        rest = torch.eye(width, dtype=matrix.dtype)
        for _ in range(2):
            # The second time for what the first leaves in columns that are rounding error.
            block, part = linalg.qr(block - basis @ (basis.mT @ block))
            rest = part @ rest
        leading = vectors[:, -count:]
        # What the operator does to a Ritz vector beyond the subspace lies in the next block.
        missed = linalg.column_norms(rest @ leading[-width:]).max()
        gap = values[-count] - values[-count - 1]
        if missed <= ACCURACY * gap or missed <= ROUNDING * values[-1]:
            return basis @ leading
        basis = torch.cat([basis, block], dim=1)
    return None
