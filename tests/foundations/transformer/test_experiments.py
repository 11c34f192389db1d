from dataclasses import replace

import pytest
import torch

from src.foundations.transformer.exams import language_exam, new_sentences, rebuild, reversal_exam
from src.foundations.transformer.experiments import (
    MODELS,
    Recipe,
    build,
    clause_stream,
    fit,
    pack,
    run_language,
    run_symbols,
    streams,
    unpack,
    unseen,
)
from src.foundations.transformer.language_pair import corpus, vocabulary
from src.foundations.transformer.model import Transformer, parameter_count
from src.foundations.transformer.recurrent import RecurrentTranslator
from src.foundations.transformer.sequence_tasks import symbol_batch

SHORT = Recipe(steps=3, peak=0.01, warmup=2, batch=4)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("change", [{}, {"width": 64, "layers": 2}, {"positions": "learned"}])
def test_both_models_have_the_same_size(change):
    recipe = replace(SHORT, **change)
    # The rival is measured by the Transformer with sinusoids, whatever the recipe says.
    plain = replace(recipe, positions="sinusoidal")
    sizes = [
        parameter_count(build("transformer", plain, 122, generator())),
        parameter_count(build("recurrent", recipe, 122, generator())),
    ]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.03)


def test_build_gives_the_kinds_and_names_them():
    assert isinstance(build("transformer", SHORT, 13, generator()), Transformer)
    assert isinstance(build("recurrent", SHORT, 13, generator()), RecurrentTranslator)
    with pytest.raises(ValueError, match="unknown model 'lstm'; valid: transformer, recurrent"):
        build("lstm", SHORT, 13, generator())


@pytest.mark.parametrize("model", MODELS)
def test_learns_to_copy_short_strings(model):
    recipe = Recipe(steps=120, peak=0.01, warmup=20, dropout=0.0, batch=16)
    result = run_symbols(model, "copy", recipe, 0, symbols=3, length=3)
    assert result["accuracy"] > 0.9
    assert result["losses"][-1] < 0.8 * result["losses"][0]
    assert len(result["losses"]) == 12


def test_runs_are_seeded_and_both_models_see_the_same_batches(monkeypatch):
    first = run_symbols("transformer", "sort", SHORT, 5)
    assert run_symbols("transformer", "sort", SHORT, 5) == first
    assert run_symbols("transformer", "sort", SHORT, 6)["losses"] != first["losses"]

    seen = {}

    def record(network, batches, recipe, noise):
        kind = "transformer" if isinstance(network, Transformer) else "recurrent"
        seen[kind] = [next(batches).source.tolist() for _ in range(3)]
        return fit(network, batches, recipe, noise)

    monkeypatch.setattr("src.foundations.transformer.experiments.fit", record)
    for model in MODELS:
        run_symbols(model, "sort", SHORT, 5)
    assert seen["transformer"] == seen["recurrent"]


def test_the_peak_of_the_learning_rate_is_reached_after_the_warm_up():
    rates = []
    network = build("transformer", SHORT, 13, generator())
    batches = iter([symbol_batch("copy", 10, 4, 4, generator())] * 8)
    before = [p.detach().clone() for p in network.parameters()]
    recipe = replace(SHORT, steps=8, warmup=4, dropout=0.0)

    def note(step, model):
        moved = max(
            (a - b).abs().max().item() for a, b in zip(before, model.parameters(), strict=True)
        )
        before[:] = [p.detach().clone() for p in model.parameters()]
        rates.append(moved)

    fit(network, batches, recipe, generator(), after_step=note)
    # Adam moves the steadiest parameter by about the learning rate.
    assert rates[0] == pytest.approx(recipe.peak / 4, rel=0.05)
    assert rates[3] == pytest.approx(recipe.peak, rel=0.3)
    assert rates[7] < 0.9 * max(rates)


def test_language_run_reports_what_its_weights_score():
    result = run_language("transformer", SHORT, 2, train_pairs=50, test_pairs=20)
    assert 0 <= result["exact"] <= 1
    assert 2 < result["cross_entropy"] < 12
    network = rebuild("transformer", SHORT, len(vocabulary()), unpack(result["weights"]))
    assert parameter_count(network) == result["parameters"]


def test_exam_sentences_are_new():
    known = corpus(300, streams(3)[0])
    exam = new_sentences(3, 300, 100, generator(1))
    assert len(exam) == 100
    assert not set(exam) & set(known)
    # If nearly all that can be drawn is known, what is left must still be new.
    assert not set(unseen(exam, 50, generator(1))) & set(exam)


def test_epochs_hold_every_clause_once():
    clauses = corpus(12, generator(4))
    stream = clause_stream(clauses, 4, generator(5))
    rows = [tuple(row) for _ in range(3) for row in next(stream).source.tolist()]
    stripped = {tuple(i for i in row if i) for row in rows}
    assert len(stripped) == 12


def test_packing_rounds_to_half_precision_only():
    network = build("recurrent", SHORT, 13, generator())
    state = unpack(pack(network))
    for name, value in network.state_dict().items():
        torch.testing.assert_close(state[name], value, rtol=1e-3, atol=1e-4)


def test_committed_weights_fit_their_recipe_and_their_recipe_still_trains():
    import json

    from safetensors.torch import load_file

    from src.book.storage import paths

    folder = paths.models_dir("foundations/transformer")
    notes = sorted(folder.glob("*.json"))
    assert len(notes) == 4
    for note in notes:
        about = json.loads(note.read_text())
        recipe, model = Recipe(**about["recipe"]), note.stem.split("-")[-1]
        flat = load_file(note.with_suffix(".safetensors"))
        for s in about["seeds"]:
            state = {
                k.split("/", 1)[1]: v.float() for k, v in flat.items() if k.startswith(f"{s}/")
            }
            if note.stem.startswith("language"):
                score = language_exam(model, recipe, state, new_sentences(s, 50, 20, generator(9)))
            else:
                score = reversal_exam(model, recipe, state, 24, generator(9))
            assert score > 0.5  # an untrained network scores 0 and about 0.1
        short = replace(recipe, steps=2)
        if note.stem.startswith("language"):
            run_language(model, short, 0, 64, 5)
        else:
            run_symbols(model, "reverse", short, 0, 10, 24)
