"""Gradients of rows, compared with those of the whole model at once and an explicit matrix; the scores made of them."""

from collections import Counter

import numpy as np
import polars as pl
import pytest
import torch

from conftest import ROOT
from costly_outputs import TEMPLATE, rows_of, run, write_inputs
from scripts.gradients import projection, row_gradients
from scripts.gradients.projection import Projection
from scripts.gradients.row_gradients import Gradients
from scripts.metrics.definitions import SAMPLED_METRICS, better, scores_in
from scripts.miniature.miniature_models import new_llama
from scripts.miniature.miniature_tokenizer import byte_tokenizer
from scripts.ranking.gradient_scores import g_vendi, grace, gradient_scores
from scripts.ranking.sampled_metrics import scores_of_gradients
from scripts.tables.files import write_table

TURNS = ([5, 6, 7, 8], list(range(20, 31)), [9, 10], [40, 41, 42])  # given and scored ids by turns


@pytest.fixture
def small(monkeypatch):
    """A projection whose matrix fits into a test, and slices and chunks that do not end where weights or turns do."""
    monkeypatch.setattr(projection, "DIMENSIONS", 48)
    monkeypatch.setattr(projection, "BUCKETS", 251)
    monkeypatch.setattr(projection, "SLICE", 3 * 251)
    monkeypatch.setattr(row_gradients, "CHUNK", 4)


def explicit_matrix(size: int) -> np.ndarray:
    """The signs of the projection (dimensions, size), number by number."""
    sizes = 48 * 251, size
    seeds = np.random.SeedSequence(0).spawn(2)
    words = [np.random.PCG64(seed).random_raw(-(-n // 64)) for seed, n in zip(seeds, sizes, strict=True)]
    bits = [np.array([int(word) >> i & 1 for word in found for i in range(64)]) for found in words]
    matrix, signs = (1 - 2 * found[:n] for found, n in zip(bits, sizes, strict=True))
    return matrix.reshape(48, 251)[:, np.arange(size) % 251] * signs


@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("tied", [False, True])
def test_a_projected_gradient_is_that_of_the_whole_model_times_a_matrix_of_signs(small, lora, tied):
    torch.manual_seed(0)
    model = new_llama(byte_tokenizer(), hidden=32, layers=2).eval()
    if not tied:
        model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight))
    gradients = Gradients(model, lora)
    gradients.of((TURNS[1], TURNS[0]))  # another row before leaves nothing behind
    norm, projected = gradients.of(TURNS)
    weights = [weight for name, weight in model.named_parameters() if "lora_B" in name or not lora]
    ids = torch.tensor([[token for part in TURNS for token in part]])
    at = [*range(4, 15), *range(17, 20)]
    logits = model.double()(input_ids=ids).logits[0]
    loss = -sum(logits[i - 1].log_softmax(-1)[ids[0, i]] for i in at) / len(at)
    whole = torch.cat([part.flatten() for part in torch.autograd.grad(loss, weights)]).numpy()
    assert norm == pytest.approx(np.linalg.norm(whole), rel=1e-5)
    expected = explicit_matrix(len(whole)) @ whole / len(whole) ** 0.5
    np.testing.assert_allclose(projected.numpy(), expected, atol=2e-5 * np.abs(expected).max())
    assert all(weight.grad is None for weight in model.parameters())


def test_lengths_are_preserved_also_of_gradients_with_a_few_large_columns():
    """Squared lengths have a relative error of sqrt(2 / 512 + 2 / 16381) = .0635."""
    rng, projected = np.random.default_rng(0), Projection(512 * 640, "cpu")
    errors = []
    for column in range(60):
        gradient = 0.01 * rng.standard_normal((512, 640))
        gradient[:, 10 * column] = rng.standard_normal(512)
        projected.clear()
        projected.add(torch.from_numpy(gradient), 0)
        x = projected.projected().numpy() * (512 * 640) ** 0.5
        errors.append(x @ x / 512 / np.sum(gradient**2) - 1)
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(0.0635, rel=0.25)


def test_grace_equals_its_formula_with_smoothed_eigenvalues():
    x = np.random.default_rng(1).standard_normal((37, 64)) * np.linspace(0.1, 3, 64)
    values = []
    for seed in range(10):
        order = np.random.default_rng(seed).permutation(37)
        train, held_out = x[order[:-3]], x[order[-3:]]
        unit = np.stack([row / np.sqrt(row @ row) for row in train])
        _, singular, directions = np.linalg.svd(unit, full_matrices=True)
        w = np.zeros(64)
        w[: len(singular)] = singular**2 / len(train)
        w = 0.999 * w + 0.001 * w.mean()
        inverse = directions.T @ np.diag(1 / w) @ directions
        values.append(np.mean([row @ inverse @ row for row in held_out]))
    assert grace(x) == pytest.approx(np.mean(values), rel=1e-9)


def test_g_vendi_is_the_number_of_directions_of_equally_many_gradients():
    assert g_vendi(np.diag([1.0, 2.0, 5.0, 0.1])) == pytest.approx(4)
    assert g_vendi(np.outer([1.0, 3.0, 2.0], [1.0, 1.0, 0.0])) == pytest.approx(1)
    # two gradients at an angle: the eigenvalues are (1 + cos) / 2 and (1 - cos) / 2
    x = np.array([[1.0, 0.0], [0.6, 0.8]])
    assert g_vendi(x) == pytest.approx(np.exp(-0.8 * np.log(0.8) - 0.2 * np.log(0.2)))
    assert gradient_scores(np.array([3.0]), np.ones((1, 4))) == {"g_norm": 3.0, "g_vendi": 1.0, "grace": None}


def write_gradients(folder, teacher: str, missing: dict[str, str]) -> tuple:
    """The table of a teacher's gradients, and the gradients by id; missing: id to reason."""
    rng, ids = np.random.default_rng(len(teacher)), [f"i{i}" for i in range(9)]
    found = {i: rng.standard_normal(6).astype(np.float32) for i in ids if i not in missing}
    frame = pl.DataFrame(
        {
            "id": ids,
            "model": "b",
            "teacher": teacher,
            "gradient_norm": [float(np.linalg.norm(found[i])) if i in found else None for i in ids],
            "projection": [found[i].tolist() if i in found else None for i in ids],
            "reason": [missing.get(i) for i in ids],
        },
        schema_overrides={"projection": pl.List(pl.Float32), "reason": pl.String},
    )
    path = folder / f"{teacher}.parquet"
    write_table(frame.sample(fraction=1, shuffle=True, seed=3), path, {"gradients b": "k", "responses": teacher})
    return path, found


def test_scores_of_gradients_are_over_the_instructions_that_all_compared_teachers_have(tmp_path):
    tables = {
        "one": write_gradients(tmp_path, "one", {"i3": "not_sampled"}),
        "other": write_gradients(tmp_path, "other", {"i3": "not_sampled", "i5": "over_long"}),
        "mix": write_gradients(tmp_path, "mix", {"i0": "not_sampled"}),
    }
    paths = [path for path, _ in tables.values()]
    counting = pl.DataFrame({"id": [f"i{i}" for i in range(8)]})  # i8 counts for none
    rows = {row.pop("teacher"): row for row in scores_of_gradients(paths, counting, ["one", "other"]).to_dicts()}
    used = {"one": "i0 i1 i2 i4 i6 i7", "other": "i0 i1 i2 i4 i6 i7", "mix": "i1 i2 i4 i6 i7"}
    for teacher, ids in used.items():
        x = np.array([tables[teacher][1][i] for i in ids.split()], dtype=np.float64)
        expected = {"n_gradients": len(x), **gradient_scores(np.linalg.norm(x, axis=1), x)}
        assert rows[teacher] == pytest.approx(expected)
    unpaired = counting.join(pl.DataFrame({"teacher": ["one", "other"]}), how="cross")
    assert scores_of_gradients(paths, unpaired, ["one", "other"])["n_gradients"].to_list() == [7, 6, 0]
    with pytest.raises(SystemExit, match=r"different gradients b: .* --forcerun score_gradients"):
        write_table(pl.read_parquet(paths[0]), paths[0], {"gradients b": "another base"})
        scores_of_gradients(paths, counting, ["one", "other"])


def test_a_larger_sample_computes_only_new_rows_and_is_the_same_for_every_teacher(tiny, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    inputs = write_inputs(tmp_path)

    def sampled(n: int) -> tuple[list[dict], Counter]:
        """The rows with a gradient, and how often each reason is given."""
        model = {"model": str(tiny), "chat_template": TEMPLATE}
        names = {"instructions": inputs["instructions"], "responses": inputs["responses"], "store": tmp_path / "rows"}
        run(
            "scripts.gradients.score_gradients",
            **{"name": "b", "teachers": ["one", "two"], "model": model, "settings": {"n": n}} | names,
            outputs=[tmp_path / "one.parquet", tmp_path / "two.parquet"],
        )
        tables = [rows_of(tmp_path / f"{teacher}.parquet") for teacher in ("one", "two")]
        of_one, of_two = ([row | {"teacher": "x"} for row in rows] for rows in tables)
        assert len(of_one) == 7 and of_one == of_two
        return [row for row in of_one if row["projection"]], Counter(row["reason"] for row in of_one)

    few, reasons = sampled(3)
    assert reasons == {None: 3, "not_sampled": 3, "empty": 1}
    capsys.readouterr()
    many, reasons = sampled(6)
    assert reasons == {None: 5, "not_sampled": 1, "empty": 1}  # the empty one was sampled
    assert "3 of 5 rows found" in capsys.readouterr().out and all(row in many for row in few)


def test_every_score_of_gradients_has_a_declared_direction_and_is_compared_with_the_others():
    teachers = pl.DataFrame({"teacher": ["t"], "lark": [1.0], **{name: [1.0] for name in SAMPLED_METRICS}})
    assert scores_in(teachers)[-len(SAMPLED_METRICS) - 1 :] == ["lark", *SAMPLED_METRICS]
    assert [better(name) for name in ("g_norm", "g_vendi", "grace")] == ["lower", "higher", "lower"]
