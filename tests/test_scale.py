"""What makes large models and many concepts affordable gives what the plain way gives."""

from __future__ import annotations

import pytest
import torch

from trace_erasure.concepts.concept import ResolvedConcept
from trace_erasure.config import ClosedFormConfig
from trace_erasure.math.column_pairs import Pairs
from trace_erasure.math.joint_solve import MOST_CAPACITY, joint_equality
from trace_erasure.math.krylov import krylov_basis
from trace_erasure.math.lowrank import LowRank
from trace_erasure.math.subspaces import gram_root
from trace_erasure.pipeline import map_root as kept
from trace_erasure.pipeline import pooled_vectors
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.families.family import TOKENS
from trace_erasure.testing import CAPTIONS, tiny_flux, tiny_sdxl, tiny_stable_diffusion
from trace_erasure.trace import materials
from trace_erasure.trace.closed_form import ClosedFormEdit, closed_form_edit


def spectrum(*values: float, rows: int = 400, columns: int = 460) -> torch.Tensor:
    """A matrix with these singular values, the last one repeated."""
    generator = torch.Generator().manual_seed(0)
    s = torch.tensor([*values, *[values[-1]] * (rows - len(values))], dtype=torch.float64)
    u, v = (
        torch.linalg.qr(torch.randn(n, rows, generator=generator, dtype=torch.float64)).Q
        for n in (rows, columns)
    )
    return u * s @ v.mT


def test_the_leading_subspace_is_that_of_the_full_decomposition():
    matrix = spectrum(9.0, 5.0, 5.0, 2.0, 1.0, 0.5)
    basis = krylov_basis(matrix, 3)
    assert basis is not None
    u = torch.linalg.svd(matrix).U[:, :3]
    torch.testing.assert_close(basis @ basis.mT, u @ u.mT, atol=1e-8, rtol=0)
    torch.testing.assert_close(basis[:, -1].abs(), u[:, 0].abs(), atol=1e-7, rtol=0)


def test_a_matrix_of_lower_rank_than_asked_for_is_found_whole():
    basis = krylov_basis(spectrum(3.0, 2.0, 0.0), 3)
    assert basis is not None
    matrix = spectrum(3.0, 2.0, 0.0)
    torch.testing.assert_close(basis @ (basis.mT @ matrix), matrix, atol=1e-10, rtol=0)


def test_directions_that_nothing_tells_apart_are_left_to_the_full_decomposition():
    assert krylov_basis(spectrum(*(1 - 1e-5 * i for i in range(400))), 3) is None


def test_a_product_by_the_whole_is_the_product_by_the_factors():
    generator = torch.Generator().manual_seed(0)
    down, up, x = (
        torch.randn(*shape, generator=generator, dtype=torch.float64)
        for shape in ((9, 4), (5, 9), (4, 3))
    )
    torch.testing.assert_close(LowRank(down, up).times(x), up @ (down @ x))


@pytest.mark.parametrize("width", [96, 160])
def test_an_equality_holds_what_the_arithmetic_says_and_not_twice_as_much(width):
    generator = torch.Generator().manual_seed(0)

    def draw(count: int) -> torch.Tensor:
        return torch.randn(width, count, generator=generator, dtype=torch.float64)

    keep, root = draw(24), torch.eye(width, dtype=torch.float64)
    most = int((MOST_CAPACITY * width - keep.shape[1]) / 2)
    left = {}
    for count in (most, 2 * most):
        pairs = [Pairs(draw(1), draw(1)) for _ in range(count)]
        joint = joint_equality(pairs, keep, torch.eye(width).double(), root, 1)
        left[count] = [
            float((joint.edit.apply(p.concept) - p.surrogate).norm() / p.surrogate.norm())
            for p in pairs
        ]
    assert max(left[most]) < 1e-8
    assert min(left[2 * most]) > 0.1


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(kept, "LEAST_KEPT", 1)


@pytest.mark.parametrize("build", [tiny_stable_diffusion, tiny_sdxl])
def test_the_root_is_found_once_for_a_model(own_cache, monkeypatch, build):
    denoiser = Denoiser(build())
    for stream in denoiser.family.streams:
        width = denoiser.embeddings([""], stream.name)[0].shape[-1]
        first = kept.map_root(denoiser, stream.name, width)
        wanted = gram_root(list(denoiser.weights(stream.name, width).values()))
        torch.testing.assert_close(first, wanted, rtol=0, atol=0)
        with monkeypatch.context() as patch:
            patch.setattr(kept, "gram_root", None)  # whoever calls it fails
            torch.testing.assert_close(kept.map_root(denoiser, stream.name, width), first)
    width = denoiser.embeddings([""])[0].shape[-1]
    before = kept.map_root(denoiser, TOKENS, width)
    with torch.no_grad():
        next(iter(denoiser.maps().values())).weight[0, 0] += 1
    assert not torch.equal(kept.map_root(denoiser, TOKENS, width), before)


def test_columns_that_are_encoded_again_give_the_same_edit(monkeypatch):
    denoiser = Denoiser(tiny_stable_diffusion())
    words = (("fox", "dog"), ("horse", "cat"), ("owl", "dog"))
    concepts = [ResolvedConcept(a, surrogate=b) for a, b in words]
    settings = ClosedFormConfig(mode="equality")
    found = []
    for held in (1, 16):
        monkeypatch.setattr(materials, "HELD", held)
        edit = closed_form_edit(denoiser, concepts, ["a picture of a cow"], settings, CAPTIONS)
        found.append(edit)
    assert found[0].certificate == found[1].certificate
    for path, change in found[0].delta.items():
        torch.testing.assert_close(change.dense(), found[1].delta[path].dense(), rtol=0, atol=0)


@pytest.mark.parametrize("build", [tiny_sdxl, tiny_flux])
def test_a_prompt_is_encoded_once_for_both_streams(monkeypatch, build):
    concepts = [ResolvedConcept("fox", surrogate="dog"), ResolvedConcept("owl", surrogate="cat")]
    settings, denoiser = ClosedFormConfig(mode="ridge"), Denoiser(build())
    passes: list[tuple[str, ...]] = []
    encode = Denoiser.encode

    def counted(self: Denoiser, prompts, *more):
        passes.append(tuple(prompts))
        return encode(self, prompts, *more)

    monkeypatch.setattr(Denoiser, "encode", counted)

    def edited(most: int) -> ClosedFormEdit:
        passes.clear()
        monkeypatch.setattr(pooled_vectors, "MOST", most)
        retain = ["a picture of a cow"]
        return closed_form_edit(denoiser, concepts, retain, settings, CAPTIONS)

    edited(0)  # the second moment is on disk from here on
    twice, all_passes = edited(0), len(passes)
    once, few = edited(64), len(passes)
    assert few == all_passes / 2
    for path, change in twice.delta.items():
        torch.testing.assert_close(change.dense(), once.delta[path].dense(), rtol=1e-5, atol=1e-6)
