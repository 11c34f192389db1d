import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import StandardScaler

from src.common.graphs.embedding_evaluation import (
    Scores,
    classify,
    classify_on,
    f1_scores,
    one_vs_rest,
    standardise,
    top_labels,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def table(*rows):
    return torch.tensor([[bool(int(c)) for c in row] for row in rows])


def random_labels(nodes=400, labels=6, dim=8, seed=0):
    """Vectors from which several labels can be read, but not perfectly."""
    source = generator(seed)
    y = torch.rand(nodes, labels, generator=source) < 0.25
    y[torch.arange(nodes), torch.randint(labels, (nodes,), generator=source)] = True
    x = y.float() @ torch.randn(labels, dim, generator=source)
    return x + torch.randn(nodes, dim, generator=source), y


def test_f1_by_hand():
    truth = table("110", "010", "001", "100")
    predicted = table("110", "100", "001", "010")
    # Hits 1, 1, 1; predicted 2, 2, 1; true 2, 2, 1.
    scores = f1_scores(predicted, truth)
    assert scores.micro == pytest.approx(2 * 3 / (5 + 5))
    assert scores.macro == pytest.approx((2 / 4 + 2 / 4 + 2 / 2) / 3)


def test_a_label_that_no_test_node_has_counts_in_micro_only():
    scores = f1_scores(table("101", "010"), table("100", "010"))
    assert scores.micro == pytest.approx(4 / 5)
    assert scores.macro == 1.0


def test_f1_agrees_with_scikit_learn():
    source = generator(3)
    for _ in range(20):
        truth = torch.rand(50, 7, generator=source) < 0.3
        truth[0] = True  # every label occurs, as scikit-learn averages over all columns
        predicted = torch.rand(50, 7, generator=source) < 0.3
        scores = f1_scores(predicted, truth)
        for name in ("micro", "macro"):
            expected = f1_score(truth.numpy(), predicted.numpy(), average=name, zero_division=0)
            assert getattr(scores, name) == pytest.approx(expected, abs=1e-12)


def test_top_labels_takes_as_many_as_asked_and_breaks_ties_by_number():
    scores = torch.tensor([[0.1, 0.9, 0.5], [0.2, 0.2, 0.2], [-3.0, -2.0, -torch.inf]])
    chosen = top_labels(scores, torch.tensor([2, 1, 0]))
    assert torch.equal(chosen, table("011", "100", "000"))
    many = top_labels(torch.zeros(1, 300), torch.tensor([3]))
    assert torch.nonzero(many[0]).ravel().tolist() == [0, 1, 2]


def test_every_label_has_the_classifier_of_scikit_learn():
    x, y = random_labels()
    scores = one_vs_rest(x[:200], y[:200], x[200:])
    scaler = StandardScaler().fit(x[:200].double().numpy())
    model = OneVsRestClassifier(LogisticRegression(max_iter=1_000))
    model.fit(scaler.transform(x[:200].double().numpy()), y[:200].numpy())
    expected = model.decision_function(scaler.transform(x[200:].double().numpy()))
    assert np.allclose(scores.numpy(), expected, atol=1e-6)


def test_the_classifiers_minimise_the_penalised_likelihood():
    x, y = random_labels(nodes=120)
    train, _ = standardise(x, x)
    target = torch.from_numpy(np.where(y[:, 0].numpy(), 1.0, -1.0))
    found = LogisticRegression(max_iter=1_000).fit(train, y[:, 0].numpy())
    weight = torch.from_numpy(found.coef_[0]).requires_grad_()
    shift = torch.tensor(float(found.intercept_[0]), requires_grad=True, dtype=torch.double)
    score = torch.from_numpy(train) @ weight + shift
    loss = torch.nn.functional.softplus(-target * score).sum() + weight.square().sum() / 2
    slopes = torch.autograd.grad(loss, [weight, shift])
    assert max(float(s.abs().max()) for s in slopes) < 0.02  # of 120 terms of size 1


def test_classes_are_told_by_the_best_score():
    source = generator(1)
    y = torch.arange(300) % 3
    x = torch.nn.functional.one_hot(y, 3) + 0.7 * torch.randn(300, 3, generator=source)
    scores = classify_on(x[:150], y[:150], x[150:], y[150:])
    one_hot = torch.nn.functional.one_hot(y[:150], 3).bool()
    best = one_vs_rest(x[:150], one_hot, x[150:]).argmax(dim=1)
    assert scores.micro == pytest.approx(float((best == y[150:]).double().mean()))
    expected = f1_score(y[150:].numpy(), best.numpy(), average="macro")
    assert scores.macro == pytest.approx(expected)


@pytest.mark.parametrize("several", [False, True])
def test_vectors_that_hold_the_labels_score_one(several):
    if several:
        y = torch.cat([torch.eye(5).bool(), random_labels(labels=5)[1]])
        x = 2.0 * y - 1
    else:
        y = torch.arange(200) % 4
        x = 10.0 * torch.nn.functional.one_hot(y, 4)
    assert classify(x, y, 0.5, generator()) == Scores(1.0, 1.0)


def test_random_vectors_score_chance():
    y = torch.arange(2_000) % 4
    x = torch.randn(2_000, 8, generator=generator(2))
    scores = classify(x, y, 0.5, generator())
    assert abs(scores.micro - 0.25) < 4 * (0.25 * 0.75 / 1_000) ** 0.5
    assert abs(scores.macro - 0.25) < 0.06


def test_the_share_is_kept_in_every_class_and_small_classes_are_in(monkeypatch):
    seen = {}

    def spy(train_vectors, train_y, test_vectors, test_y):
        seen["train"], seen["test"] = train_vectors.ravel().long(), test_vectors.ravel().long()
        return Scores(0.0, 0.0)

    monkeypatch.setattr("src.common.graphs.embedding_evaluation.classify_on", spy)
    y = torch.tensor([0] * 50 + [1] * 30 + [2] * 3)
    classify(torch.arange(83.0).unsqueeze(1), y, 0.1, generator())
    assert torch.bincount(y[seen["train"]]).tolist() == [5, 3, 1]
    assert sorted(torch.cat([seen["train"], seen["test"]]).tolist()) == list(range(83))
    several = torch.rand(83, 4, generator=generator()) < 0.3
    classify(torch.arange(83.0).unsqueeze(1), several, 0.4, generator())
    both = torch.cat([seen["train"], seen["test"]])
    labelled = torch.nonzero(several.any(dim=1)).ravel()
    assert sorted(both.tolist()) == labelled.tolist()  # each once; none without labels
    assert len(seen["train"]) == round(0.4 * len(labelled))
    one = torch.eye(4).bool()
    classify(torch.arange(4.0).unsqueeze(1), one, 0.1, generator())
    assert (len(seen["train"]), len(seen["test"])) == (1, 3)  # rather one than none


def test_the_split_follows_the_generator():
    x, y = random_labels()
    first = classify(x, y, 0.3, generator(5))
    assert classify(x, y, 0.3, generator(5)) == first
    assert classify(x, y, 0.3, generator(6)) != first


def test_the_scale_and_shift_of_a_column_do_not_matter():
    x, y = random_labels()
    other = x * torch.logspace(-3, 3, 8) + torch.linspace(-5, 5, 8)
    a, b = classify(x, y, 0.5, generator()), classify(other.double(), y, 0.5, generator())
    assert a.micro == pytest.approx(b.micro, abs=0.005)


def test_constant_columns_are_harmless():
    x, y = random_labels()
    padded = torch.cat([x, torch.full((400, 1), 0.1), torch.zeros(400, 1)], dim=1)
    a, b = classify(x, y, 0.5, generator()), classify(padded, y, 0.5, generator())
    assert a.micro == pytest.approx(b.micro, abs=1e-9)
    # The mean of 333 times 1000 / 7 is not exact: the deviation comes out as 3e-14.
    constant = torch.full((333, 1), 1e3 / 7, dtype=torch.double)
    assert 0 < float(constant.std(dim=0, correction=0)) < 1e-12
    scaled, _ = standardise(constant, constant)
    assert np.abs(scaled).max() < 1e-12


def test_labels_without_or_only_with_training_nodes_need_no_classifier():
    x, y = random_labels()
    y[:200, 0], y[:200, 1] = False, True
    scores = one_vs_rest(x[:200], y[:200], x[200:])
    assert bool((scores[:, 0] == -torch.inf).all()) and bool((scores[:, 1] == torch.inf).all())
    assert bool(scores[:, 2:].isfinite().all())
    only = torch.zeros(6, dtype=torch.long)
    assert classify(x[:6], only, 0.5, generator()) == Scores(1.0, 1.0)


def test_a_test_class_that_training_never_saw_is_missed():
    y = torch.tensor([0, 1] * 20)
    x = 2.0 * torch.nn.functional.one_hot(y, 2)
    scores = classify_on(x, y, torch.cat([x[:2], x[:1]]), torch.tensor([0, 1, 5]))
    assert scores.micro == pytest.approx(2 / 3)
    assert scores.macro == pytest.approx((2 / 3 + 1 + 0) / 3)


def test_bad_input_says_what_is_wrong():
    x, y = random_labels(nodes=20)
    with pytest.raises(ValueError, match="between 0 and 1, not 1"):
        classify(x, y, 1.0, generator())
    with pytest.raises(ValueError, match="diverged"):
        classify(torch.where(x > 2, torch.nan, x), y, 0.5, generator())
    with pytest.raises(ValueError, match="whole numbers"):
        classify(x, y.float(), 0.5, generator())
    with pytest.raises(ValueError, match="leave nodes without a class out"):
        classify(x, torch.full((20,), -1), 0.5, generator())
    with pytest.raises(ValueError, match="one to test"):
        classify(x[:2], torch.tensor([0, 1]), 0.5, generator())
