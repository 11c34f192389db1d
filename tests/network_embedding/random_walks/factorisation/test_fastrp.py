"""FastRP: against matrices formed in full, scikit-learn's projection, and the random draws' law."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array, diags_array
from scipy.stats import binom, chisquare
from sklearn.decomposition import TruncatedSVD
from sklearn.preprocessing import normalize, scale
from sklearn.random_projection import SparseRandomProjection

from src.common.graphs.embedding_evaluation import Scores
from src.common.graphs.generators import preferential_attachment, stochastic_block_model
from src.common.graphs.graph import Graph
from src.common.training.streams import stream
from src.network_embedding.random_walks.deepwalk import DeepWalkSettings
from src.network_embedding.random_walks.experiments import fastrp as experiments
from src.network_embedding.random_walks.factorisation.fastrp import (
    FastRPSettings,
    combine,
    degree_factors,
    fastrp,
    projected_powers,
    similarity_matrix,
    svd_of_similarity,
    very_sparse_matrix,
)


def weighted_graph(seed: int, nodes: int = 60) -> Graph:
    """A graph with hubs, weights, and one node without edges."""
    generator = stream(seed, "graph")
    edges = preferential_attachment(nodes, 3, generator).edge_index
    edges = edges[:, edges[0] < edges[1]]
    weights = 0.5 + torch.rand(edges.shape[1], generator=generator)
    return Graph.from_edges(edges, nodes + 1, weights)


def scipy_powers(graph: Graph, projection: np.ndarray, powers: int, beta: float) -> list:
    """The same products by SciPy, as the authors' code has them: degrees to the power beta."""
    shape = (graph.num_nodes, graph.num_nodes)
    entries = (graph.weights.double().numpy(), tuple(graph.edge_index.numpy()))
    matrix = csr_array(entries, shape=shape)
    degree = np.asarray(matrix.sum(axis=1))
    inverse = np.divide(1, degree, out=np.zeros_like(degree), where=degree > 0)
    step = diags_array(inverse) @ matrix
    hubs = np.where(degree > 0, degree, 1.0) ** beta
    found = [step @ (diags_array(hubs) @ projection)]
    for _ in range(powers - 1):
        found.append(step @ found[-1])
    return found


@pytest.mark.parametrize("beta", [0.0, -0.64, 0.5])
def test_repeated_products_are_the_projected_powers(beta: float) -> None:
    graph = weighted_graph(0)
    random = torch.randn(61, 7, generator=stream(0, "R"), dtype=torch.double)
    ours = projected_powers(graph, random, 4, beta)
    share = float(graph.weights.double().sum()) ** beta
    for mine, theirs in zip(ours, scipy_powers(graph, random.numpy(), 4, beta), strict=True):
        np.testing.assert_allclose(mine.numpy() * share, theirs, rtol=1e-9, atol=1e-12)
    similarity = similarity_matrix(graph, FastRPSettings(7, (0.5, 0.0, 2.0), beta, False))
    plain = combine(ours[:3], FastRPSettings(7, (0.5, 0.0, 2.0), beta, False, False))
    torch.testing.assert_close(similarity @ random, plain, atol=1e-10, rtol=0.0)


def test_the_sum_is_that_of_the_authors_code() -> None:
    """Rows of each power normalised, added up by weight, columns standardised (scikit-learn)."""
    graph = weighted_graph(1)
    settings = FastRPSettings(16, (1.0, 0.5, 7.81, 45.28), -0.628)
    random = torch.randn(61, 16, generator=stream(1, "R"), dtype=torch.double)
    powers = projected_powers(graph, random, 4, settings.beta)
    theirs = scipy_powers(graph, random.numpy(), 4, settings.beta)
    expected = sum(w * normalize(p) for w, p in zip(settings.weights, theirs, strict=True))
    np.testing.assert_allclose(combine(powers, settings).numpy(), scale(expected), atol=1e-9)


def test_the_random_matrix_is_scikit_learns_in_law() -> None:
    """The same values, as many of each, and no trace of order: rows and columns are alike."""
    rows, columns = 400, 300
    ours = very_sparse_matrix(rows, columns, stream(2, "R"))
    theirs = SparseRandomProjection(columns, random_state=0).fit(np.zeros((2, rows))).components_
    assert np.allclose(np.unique(np.abs(theirs.data)), float(ours.max()), rtol=1e-6)
    assert float(ours.min()) == -float(ours.max())
    kinds = [int((ours > 0).sum()), int((ours == 0).sum()), int((ours < 0).sum())]
    cells, s = rows * columns, rows**0.5
    law = np.array([0.5 / s, 1 - 1 / s, 0.5 / s]) * cells
    assert chisquare(kinds, law).pvalue > 1e-3
    filled = (ours != 0).sum(dim=1).numpy()
    bins = np.clip(filled, 9, 21)
    chance = binom(columns, 1 / s)
    law = [chance.cdf(9), *chance.pmf(np.arange(10, 21)), chance.sf(20)]
    assert chisquare(np.bincount(bins)[9:], np.array(law) * rows, sum_check=False).pvalue > 1e-3


def test_inner_products_survive_on_average() -> None:
    """E[R R^T] = I; the mean over many draws comes closer as one over their root."""
    draws = [very_sparse_matrix(30, 64, stream(k, "unbiased"), 3.0) for k in range(600)]
    products = torch.stack([random @ random.T for random in draws])
    # one entry's deviation is at most about sqrt(2 / 64), for 600 draws 0.0072: five of these
    assert float((products.mean(dim=0) - torch.eye(30)).abs().max()) < 0.04
    x, y = torch.randn(2, 30, generator=stream(3, "pair"))
    found = torch.stack([(x @ random) @ (y @ random) for random in draws])
    assert abs(float(found.mean() - x @ y)) < 4 * float(found.std()) / 600**0.5


def test_more_dimensions_keep_distances_better() -> None:
    graph = stochastic_block_model((60, 60), 0.2, 0.02, stream(4, "blocks"))
    settings = FastRPSettings(16, (0.0, 1.0, 1.0), standardise=False)
    full = similarity_matrix(graph, settings).float()
    truth = full @ full.T

    def error(dimension: int) -> float:
        found = fastrp(graph, replace(settings, dimension=dimension), stream(4, dimension))
        return float((found @ found.T - truth).norm() / truth.norm())

    errors = [error(dimension) for dimension in (16, 64, 1024)]
    assert errors[0] > errors[1] > errors[2] and errors[2] < 0.2


@pytest.mark.parametrize("dimension", [8, 30])
def test_the_decomposition_is_the_best_one(dimension: int) -> None:
    graph = weighted_graph(5)
    settings = FastRPSettings(dimension, standardise=False)
    found = svd_of_similarity(graph, settings, stream(5, "turn")).double()
    full = similarity_matrix(graph, settings)
    theirs = TruncatedSVD(dimension, algorithm="arpack", random_state=0).fit_transform(full.numpy())
    np.testing.assert_allclose((found @ found.T).numpy(), theirs @ theirs.T, atol=1e-4)


def test_columns_are_standardised_and_runs_repeat() -> None:
    graph = weighted_graph(6)
    found = fastrp(graph, FastRPSettings(32), stream(6, "R"))
    assert found.shape == (61, 32) and bool(found.isfinite().all())
    torch.testing.assert_close(found.mean(dim=0), torch.zeros(32), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(found.std(dim=0, correction=0), torch.ones(32))
    assert torch.equal(found, fastrp(graph, FastRPSettings(32), stream(6, "R")))
    assert not torch.equal(found, fastrp(graph, FastRPSettings(32), stream(7, "R")))


def test_hubs_weigh_less_with_a_negative_beta() -> None:
    graph = weighted_graph(7)
    factors = degree_factors(graph, -1.0, torch.double)
    torch.testing.assert_close(
        factors[:-1] * graph.degree[:-1].double() / graph.degree.double().sum(),
        torch.ones(60, dtype=torch.double),
    )
    assert float(factors[-1]) == 0


def test_settings_without_directions_or_powers_are_refused() -> None:
    for wrong in ({"dimension": 0}, {"weights": ()}, {"weights": (0.0, 0.0)}):
        with pytest.raises(ValueError, match=r"at least 1|one of them not 0"):
            FastRPSettings(**wrong)
    with pytest.raises(ValueError, match="greater than 1"):
        very_sparse_matrix(5, 5, stream(0, "R"), 1.0)


def test_every_method_is_judged_on_the_same_labelled_nodes_at_the_same_length(monkeypatch) -> None:
    seen = []

    def judged(vectors, y, share, generator):
        seen.append((tuple(vectors.shape), share, torch.rand(3, generator=generator).tolist()))
        return Scores(0.5, 0.5)

    monkeypatch.setattr(experiments, "classify", judged)
    settings = FastRPSettings(8)
    walks = DeepWalkSettings(8, walks=1, steps=5)
    experiments.classification("hub communities", 1000, settings, walks, 0.2)
    experiments.with_beta("hub communities", 1000, settings, 0.0, 0.2)
    assert len(seen) == 8 and seen == [((300, 8), 0.2, seen[0][2])] * 8


def test_a_variant_changes_one_setting_and_projects_onto_the_same_directions(monkeypatch) -> None:
    settings, drawn = FastRPSettings(8), []
    changed = {
        name: {key for key, value in vars(variant).items() if value != getattr(settings, key)}
        for name, variant in experiments.variants(settings).items()
    }
    assert changed == {
        "FastRP": set(),
        "first power alone": {"weights"},
        "all powers alike": {"weights"},
        "hubs not tamed": {"beta"},
        "powers not normalised": {"normalise_rows"},
    }
    monkeypatch.setattr(
        experiments,
        "fastrp",
        lambda graph, variant, generator: (
            drawn.append(torch.rand(3, generator=generator).tolist()) or torch.eye(300, 8)
        ),
    )
    walks = DeepWalkSettings(8, walks=1, steps=5)
    experiments.classification("hub communities", 1000, settings, walks, 0.2)
    assert drawn == [drawn[0]] * 5


def test_repeated_products_are_the_full_matrix() -> None:
    for beta in (-0.64, 0.5):
        settings = FastRPSettings(8, beta=beta)
        assert experiments.identity_error("hub communities", 1000, settings) < 1e-12
