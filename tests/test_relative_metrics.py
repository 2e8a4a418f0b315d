"""Metrics that depend on the other teachers, compared with plain loops over rows."""

import numpy as np
import polars as pl
import pytest

from scripts.ranking.rank_teachers import with_relative_metrics
from scripts.ranking.relative_metrics import reward_minus_ppl
from scripts.tables.files import write_table

COMPARED, N = ["one", "two", "three"], 6


@pytest.fixture
def files(tmp_path):
    """Metrics of three compared teachers and one that is not; the last instruction counts for none of them."""
    rng, paths = np.random.default_rng(3), []
    for teacher in [*COMPARED, "mix"]:
        share = rng.uniform(0.1, 0.5, N)
        first, rest = -rng.uniform(3, 6, N), -rng.uniform(0.5, 2, N)
        rows = {"id": [f"i{i}" for i in range(N)], "base": "b", "teacher": teacher}
        rows |= {"reason": pl.Series([None] * (N - 1) + ["empty"], dtype=pl.String)}
        rows |= {"loss": rng.uniform(1, 3, N), "brier": rng.uniform(0.3, 0.9, N), "first_share": share}
        rows |= {"first_log_prob": first, "aslec_drop": rest, "log_prob": share * first + (1 - share) * rest}
        frame = pl.DataFrame(rows)
        if teacher == "two":  # a response of first tokens only
            alone = pl.col("id") == "i1"
            frame = frame.with_columns(
                aslec_drop=pl.when(~alone).then("aslec_drop"),
                first_share=pl.when(alone).then(1.0).otherwise("first_share"),
            )
        paths.append(tmp_path / f"{teacher}.parquet")
        write_table(frame.sample(fraction=1, shuffle=True, seed=1), paths[-1])
    return paths


def values(paths, compare="paired"):
    means = pl.DataFrame(
        {"teacher": [*COMPARED, "mix"], "reward:rm": [3.0, 1.0, 2.0, 9.0], "loss_without_end": [1.0, 3.0, 5.0, 3.0]}
    )
    counting = pl.read_parquet(paths[0]).filter(pl.col("reason").is_null()).select("id")
    if compare == "unpaired":
        counting = pl.concat(
            [pl.read_parquet(path).filter(pl.col("reason").is_null()).select("id", "teacher") for path in paths]
        )
    return with_relative_metrics(means, paths, counting, COMPARED, compare)


def test_lark_equals_the_formula_for_each_instruction(files):
    rows = {path.stem: {row["id"]: row for row in pl.read_parquet(path).to_dicts()} for path in files}
    got = dict(values(files).select("teacher", "lark").iter_rows())
    for teacher, of_teacher in rows.items():
        found = []
        for i in [f"i{i}" for i in range(N - 1)]:
            pool = [rows[name][i] for name in COMPARED]
            total = sum(row["loss"] for row in pool)
            mean = sum(row["brier"] / row["loss"] * row["loss"] for row in pool) / total
            row = of_teacher[i]
            found.append(row["loss"] / total * (2 * row["brier"] / row["loss"] - mean))
        assert got[teacher] == pytest.approx(np.mean(found))


def test_aslec_casl_takes_out_the_effect_of_the_share_of_first_tokens(files):
    rows = pl.concat([pl.read_parquet(path) for path in files]).filter(pl.col("reason").is_null())
    fit = rows.filter(pl.col("teacher") != "mix", pl.col("aslec_drop").is_not_null())
    design = np.column_stack([np.ones(len(fit)), fit.select("aslec_drop", "first_log_prob", "first_share").to_numpy()])
    gamma = np.linalg.lstsq(design, fit["log_prob"].to_numpy(), rcond=None)[0][3]
    adjusted = rows.group_by("teacher").agg((pl.col("log_prob") - gamma * pl.col("first_share")).mean()).rows()
    assert dict(values(files).select("teacher", "aslec_casl").iter_rows()) == pytest.approx(dict(adjusted))


def test_reward_minus_ppl_is_a_difference_of_z_over_the_compared_teachers(files):
    got = values(files)["reward_minus_ppl:rm"].to_list()
    assert got == pytest.approx([1 + 1, -1 - 0, 0 - 1, 7 - 0])
    constant = pl.DataFrame({"teacher": ["a", "b"], "reward:rm": [1.0, 1.0], "loss_without_end": [1.0, 2.0]})
    assert constant.select(reward_minus_ppl("reward:rm", ["a", "b"])).to_series().to_list() == [None, None]


def test_teachers_with_their_own_instructions_have_no_lark(files):
    assert "lark" not in values(files, "unpaired").columns
    assert values(files, "unpaired")["aslec_casl"].to_list() == pytest.approx(values(files)["aslec_casl"].to_list())
