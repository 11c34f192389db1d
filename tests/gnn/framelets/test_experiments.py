from dataclasses import asdict, replace

import networkx
import pytest
import torch

from src.common.graphs.graph import normalised_laplacian
from src.common.graphs.node_classification import NodeSettings, classify_nodes
from src.common.training.loop import seeded
from src.common.training.streams import stream
from src.gnn.framelets import experiments, plan
from src.gnn.framelets.convolution import Shrinkage
from src.gnn.framelets.experiments import Recipe
from src.gnn.framelets.transform import FrameletTransform

QUICK = {"epochs": 3, "hidden": 4}


def test_seeds_fix_graph_split_and_disturbance_and_nothing_else_does():
    graph, again, other = (experiments.graph_of("blocks", seed) for seed in (3, 3, 4))
    assert torch.equal(graph.edge_index, again.edge_index) and torch.equal(graph.x, again.x)
    for part in ("x", "edge_index", "train", "val"):
        assert not torch.equal(getattr(graph, part), getattr(other, part)), part
    assert [int(getattr(graph, part).sum()) for part in ("train", "val", "test")] == [15, 45, 120]
    assert torch.bincount(graph.y[graph.train]).tolist() == [5, 5, 5]
    noisy = experiments.graph_of("blocks", 3, noise=4.0)
    assert torch.equal(noisy.edge_index, graph.edge_index)
    assert float((noisy.x - graph.x).std()) == pytest.approx(4.0, rel=0.1)
    rewired = experiments.graph_of("blocks", 3, rewired=0.4)
    assert torch.equal(rewired.x, graph.x) and rewired.num_edges == graph.num_edges
    before, after = (set(map(tuple, g.edge_index.T.tolist())) for g in (graph, rewired))
    assert len(before & after) / len(before) == pytest.approx(0.6, abs=0.01)


def test_block_features_are_as_noisy_as_the_page_says():
    graphs = [experiments.block_graph(seed) for seed in range(5)]
    rest = [g.x[g.y == c] - g.x[g.y == c].mean(0) for g in graphs for c in range(3)]
    assert float(torch.cat(rest).std()) == pytest.approx(2.0, rel=0.03)
    inside = sum(int((g.y[g.edge_index[0]] == g.y[g.edge_index[1]]).sum()) for g in graphs)
    assert inside / (5 * 3 * 60 * 59) == pytest.approx(0.12, rel=0.05)


@pytest.mark.parametrize("model", experiments.MODELS)
def test_a_seed_gives_the_same_numbers_whatever_runs_before_it(model):
    recipe = Recipe(model, **QUICK)
    torch.manual_seed(1)
    both = experiments.accuracies("blocks", recipe, [5, 6])
    torch.manual_seed(2)
    alone = experiments.accuracies("blocks", recipe, [6])
    assert {name: values[1:] for name, values in both.items()} == alone
    assert all(0 <= value <= 100 for value in both["test"] + both["val"] + both["last"])


def test_theta_without_decay_is_adam_with_two_groups():
    graph, recipe = experiments.block_graph(0), Recipe("UFG-R", 0.02, 0.3, 0.0, **QUICK)
    with seeded(stream(0, "weights")):
        truth = experiments.build(recipe, graph)
    thetas = [p for name, p in truth.named_parameters() if name.endswith("theta")]
    others = [p for name, p in truth.named_parameters() if not name.endswith("theta")]
    groups = [{"params": thetas, "weight_decay": 0.0}, {"params": others, "weight_decay": 0.3}]
    optimiser = torch.optim.Adam(groups, lr=0.02)
    for _ in range(recipe.epochs):
        optimiser.zero_grad()
        logits = truth(graph.x)[graph.train]
        torch.nn.functional.cross_entropy(logits, graph.y[graph.train]).backward()
        optimiser.step()
    models = []

    def keep(model, x):
        models.append(model)
        return 0.0

    experiments.train_once(graph, replace(recipe, decay_theta=False), 0, keep)
    for ours, theirs in zip(models[-1].parameters(), truth.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)
    experiments.train_once(graph, recipe, 0, keep)
    with_decay = [p for name, p in models[-1].named_parameters() if name.endswith("theta")]
    pairs = zip(with_decay, thetas, strict=True)
    assert not all(torch.allclose(a, b) for a, b in pairs)  # what was left out does something


def test_training_once_is_the_shared_training_with_an_l2_penalty():
    graph, recipe = experiments.block_graph(1), Recipe("GCN", 0.02, 0.01, 0.5, **QUICK)
    with seeded(stream(7, "weights")):
        model = experiments.build(recipe, graph)
    settings = NodeSettings(3, 0.02, 0.01, coupled=True)
    truth = classify_nodes(model, graph.x, graph.y, graph, settings, stream(7, "dropout"))
    assert experiments.train_once(graph, recipe, 7)[0] == truth


def test_the_test_score_is_the_mean_of_those_on_two_halves_of_the_test_nodes(monkeypatch):
    """It would not be, if the test answers had a say in which epoch is reported."""
    graph, recipe = experiments.block_graph(2), Recipe("MLP", 0.05, epochs=40)
    nodes = torch.nonzero(graph.test).ravel()
    found = []
    for part in (nodes, nodes[::2], nodes[1::2]):
        test = torch.zeros_like(graph.test).index_fill(0, part, True)
        monkeypatch.setattr(experiments, "block_graph", lambda _, t=test: replace(graph, test=t))
        found.append(experiments.accuracies("blocks", recipe, [0, 1, 2], noise=4.0))
    whole, *halves = found
    for name in ("test", "last"):
        means = [(a + b) / 2 for a, b in zip(*(half[name] for half in halves), strict=True)]
        assert whole[name] == pytest.approx(means)
    for half in halves:
        assert half["val"] == whole["val"] and half["epoch"] == whole["epoch"]


@pytest.mark.parametrize(
    ("change", "share"),
    [({"sigma": 0.0}, 1.0), ({"sigma": 1e6}, 1 / 3), ({"keep_details": False}, 1 / 3)],
)
def test_the_share_of_coefficients_at_both_ends(change, share):
    recipe = Recipe("UFG-S", **QUICK, shrinkage=Shrinkage(**change))
    found = experiments.accuracies("blocks", recipe, [0], count=True)
    assert found["kept"] == pytest.approx([share], abs=1e-3)


def test_curves_have_one_value_an_epoch_and_theta_starts_at_one():
    recipe = Recipe("UFG-R", **QUICK)
    found = experiments.curves("blocks", recipe, [0, 1])
    assert {name: len(values) for name, values in found.items()} == {
        "val": 3, "test": 3, "theta": 3
    }  # fmt: skip
    assert found["theta"][0] == pytest.approx(1.0, abs=0.03)
    runs = [experiments.train_once(experiments.block_graph(s), recipe, s)[0] for s in (0, 1)]
    for name in ("val", "test"):
        pairs = zip(*(getattr(run, f"{name}_curve") for run in runs), strict=True)
        assert found[name] == pytest.approx([50 * (a + b) for a, b in pairs])
    assert found["val"] != found["test"]
    single = experiments.accuracies("blocks", recipe, [0, 1])
    assert found["test"][-1] == pytest.approx(sum(single["last"]) / 2, abs=1e-3)


def test_theta_has_a_gradient_within_reach_of_the_labels_only():
    graph = experiments.block_graph(2)
    net = graph.to_networkx()
    near = torch.full((graph.num_nodes,), 99)
    for node in torch.nonzero(graph.train).ravel().tolist():
        for other, hops in networkx.single_source_shortest_path_length(net, node).items():
            near[other] = min(int(near[other]), hops)
    # Degree-one polynomials: level 1 reaches one hop, level 2 two; the smooth block two as well.
    reach = {1: int((near <= 1).sum()), 2: int((near <= 2).sum())}
    touched = (2 * reach[2] + reach[1]) / (3 * graph.num_nodes)
    found = experiments.untouched_share("blocks", Recipe("UFG-R"), 2)
    assert found[1] == pytest.approx(1 - touched, abs=1e-9)
    assert found[0] <= found[1]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_entries_without_gradient_are_those_of_the_network_that_the_seed_makes(seed):
    """With one hidden unit the weights decide at which nodes it is silent."""
    graph, recipe = experiments.block_graph(seed), Recipe("UFG-R", hidden=1)
    with seeded(stream(seed, "weights")):
        model = experiments.build(recipe, graph).eval()
    loss = torch.nn.functional.cross_entropy(model(graph.x)[graph.train], graph.y[graph.train])
    gradients = torch.autograd.grad(loss, [model.first.theta, model.second.theta])
    shares = [float((gradient == 0).double().mean()) for gradient in gradients]
    assert experiments.untouched_share("blocks", recipe, seed) == shares


def test_search_takes_the_best_validation_accuracy():
    trials = [{"learning_rate": 1e-9}, {"learning_rate": 0.05}]
    recipe = Recipe("GCN", dropout=0.0, epochs=10, hidden=8)
    found = experiments.search("blocks", recipe, trials, [1000, 1001])
    assert found["best"] == trials[1]
    assert [row["learning_rate"] for row in found["rows"]] == [1e-9, 0.05]
    val = experiments.accuracies("blocks", replace(recipe, learning_rate=0.05), [1000, 1001])["val"]
    assert 100 * found["rows"][1]["val"] == pytest.approx(sum(val) / 2)


def test_a_recipe_is_by_default_that_released_for_ufgconv_r():
    released = {
        "learning_rate": 0.01, "weight_decay": 0.01, "dropout": 0.7, "epochs": 200, "hidden": 16,
        "bank": "haar", "dilation": 2.0, "coefficients": 2, "decay_theta": True,
        "shrinkage": Shrinkage(sigma=1.0, keep_details=True, scales="released"),
    }  # fmt: skip
    assert asdict(Recipe("UFG-R")) == asdict(Recipe("UFG-R", **released))


@pytest.mark.parametrize("change", [{}, {"bank": "linear"}, {"dilation": 1.5}, {"coefficients": 4}])
def test_a_model_has_the_transform_of_its_recipe(change):
    graph = experiments.block_graph(0)
    model = experiments.build(Recipe("UFG-S", **QUICK, **change), graph)
    told = {"bank": "haar", "dilation": 2.0, "coefficients": 2} | change
    wanted = FrameletTransform(normalised_laplacian(graph), **told)
    eigenvalues = torch.linspace(0, 2, 9)
    for layer in (model.first, model.second):
        assert torch.equal(layer.transform.response(eigenvalues), wanted.response(eigenvalues))


def test_an_unknown_model_is_rejected():
    with pytest.raises(ValueError, match="model must be one of MLP"):
        Recipe("GIN")


class Units:
    """Stands in for `run.unit`: remembers what was asked for."""

    def __init__(self):
        self.asked = {}

    def __call__(self, name, function, *args):
        assert name not in self.asked, f"two units are called {name}"
        self.asked[name] = (function, args)
        return {"test": [1.0], "best": {"learning_rate": 0.5}, "rows": []}


def test_every_model_gets_the_same_trials_and_other_seeds_than_the_reported():
    units = Units()
    for data in ("blocks", "cora"):
        plan.tuned_settings(units, data, list(plan.TUNED))
        searches = [
            args for name, (_, args) in units.asked.items() if name.startswith(f"tune {data}")
        ]
        assert len(searches) == len(plan.TUNED)
        assert all(len(trials) == 12 for _, _, trials, *_ in searches)
        assert len({str((trials, seeds)) for _, _, trials, seeds, _ in searches}) == 1
        assert min(searches[0][3]) >= 1000


def test_controls_differ_from_their_model_in_one_thing():
    made = plan.recipes("blocks", plan.BLOCK_SETTINGS)
    assert made["UFG-S, threshold 0"] == replace(made["UFG-S"], shrinkage=Shrinkage(sigma=0.0))
    assert made["UFG-S, no details"] == replace(
        made["UFG-S"], shrinkage=Shrinkage(keep_details=False)
    )
    assert made["UFG-R, n = 6"].coefficients == 6 and made["UFG-R"].coefficients == 2
    assert {recipe.epochs for recipe in made.values()} == {plan.EPOCHS["blocks"]}
    assert all(made[name].dropout == plan.BLOCK_SETTINGS[name]["dropout"] for name in plan.TUNED)


def test_units_are_named_apart_and_hold_what_they_say():
    units = Units()
    made = plan.recipes("blocks", plan.BLOCK_SETTINGS)
    plan.scores(units, "blocks", made, [0, 1])
    plan.released_scores(units, list(range(4)))
    found = plan.disturbed(units, "blocks", {"GCN": made["GCN"]}, [0], (1.0, 2.0), (0.5,))
    plan.pooled(units, "mutag", plan.READOUTS, [0])
    assert found == {"noise": {"GCN": {1.0: [1.0], 2.0: [1.0]}}, "rewired": {"GCN": {0.5: [1.0]}}}
    assert units.asked["blocks GCN noise 2"][1][3:5] == (2.0, 0.0)
    assert units.asked["blocks GCN rewired 0.5"][1][3:5] == (0.0, 0.5)
    assert units.asked["blocks UFG-S"][1][5] and not units.asked["blocks GCN"][1][5]
    assert units.asked["cora released UFG-R"][1][2] == [0, 1, 2, 3]
    assert units.asked["cora released UFG-S, n = 6"][1][2] == [0, 1]
    recipes = [args[1] for name, (_, args) in units.asked.items() if "released" in name]
    assert len(recipes) == len(set(recipes))


def test_the_attention_network_has_the_published_size():
    """Eight heads of eight numbers in the hidden layer (Velickovic et al. 2018, section 3.3)."""
    graph = experiments.block_graph(0)
    shapes = {tuple(p.shape) for p in experiments.build(Recipe("GAT"), graph).parameters()}
    assert {(8, 8), (64,)} <= shapes


def test_a_graph_moves_with_its_classes_and_split():
    moved = experiments._moved(experiments.block_graph(0), "meta")
    parts = (moved.y, moved.train, moved.val, moved.test)
    assert {part.device.type for part in parts} == {"meta"}
