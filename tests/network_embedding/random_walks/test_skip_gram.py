"""Skip-gram against autograd, the written-out loss, and the optimum known in closed form."""

import pytest
import torch
import torch.nn.functional as F

from src.network_embedding.random_walks.contexts import (
    NegativeSampler,
    context_band,
    walk_pairs,
)
from src.network_embedding.random_walks.skip_gram import (
    SkipGramSettings,
    pair_gradients,
    train_pairs,
    train_walks,
    walk_gradients,
)


def draws(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator).requires_grad_()


def test_pairs_of_a_walk_by_hand():
    centres, contexts = walk_pairs(torch.tensor([[5, 6, 7, 8]]), 2)
    found = sorted(zip(centres.tolist(), contexts.tolist(), strict=True))
    one_way = [(5, 6), (6, 7), (7, 8), (5, 7), (6, 8)]
    assert found == sorted(one_way + [(b, a) for a, b in one_way])
    assert len(walk_pairs(torch.tensor([[1, 2]]), 9)[0]) == 2


def test_pair_gradients_are_those_of_autograd():
    f, g, n = draws(3, 4, 5), draws(3, 4, 5, seed=1), draws(3, 6, 5, seed=2)
    scale = 5 / 6
    loss = -F.logsigmoid((f * g).sum(dim=-1)).sum() - scale * F.logsigmoid(-(f @ n.mT)).sum()
    expected = torch.autograd.grad(loss, (f, g, n))
    found = pair_gradients(f.detach(), g.detach(), n.detach(), scale)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_walk_gradients_are_those_of_autograd_over_its_pairs():
    walks, window, negatives, shared = torch.tensor([[0, 1, 2, 1, 3], [4, 3, 3, 0, 2]]), 2, 5, 3
    f_all, g_all = draws(5, 4), draws(5, 4, seed=1)
    drawn = torch.tensor([[0, 2, 2], [1, 4, 0]])
    loss = torch.zeros(())
    for walk, other in zip(walks.tolist(), drawn.tolist(), strict=True):
        for i, v in enumerate(walk):
            for j, c in enumerate(walk):
                if 0 < abs(i - j) <= window:
                    loss = loss - F.logsigmoid(f_all[v] @ g_all[c])
                    for x in other:
                        loss = loss - negatives / shared * F.logsigmoid(-f_all[v] @ g_all[x])
    expected = torch.autograd.grad(loss, (f_all, g_all))
    band = context_band(5, window)
    scale = negatives * band.sum(dim=1, keepdim=True) / shared
    with torch.no_grad():
        parts = walk_gradients(f_all[walks], g_all[walks], g_all[drawn], band, scale)
    found_f = torch.zeros(5, 4).index_add_(0, walks.reshape(-1), parts[0].flatten(0, 1))
    found_g = torch.zeros(5, 4).index_add_(0, walks.reshape(-1), parts[1].flatten(0, 1))
    found_g.index_add_(0, drawn.reshape(-1), parts[2].flatten(0, 1))
    torch.testing.assert_close(found_f, expected[0])
    torch.testing.assert_close(found_g, expected[1])


def corpus() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pairs of six nodes whose every combination occurs, and the counts."""
    generator = torch.Generator().manual_seed(3)
    counts = torch.randint(5, 60, (6, 6), generator=generator)
    pairs = torch.cartesian_prod(torch.arange(6), torch.arange(6))
    pairs = pairs.repeat_interleave(counts.ravel(), dim=0)
    return pairs[:, 0], pairs[:, 1], counts.double()


def test_products_reach_pmi_minus_log_k_at_full_dimension():
    sources, contexts, counts = corpus()
    settings = SkipGramSettings(
        dimension=6, negatives=2, epochs=300, learning_rate=0.1, exponent=1.0, rows_a_node=50.0
    )
    f, g = train_pairs(sources, contexts, 6, 6, settings, torch.Generator().manual_seed(4))
    total = counts.sum()
    pmi = torch.log(counts * total / (counts.sum(1, keepdim=True) * counts.sum(0)))
    optimum = (pmi - torch.log(torch.tensor(2.0))).float()
    error = (f @ g.T - optimum).abs()
    assert float(error.max()) < 0.25 and float(error.mean()) < 0.05
    assert float((f @ g.T - pmi.float()).abs().mean()) > 0.5  # without log k it does not fit


def test_walks_and_their_pairs_have_the_same_optimum():
    generator = torch.Generator().manual_seed(5)
    walks = torch.randint(6, (4000, 6), generator=generator).sort(dim=1).values
    settings = SkipGramSettings(
        dimension=6, negatives=2, epochs=15, learning_rate=0.1, exponent=1.0, rows_a_node=50.0
    )
    f, g = train_walks(walks, 6, 2, settings, torch.Generator().manual_seed(6))
    centres, contexts = walk_pairs(walks, 2)
    counts = torch.bincount(centres * 6 + contexts, minlength=36).view(6, 6).double()
    # `train_walks` counts negatives over positions, of which the inner ones have more contexts
    frequency = torch.bincount(walks.reshape(-1), minlength=6) / walks.numel()
    optimum = torch.log(counts / (2 * counts.sum(1, keepdim=True) * frequency))
    often = counts > 500
    assert float((f @ g.T - optimum)[often].abs().max()) < 0.25


def test_crowded_blocks_stay_finite_and_near_the_orderly_result():
    """Thousands of pairs of ten nodes in one block: their summed gradient would be far too long."""
    generator = torch.Generator().manual_seed(7)
    walks = (torch.arange(40) // 4 + torch.randint(2, (500, 40), generator=generator)) % 10
    for block, epochs in ((64, 5), (2000, 20)):
        settings = SkipGramSettings(dimension=8, epochs=epochs, block=block, rows_a_node=1e6)
        f, g = train_walks(walks, 10, 3, settings, torch.Generator().manual_seed(8))
        assert bool(f.isfinite().all()) and float(f.norm(dim=1).max()) < 10
        near = torch.diagonal(f @ g.T, offset=1).mean()
        far = torch.diagonal(f @ g.T, offset=5).mean()
        assert float(near - far) > 1


def test_training_repeats_continues_and_needs_no_multiple_of_the_block():
    generator = torch.Generator().manual_seed(9)
    walks = torch.randint(50, (33, 7), generator=generator)
    settings = SkipGramSettings(dimension=4, block=64)
    runs = [train_walks(walks, 50, 2, settings, torch.Generator().manual_seed(1)) for _ in "ab"]
    assert torch.equal(runs[0][0], runs[1][0]) and torch.equal(runs[0][1], runs[1][1])
    before = runs[0][0].clone()
    more = train_walks(walks, 50, 2, settings, torch.Generator().manual_seed(2), start=runs[0])
    assert torch.equal(runs[0][0], before) and not torch.equal(more[0], before)
    small = SkipGramSettings(dimension=4, learning_rate=1e-9)
    still = train_walks(walks, 50, 2, small, torch.Generator().manual_seed(2), start=runs[0])
    torch.testing.assert_close(still[0], before)


def test_negatives_follow_their_law():
    frequency = torch.tensor([0, 16, 81, 0, 1, 0])
    sampler = NegativeSampler.of(frequency, 0.5)
    drawn = sampler.draw((400, 100), torch.Generator().manual_seed(10))
    share = torch.bincount(drawn.ravel(), minlength=6) / 40_000
    torch.testing.assert_close(share, torch.tensor([0, 4, 9, 0, 1, 0]) / 14, atol=0.01, rtol=0.0)


def test_bad_input_is_refused():
    generator = torch.Generator().manual_seed(11)
    none = torch.empty(0, dtype=torch.long)
    with pytest.raises(ValueError, match="as many sources as contexts"):
        train_pairs(none, none, 3, 3, SkipGramSettings(), generator)
    with pytest.raises(ValueError, match="window >= 1"):
        train_walks(torch.zeros(2, 3).long(), 1, 0, SkipGramSettings(), generator)
    with pytest.raises(ValueError, match="must be at least 1"):
        SkipGramSettings(dimension=0)
    with pytest.raises(ValueError, match="must be positive"):
        SkipGramSettings(learning_rate=0.0)


def test_walks_that_end_early_teach_what_their_shorter_copies_teach():
    """Cut walks among whole ones: the same losses as the pairs of what is left."""
    walks = torch.tensor([[0, 1, 2, 3], [3, 2, -1, -1], [4, -1, -1, -1], [1, 0, 1, -1]])
    settings = SkipGramSettings(dimension=4, negatives=2, rows_a_node=100.0)
    f, g = (torch.randn(6, 4, generator=torch.Generator().manual_seed(k)) for k in (0, 1))
    moved, _ = train_walks(walks, 6, 2, settings, torch.Generator(), start=(f, g))
    # Node 4 only has a walk of one node, node 5 none: nothing moves them as centres.
    changed = (moved != f).any(dim=1)
    assert changed.tolist() == [True, True, True, True, False, False]


def test_cut_walks_have_the_gradients_of_their_pairs():
    f, g, n = (
        torch.randn(2, size, 3, generator=torch.Generator().manual_seed(size), dtype=torch.double)
        for size in (4, 5, 2)
    )
    g = g[:, :4]
    real = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]], dtype=torch.double)
    band = context_band(4, 2).double() * real[:, :, None] * real[:, None, :]
    scale = 3 * band.sum(2, keepdim=True) / 2
    whole = walk_gradients(f.clone(), g.clone(), n.clone(), band, scale)
    short = context_band(2, 2).double()
    alone = walk_gradients(
        f[1:, :2].clone(), g[1:, :2].clone(), n[1:].clone(), short, 3 * short.sum(1)[:, None] / 2
    )
    for found, expected in zip(whole, alone, strict=True):
        assert torch.allclose(found[1:, : expected.shape[1]], expected)
    assert bool((whole[0][1, 2:] == 0).all()) and bool((whole[1][1, 2:] == 0).all())
