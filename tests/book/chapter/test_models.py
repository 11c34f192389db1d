import json

import pytest
import torch

from src.book import start
from src.book.chapter.models import weights
from src.book.storage.errors import BookError


@pytest.fixture
def run(probe_paper):
    return start("foundations/probe", profile="quick", seed=0, sizes={"quick": {}})


def test_what_was_kept_comes_back_in_half_precision(run, probe_paper):
    state = {"layer.weight": torch.randn(3, 4), "layer.bias": torch.zeros(3)}
    several = {str(i): state for i in (3, 1, 4, 2, 0)}
    kept = weights(run, "small", several, {"recipe": {"steps": 3}})
    assert list(kept) == ["0", "1", "2", "3", "4"]
    for network in kept.values():
        for part, value in network.items():
            assert value.dtype == torch.float32
            torch.testing.assert_close(value, state[part], rtol=1e-3, atol=1e-3)
    again = weights(run, "small", {}, {})
    assert torch.equal(again["1"]["layer.weight"], kept["1"]["layer.weight"])
    note = json.loads((probe_paper / "data/models/foundations/probe/small.json").read_text())
    assert note["recipe"] == {"steps": 3}


def test_absent_changed_and_too_large_models_are_refused(run, probe_paper):
    weights(run, "small", {"0": {"w": torch.zeros(2)}}, {})
    with pytest.raises(BookError, match="unknown model 'smal'; valid: small"):
        weights(run, "smal", {}, {})
    with pytest.raises(BookError, match="at most"):
        weights(run, "large", {"0": {"w": torch.zeros(600_000)}}, {})
    file = probe_paper / "data/models/foundations/probe/small.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(BookError, match="is not the file that"):
        weights(run, "small", {}, {})


def test_a_run_with_unusual_parameters_keeps_its_weights_aside(run, probe_paper, monkeypatch):
    state = {"0": {"w": torch.zeros(2)}}
    weights(run, "small", state, {})
    monkeypatch.setenv("BOOK_MODELS", str(probe_paper / "aside"))
    kept = weights(run, "small", {"0": {"w": torch.ones(2)}}, {})
    assert kept["0"]["w"].tolist() == [1, 1], "what it trained is what it goes on with"
    assert weights(run, "small", {}, {})["0"]["w"].tolist() == [0, 0], "the book's are as they were"
    assert (probe_paper / "aside/foundations/probe/small.safetensors").exists()
