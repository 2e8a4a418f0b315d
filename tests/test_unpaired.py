"""Data sets whose instructions differ: their errors and probabilities, and which configurations compare them."""

import json
from math import inf
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml
from scipy import integrate, stats

from conftest import ROOT, make_parent
from costly_outputs import run
from scripts.checks.checked_sources import sources_to_check
from scripts.configuration.check_config import fill_and_check
from scripts.metrics.car import INSTRUCTIONS_DIFFER, car
from scripts.plan.study_sizes import Study
from scripts.ranking.assess_ranking import sample_size, verdict
from scripts.ranking.common_instructions import refuse_gaps, rows_that_count
from scripts.ranking.highest_car import n_needed, p_highest
from scripts.ranking.sampling_error import car_of_samples, car_of_unpaired_samples
from scripts.tables.files import read_csv, write_table
from scripts.tables.matching import WAY_OUT

BETA = 0.7


def samples(rng, sizes, gaps):
    """Rewards and losses (n,) of each teacher's own instructions, some of them hard. True CAR at beta 1: 1 + gap."""
    r, loss = [], []
    for n, gap in zip(sizes, gaps, strict=True):
        hard = rng.normal(size=n)
        r.append(2 * (1 + gap) + 0.7 * hard + rng.normal(size=n))
        loss.append(1 + 0.1 * hard + rng.uniform(-0.5, 0.5, size=n))
    return r, loss


def test_the_errors_agree_with_a_bootstrap_that_resamples_the_rows_of_each_teacher():
    rng = np.random.default_rng(2)
    r, loss = samples(rng, [150, 400, 900], [0, 0.1, 0.2])
    means, covariance = car_of_unpaired_samples(r, loss, BETA)
    resampled = np.empty((3000, 3))
    for k, (x, y) in enumerate(zip(r, loss, strict=True)):
        drawn = rng.integers(len(x), size=(3000, len(x)))
        resampled[:, k] = car(x[drawn].mean(1), y[drawn].mean(1), BETA)
    assert means == pytest.approx([car(x.mean(), y.mean(), BETA) for x, y in zip(r, loss, strict=True)])
    assert np.sqrt(np.diag(covariance)) == pytest.approx(resampled.std(0, ddof=1), rel=0.06)
    assert (covariance == np.diag(np.diag(covariance))).all()
    difference = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    assert difference**0.5 == pytest.approx((resampled[:, 0] - resampled[:, 1]).std(ddof=1), rel=0.06)


@pytest.fixture
def assessed(tmp_path, monkeypatch):
    """stability.csv and sample_size.csv of two teachers, whose instructions have the same ids and are others."""
    monkeypatch.chdir(tmp_path)
    rows = {"a": ([1.0, 3.0], [1.0, 1.0]), "b": ([4.0, 4.0, 4.0], [0.0, 1.0, 2.0])}
    for name, (r, loss) in rows.items():
        frame = {"id": [str(i) for i in range(len(r))], "base": "x", "teacher": name, "reward:rm": r, "loss": loss}
        frame |= {"reason": pl.Series([None] * len(r), dtype=pl.String)}
        broken = {"id": ["bad"], "base": "x", "teacher": name, "reward:rm": None, "loss": None, "reason": "empty"}
        write_table(
            pl.concat([pl.DataFrame(frame), pl.DataFrame(broken)], how="vertical_relaxed"), tmp_path / f"{name}.parquet"
        )
    first = {"base": "x", "reward_model": "rm", "transform": "none", "beta_from": 0.0, "beta_to": inf, "first": "b"}
    write_table(pl.DataFrame([first]), tmp_path / "sensitivity.csv")
    options = {"car": {"reward_model": "rm", "beta": 1.0, "transform": "none"}, "compared": ["a", "b"]}
    options |= {
        "compare": "unpaired",
        "p_highest": 0.95,
        "metrics": ["a.parquet", "b.parquet"],
        "sensitivity": "sensitivity.csv",
    }
    run("scripts.ranking.assess_ranking", **options, output_stability="s.csv", output_sample_size="n.csv")
    return read_csv(tmp_path / "s.csv"), read_csv(tmp_path / "n.csv")


def test_errors_and_probability_of_the_highest_car_equal_those_by_hand(assessed):
    """a: CAR 2 / 2, influences of rows -.5, .5: variance .5 / 2. b: CAR 4 / 2, influences 1, 0, -1: variance 1 / 3."""
    stability, size = assessed
    found = {row["teacher"]: row for row in stability.to_dicts()}
    assert [found[name]["car"] for name in "ab"] == [1, 2]
    assert [found[name]["car_se"] for name in "ab"] == pytest.approx([0.25**0.5, (1 / 3) ** 0.5])
    z = 1 / (0.25 + 1 / 3) ** 0.5  # of the difference; shrinkage s is uniform, the true difference N(z (1 - s), 1 - s)
    weight = lambda s: stats.norm.pdf(z, scale=s**-0.5)  # noqa: E731
    ahead = lambda s: weight(s) * stats.norm.cdf(z * (1 - s) ** 0.5)  # noqa: E731
    by_hand = integrate.quad(ahead, 0, 1)[0] / integrate.quad(weight, 0, 1)[0]
    assert found["b"]["p_highest"] == pytest.approx(by_hand, abs=0.015)
    (row,) = size.to_dicts()
    assert (row["n"], row["first"], row["tied"]) == (2, "b", "a")
    assert "(at least 2 instructions for each teacher)" in row["advice"] and row["advice"].endswith(INSTRUCTIONS_DIFFER)


def test_the_stated_probability_is_right_for_unpaired_samples_of_different_sizes():
    rng, rows = np.random.default_rng(6), []
    for _ in range(800):
        gaps = rng.normal(size=3) * rng.choice([0.02, 0.1, 0.4])
        means, covariance = car_of_unpaired_samples(*samples(rng, [100, 200, 400], gaps), 1.0)
        first = means.argmax()
        rows.append((p_highest(means[None], covariance, 1000)[0, first], gaps[first] == gaps.max()))
    claimed, true = np.array(rows, float).T
    assert claimed.mean() == pytest.approx(true.mean(), abs=0.04)  # the share has an error of .016
    settled = claimed >= 0.95
    assert settled.mean() > 0.15 and true[settled].mean() >= 0.95
    unsure = claimed < 0.7
    assert claimed[unsure].mean() == pytest.approx(true[unsure].mean(), abs=0.08)


def test_the_number_of_instructions_is_for_each_teacher():
    rng, gaps = np.random.default_rng(4), [0.3, 0, -0.2]
    means, covariance = car_of_unpaired_samples(*samples(rng, [400] * 3, gaps), 1.0)
    assert n_needed(np.full(3, 400), means, covariance, 0.95) == n_needed(400, means, covariance, 0.95)
    sizes = np.array([200, 400, 800])
    means, covariance = car_of_unpaired_samples(*samples(rng, sizes, gaps), 1.0)
    needed, settled = n_needed(sizes, means, covariance, 0.95), 0
    for _ in range(60):
        means, covariance = car_of_unpaired_samples(*samples(rng, [needed] * 3, gaps), 1.0)
        settled += p_highest(means[None], covariance, 2000)[0].max() >= 0.95
    assert needed <= 1000 and settled > 0.75 * 60


def test_one_teacher_alone_has_the_same_error_paired_or_not():
    r, loss = samples(np.random.default_rng(1), [50], [0])
    paired = car_of_samples(r[0][:, None], loss[0][:, None], BETA)
    for unpaired, same in zip(car_of_unpaired_samples(r, loss, BETA), paired, strict=True):
        assert unpaired == pytest.approx(same)


def test_the_advice_says_that_instructions_differ():
    clear = sample_size(["x", "y"], np.array([500, 800]), np.array([1.0, 3.0]), np.diag([0.02, 0.02]), 0.95)
    got = verdict(clear, 3.0, [], "unpaired")
    enough = f"90% of samples of about {clear['n_needed']} instructions for each teacher would settle it."
    known = "y has the highest CAR with a probability above 99 % (at least 500 instructions for each teacher)"
    assert got == {"settled": True, "advice": f"{known}: settled. {enough} {INSTRUCTIONS_DIFFER}"}
    assert INSTRUCTIONS_DIFFER not in verdict(clear, 3.0, [])["advice"]


def test_each_teacher_counts_its_own_rows_and_its_own_gaps():
    reasons = {"x": [None] * 3 + ["empty"], "y": [None, None]}
    rows = [
        {"id": str(i), "base": "b", "teacher": teacher, "reason": reason}
        for teacher, of_teacher in reasons.items()
        for i, reason in enumerate(of_teacher)
    ]
    rows = pl.DataFrame(rows, schema_overrides={"reason": pl.String})
    assert rows_that_count(rows, ["x", "y"], "unpaired").group_by("teacher").len().sort("teacher").rows() == [
        ("x", 3),
        ("y", 2),
    ]
    refuse_gaps(rows, ["x", "y"], 0.25)
    with pytest.raises(SystemExit, match="more than 20% of the instructions have no usable row from x 25% of 4:"):
        refuse_gaps(rows, ["x", "y"], 0.2)
    with pytest.raises(
        SystemExit, match=r"b: no instruction has a usable row from each of x, z: .*`compare: unpaired`"
    ):
        rows_that_count(rows, ["x", "z"], "paired")


def unpaired_config() -> dict:
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    for key in ("instructions", "benchmarks", "ap"):
        del config[key]
    table = {"path": "t.jsonl", "columns": {"instruction": "q", "response": "a"}}
    chats = {"path": "t.jsonl", "columns": {"messages": "m"}}
    return config | {"compare": "unpaired", "teachers": {"a": {"import": table}, "b": {"import": chats}}}


@pytest.fixture
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").symlink_to(ROOT / "config")
    (tmp_path / "t.jsonl").write_text("", encoding="utf-8")


def test_an_unpaired_study_needs_no_section_of_instructions(in_a_folder):
    config = unpaired_config()
    assert fill_and_check(config) == []
    assert config["instructions"] == {"n": None, "seed": 0, "max_characters": 20000}
    checked = sources_to_check(config)
    assert set(checked) == {"teachers.a.import", "teachers.b.import"}
    assert all(source["needed"] == ["instruction", "response"] for source in checked.values())


def test_each_import_is_planned_with_its_own_rows(in_a_folder):
    config = unpaired_config() | {"study": "s"}
    fill_and_check(config)
    assert Study(config).responses("a") == config["plan"]["instructions"]
    config["instructions"]["n"] = 50
    write_table(pl.DataFrame({"id": ["1", "2"]}), make_parent(Path("results/s/instructions/a.parquet")))
    assert (Study(config).responses("a"), Study(config).responses("b")) == (2, 50)


OWN = "every teacher is an import that brings its own"
BROUGHT = "with `compare: unpaired` each import brings its own instructions"


@pytest.mark.parametrize(
    "change, line",
    [
        (
            {"m": {"model": "a/b"}},
            f"teachers.m: a model has no instructions of its own, and with `compare: unpaired` {OWN}",
        ),
        ({"m": {"mix": "car", "base": "alpha"}}, "teachers.m: a mix has no instructions of its own, and with"),
        ({"m": {"select": "random", "pool": "a"}}, "teachers.m: a selection has no instructions of its own, and with"),
        (
            {"m": {"import": {"path": "t.jsonl", "columns": {"id": "i", "response": "a"}}}},
            f"teachers.m.import.columns: name the column instruction or messages: {BROUGHT}",
        ),
        ({"a": {"candidates": 2}}, "teachers.a.candidates: with `compare: unpaired` each instruction has one response"),
        (
            {"a": {"compare": "unpaired"}},
            "teachers.a.compare: the text 'unpaired' is given, and true or false is needed",
        ),
    ],
)
def test_what_brings_no_instructions_of_its_own_is_refused_by_name(in_a_folder, change, line):
    config = unpaired_config()
    for name, entry in change.items():
        config["teachers"][name] = config["teachers"].get(name, {}) | entry
    assert [problem for problem in fill_and_check(config) if problem.startswith(line)]


def test_a_source_of_instructions_is_refused_in_an_unpaired_study_and_needed_in_a_paired_one(in_a_folder):
    config = unpaired_config() | {"instructions": {"path": "t.jsonl", "n": 3}}
    assert fill_and_check(config) == [f"instructions.path: {BROUGHT}: delete this key"]
    config = unpaired_config()
    del config["compare"]
    assert fill_and_check(config) == ["top level: instructions is missing"]


def check_imports(folder, reasons, limit):
    paths = []
    for teacher, of_teacher in reasons.items():
        rows = {"id": [str(i) for i in range(len(of_teacher))], "teacher": teacher}
        rows |= {"reason": pl.Series(of_teacher, dtype=pl.String)}
        paths.append(folder / f"{teacher}.parquet")
        write_table(pl.DataFrame(rows), paths[-1])
    run("scripts.checks.check_imports", responses=paths, max_set_aside=limit, output=folder / "imports.json")
    return json.loads((folder / "imports.json").read_text(encoding="utf-8"))


def test_paired_imports_without_a_common_instruction_fail_before_a_model_is_loaded(tmp_path):
    out = "not_in_import"
    assert check_imports(tmp_path, {"x": [None, None, out], "y": [out, None, None]}, 0.4)["common_instructions"] == 1
    with pytest.raises(SystemExit, match=r"imports: more than 20% of the .* from x 33% of 3, y 33% of 3: see `reason`"):
        check_imports(tmp_path, {"x": [None, None, out], "y": [out, None, None]}, 0.2)
    with pytest.raises(SystemExit) as end:
        check_imports(tmp_path, {"x": [None, out], "y": [out, None]}, 1.0)
    assert end.value.code == (
        "imports: no instruction has a usable row from each of x, y: see `reason` in responses, rewards, likelihoods; "
        f"{WAY_OUT}"
    )
