"""The loss of masks in any order, against P1's algorithm written out."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from defectscope.detectors.unetpp.loss import (  # noqa: E402
    assigned_outputs,
    mask_loss,
    pairwise_dice_loss,
    union_loss,
)
from defectscope.detectors.unetpp.places import (  # noqa: E402
    grid_of_places,
    middle_loss,
    place_cost,
)


def drawn(seed, n=3, outputs=5, count=4, side=12):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(n, outputs, side, side, generator=generator)
    true = (torch.rand(n, count, side, side, generator=generator) < 0.1).to(torch.uint8)
    real = torch.rand(n, count, generator=generator) < 0.8
    real[:, 0] = True
    return logits, true, real


def dice_by_hand(p, t):
    return float(1 - (2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1))


def algorithm_1(logits, true, real):
    """P1, Algorithm 1: true masks in order, each takes the best output that is left."""
    losses, matched = 0.0, 0
    for image, masks, which in zip(torch.sigmoid(logits), true.float(), real, strict=True):
        left = list(range(len(image)))
        for mask in masks[which]:
            matched += 1
            if not left:
                losses += 1
                continue
            best = min(left, key=lambda k: dice_by_hand(image[k], mask))
            losses += dice_by_hand(image[best], mask)
            left.remove(best)
    return losses / matched


@pytest.mark.parametrize("seed", range(5))
def test_the_vectorised_loss_is_algorithm_1(seed):
    logits, true, real = drawn(seed)
    found = float(mask_loss(logits, true, real, "greedy", 0.0)[0])
    assert found == pytest.approx(algorithm_1(logits, true, real), abs=1e-5)


def test_more_true_masks_than_outputs_count_as_lost():
    logits, true, real = drawn(9, outputs=2, count=6)
    for matching in ("greedy", "hungarian"):
        found = mask_loss(logits, true, real, matching, 0.0)[0]
        assert torch.isfinite(found)
        chosen = assigned_outputs(
            pairwise_dice_loss(torch.sigmoid(logits), true.float()), real, matching
        )
        assert ((chosen >= 0).sum(dim=1) == torch.minimum(real.sum(dim=1), torch.tensor(2))).all()
    greedy = float(mask_loss(logits, true, real, "greedy", 0.0)[0])
    assert greedy == pytest.approx(algorithm_1(logits, true, real), abs=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_hungarian_is_never_worse_and_gives_no_output_twice(seed):
    logits, true, real = drawn(seed)
    loss = pairwise_dice_loss(torch.sigmoid(logits), true.float())
    sums = {}
    for matching in ("greedy", "hungarian"):
        chosen = assigned_outputs(loss, real, matching)
        assert ((chosen >= 0) == real).all()
        for row in chosen:
            used = row[row >= 0].tolist()
            assert len(set(used)) == len(used)
        pairs = loss.gather(1, chosen.clamp(min=0)[:, None])[:, 0]
        sums[matching] = float(pairs[real].sum())
    assert sums["hungarian"] <= sums["greedy"] + 1e-6


@pytest.mark.parametrize("matching", ["greedy", "hungarian"])
def test_the_order_of_outputs_is_no_matter(matching):
    logits, true, real = drawn(2)
    turned = logits[:, torch.tensor([3, 0, 4, 1, 2])]
    one, other = (float(mask_loss(x, true, real, matching, 0.1)[0]) for x in (logits, turned))
    assert one == pytest.approx(other, abs=1e-6)


def test_perfect_masks_cost_nothing_and_repeats_cost_something():
    _, true, real = drawn(1, count=3)
    perfect = torch.full((3, 5, 12, 12), -20.0)
    perfect[:, :3][true.bool()] = 20.0
    everything = torch.ones_like(real)
    assert float(mask_loss(perfect, true, everything, "greedy", 1.0)[0]) < 1e-3
    again = perfect.clone()
    again[:, 3] = again[:, 0]
    assert float(mask_loss(again, true, everything, "greedy", 0.0)[0]) < 1e-3
    assert float(mask_loss(again, true, everything, "greedy", 1.0)[0]) > 0.1


def test_it_can_be_learned_from_it():
    _, true, real = drawn(4, n=1)
    logits = torch.zeros(1, 5, 12, 12, requires_grad=True)
    with torch.no_grad():
        logits += 0.01 * torch.randn(logits.shape, generator=torch.Generator().manual_seed(0))
    before = float(mask_loss(logits, true, real, "greedy", 0.1)[0].detach())
    optimiser = torch.optim.Adam([logits], 0.2)
    for _ in range(60):
        optimiser.zero_grad()
        mask_loss(logits, true, real, "greedy", 0.1)[0].backward()
        optimiser.step()
    after = float(mask_loss(logits, true, real, "greedy", 0.1)[0].detach())
    assert np.isfinite(after)
    assert after < 0.2 * before


def test_an_image_without_lines_costs_what_it_shows():
    logits, true, _ = drawn(3)
    none = torch.zeros(3, 4, dtype=torch.bool)
    assert float(mask_loss(logits, true, none, "greedy", 0.0)[0]) == 0
    assert float(mask_loss(logits, true, none, "greedy", 0.1)[0]) > 0


def test_the_union_is_the_same_however_lines_are_given_to_outputs():
    logits, true, _ = drawn(6)
    turned = logits[:, torch.tensor([3, 0, 4, 1, 2])]
    assert float(union_loss(logits, true)) == pytest.approx(float(union_loss(turned, true)))
    shown = 1 - np.prod(1 - torch.sigmoid(logits).numpy(), axis=1)
    by_hand = [dice_by_hand(p, t) for p, t in zip(shown, true.amax(dim=1).numpy(), strict=True)]
    assert float(union_loss(logits, true)) == pytest.approx(np.mean(by_hand), abs=1e-5)


def test_places_are_a_grid_over_the_image():
    y, x = grid_of_places(20)
    assert len(y) == len(x) == 20
    # 4 rows of 5, evenly spaced, the first in the upper left corner.
    assert torch.unique(y).tolist() == pytest.approx([0.125, 0.375, 0.625, 0.875])
    assert x[:5].tolist() == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.9])
    assert [len(p) for p in grid_of_places(1)] == [1, 1]


@pytest.mark.parametrize("outputs", range(1, 40))
def test_every_output_has_a_place_of_its_own(outputs):
    places = set(zip(*(p.tolist() for p in grid_of_places(outputs)), strict=True))
    assert len(places) == outputs
    assert all(0 < value < 1 for place in places for value in place)


def test_the_cost_of_a_place_is_the_squared_distance_of_a_masks_middle():
    true = torch.zeros(1, 2, 10, 20)
    true[0, 0, 2, 4:8] = 1  # its middle: x 6 of 20, y 2.5 of 10
    cost = place_cost(true, 4)
    y, x = grid_of_places(4)
    expected = (y - 0.25) ** 2 + (x - 0.3) ** 2
    assert cost[0, :, 0].tolist() == pytest.approx(expected.tolist(), abs=1e-6)
    # Masks without a pixel, which fill up a batch, cost something finite.
    assert torch.isfinite(cost).all()


def test_lines_go_to_the_outputs_of_their_places_where_nothing_is_shown_yet():
    logits = torch.full((1, 4, 16, 16), -3.0, requires_grad=True)
    true = torch.zeros(1, 4, 16, 16)
    for k, (y, x) in enumerate([(12, 12), (3, 12), (12, 3), (3, 3)]):
        true[0, k, y, x - 2 : x + 3] = 1
    real = torch.ones(1, 4, dtype=torch.bool)
    mask_loss(logits, true, real, "hungarian", 0.0, place_weight=10.0)[0].backward()
    raised = [int(plane.argmin()) for plane in logits.grad[0].sum(dim=1)]
    # What each output is to show: the column of its line.
    assert [column > 8 for column in raised] == [False, True, False, True]


def test_middles_are_pulled_to_the_places_of_outputs():
    true = torch.zeros(1, 2, 8, 8)
    true[0, 0, 1], true[0, 1, 6] = 1, 1
    true[0, 1, 1, 0] = 1  # where both lines are, nobody knows which middle is meant
    chosen = torch.tensor([[0, 3]])
    y, x = grid_of_places(4)
    right = torch.zeros(1, 2, 8, 8)
    right[0, :, 1] = torch.stack([y[0], x[0]])[:, None]
    right[0, :, 6] = torch.stack([y[3], x[3]])[:, None]
    right[0, :, 1, 0] = 5.0
    assert float(middle_loss(right, true, chosen, 4)) == pytest.approx(0, abs=1e-6)
    # One place away, along one axis: smooth L1 of one distance of places, on half of the pixels.
    wrong = right.clone()
    wrong[0, 1, 6] -= 0.5
    counted, off = 7 + 8, 8
    assert float(middle_loss(wrong, true, chosen, 4)) == pytest.approx(0.5 * off / counted)
    # A line without an output counts for nothing.
    none = torch.full((1, 2), -1)
    assert float(middle_loss(wrong, true, none, 4)) == 0
