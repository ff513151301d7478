"""The streamed second moment, and the edit that plain tensors make with it."""

from __future__ import annotations

import dataclasses

import jaxtyping
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trace_erasure import Edit, SecondMoment
from trace_erasure.math import closed_form, edit_metrics
from trace_erasure.math.subspaces import gram_root


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 6), st.lists(st.integers(0, 5), min_size=1, max_size=4), st.integers(0, 99))
def test_batches_and_workers_add_up_to_the_weighted_mean(width, sizes, seed):
    batches = [normal(2, size, width, seed=seed + i) for i, size in enumerate(sizes)]
    weights = [normal(2, size, seed=seed + 50 + i).abs() + 0.1 for i, size in enumerate(sizes)]
    if not sum(sizes):
        return
    one, two = SecondMoment(width), SecondMoment(width)
    for i, (batch, weight) in enumerate(zip(batches, weights, strict=True)):
        (one, two)[i % 2].update(batch, weight)
    rows = torch.cat([batch.reshape(-1, width) for batch in batches])
    all_weights = torch.cat([weight.flatten() for weight in weights])
    expected = (all_weights[:, None] * rows).mT @ rows / all_weights.sum()
    merged = one.merge(two)
    torch.testing.assert_close(merged.value(), expected)
    assert merged.weight == pytest.approx(float(all_weights.sum()))
    torch.testing.assert_close(merged.value(1e-3), closed_form.regularised(expected, 1e-3))


def test_half_precision_is_summed_in_double():
    rows = normal(10_000, 3).to(torch.bfloat16)
    found = SecondMoment(3).update(rows).value()
    torch.testing.assert_close(found, rows.double().mT @ rows.double() / len(rows))


def test_what_does_not_fit_is_refused():
    moment = SecondMoment(3)
    with pytest.raises(ValueError, match="no embeddings yet"):
        moment.value()
    with pytest.raises(ValueError, match="have 4 entries, not 3"):
        moment.update(normal(2, 4))
    with pytest.raises(ValueError, match="one weight for each"):
        moment.update(normal(2, 3), normal(3))
    with pytest.raises(ValueError, match="widths 3 and 2"):
        moment.merge(SecondMoment(2))
    assert moment.weight == 0


def plain() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    sigma = SecondMoment(12).update(normal(5, 40, 12)).value(1e-3)
    return normal(3, 12, seed=1), normal(3, 12, seed=2), normal(2, 12, seed=3), sigma


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_an_edit_is_called_on_embeddings_of_any_shape_and_precision(dtype):
    concept, surrogate, retain, sigma = plain()
    edit = Edit.fit(concept, surrogate, retain, second_moment=sigma)
    batch = torch.stack([concept, surrogate])[:, None].to(dtype)
    found = edit(batch)
    assert found.dtype == dtype and found.shape == batch.shape
    tolerance = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 0.1}[dtype]
    expected = torch.stack([surrogate, surrogate])[:, None].to(dtype)
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=tolerance)
    torch.testing.assert_close(edit(retain), retain)
    torch.testing.assert_close(edit.to(torch.float32)(retain.float()), retain.float())


def test_a_map_of_edited_embeddings_is_the_edited_map():
    concept, surrogate, retain, sigma = plain()
    weight = normal(7, 12, seed=4)
    edit = Edit.fit(concept, surrogate, retain, second_moment=sigma, maps=[weight], directions=1)
    x = normal(4, 12, seed=5)
    edited = weight + edit.change(weight).dense()
    torch.testing.assert_close(edit(x) @ weight.mT, x @ edited.mT)
    assert edit.rank == 1 and 0 < edit.discarded < 1


def test_fit_is_the_equality_solve():
    concept, surrogate, retain, sigma = plain()
    maps = [normal(7, 12, seed=4), normal(15, 12, seed=6)]
    edit = Edit.fit(concept, surrogate, retain, second_moment=sigma, maps=maps, directions=2)
    expected = closed_form.equality(
        concept.mT, surrogate.mT, retain.mT, sigma, gram_root(maps), directions=2
    )
    assert torch.equal(edit.matrix(), expected.matrix())
    assert edit_metrics.residual(edit, concept.mT, surrogate.mT, gram_root(maps)) < 1


def test_an_edit_is_frozen_and_shapes_are_checked_in_tests():
    concept, surrogate, _, sigma = plain()
    edit = Edit.fit(concept, surrogate, second_moment=sigma)
    with pytest.raises(dataclasses.FrozenInstanceError):
        edit.read = edit.read * 2  # type: ignore[misc]
    with pytest.raises(jaxtyping.TypeCheckError, match="second_moment"):
        Edit.fit(concept, surrogate, second_moment=sigma[:4])
