"""What the responses of a teacher cost: tokens, dollars and GPU-hours by hand, and nothing that is not known."""

import json

import polars as pl
import pytest

from scripts.ranking import count_costs
from scripts.tables.files import read_csv
from scripts.tables.schemas import RESPONSES

TEXTS = {"a": "Add 3 and 4", "b": "Spell ñandú", "c": "four", "d": "Refuse"}  # 11, 13, 4 and 6 bytes
# id, response, tokens written, tokens read
REPORTED = [("a", "seven", 5, 10), ("b", "it is", 7, 20), ("c", "quite", 8, 2), ("d", None, None, None)]
PARTLY = [("a", "seven", 5, 10), ("b", "ñandú", None, 20), ("c", "quite", 8, None), ("d", None, None, 6)]
POOL = [(i, "x", 1, 10) for i in "aabbccdd"]
MODELS = {
    "gpt": {"model": "m/gpt", "engine": "openai", "gpus": 0, "parameters": None},
    "partly": {"model": "m/gpt", "engine": "openai", "gpus": 0, "parameters": None},
    "batched": {"model": "m/gpt", "engine": "openai", "gpus": 0, "parameters": None, "openai": {"batch": True}},
    "unpriced": {"model": "m/other", "engine": "openai", "gpus": 0, "parameters": None},
    "pool": {"model": "m/M-7B", "engine": "vllm", "gpus": 1, "parameters": None},
    "unsized": {"model": "m/M", "engine": "vllm", "gpus": 1, "parameters": None},
    "cpu": {"model": "m/M-7B", "engine": "transformers", "gpus": 0, "parameters": None},
}
ROWS = {name: POOL if name == "pool" else PARTLY if name == "partly" else REPORTED for name in MODELS}
PAID = {name: [name] for name in MODELS} | {"best": ["pool"], "import": ["import"]}
PAID |= {"mix": ["gpt", "partly"], "mixed": ["gpt", "pool"], "half-known": ["gpt", "import"]}


@pytest.fixture
def costs(tmp_path, monkeypatch):
    """The table's rows by teacher, for a number of instructions that were drawn from a file of ten, or for all."""

    def count(n: int | None) -> dict[str, dict]:
        pl.DataFrame({"id": [*TEXTS], "instruction": [*TEXTS.values()]}).write_parquet(
            tmp_path / "instructions.parquet"
        )
        for name, rows in ROWS.items():
            columns = ["id", "response", "n_tokens", "n_prompt_tokens"]
            table = pl.DataFrame(rows, {key: RESPONSES[key] for key in columns}, orient="row")
            table.write_parquet(tmp_path / f"{name}.parquet")
        (tmp_path / "mine.jsonl").write_text('{"q": "one"}\n' * 10, encoding="utf-8")
        source = {"path": str(tmp_path / "mine.jsonl"), "columns": {"instruction": "q"}, "n": n}
        options = {"paid": json.dumps(PAID), "models": json.dumps(MODELS), "gpu": "h100", "source": json.dumps(source)}
        options |= {"prices": '{"m/gpt": {"input": 2, "output": 10}}', "all-instructions": "100000"}
        options |= {"instructions": str(tmp_path / "instructions.parquet"), "output": str(tmp_path / "costs.csv")}
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        paths = [str(tmp_path / f"{name}.parquet") for name in MODELS]
        monkeypatch.setattr("sys.argv", ["count_costs", *words, "--responses", *paths])
        count_costs.main()
        return {row["teacher"]: row for row in read_csv(tmp_path / "costs.csv").to_dicts()}

    return count


def test_tokens_and_dollars_are_sums_over_all_responses_and_scale_with_the_data_set(costs):
    row = costs(4)["gpt"]
    assert (row["responses"], row["tokens_read"], row["tokens_written"], row["estimated"]) == (4, 32, 20, 0)
    assert row["usd"] == pytest.approx((32 * 2 + 20 * 10) / 1e6)
    assert (row["all_instructions"], row["gpu_hours"], row["all_gpu_hours"]) == (10, None, None)
    assert costs(4)["batched"]["usd"] == pytest.approx(row["usd"] / 2)  # the Batch API's price
    assert row["all_usd"] == pytest.approx(2.5 * row["usd"])
    everything = costs(None)["gpt"]  # no sample was drawn: these are all
    assert (everything["all_instructions"], everything["all_usd"]) == (4, pytest.approx(everything["usd"]))


def test_tokens_that_are_not_reported_are_estimated_from_bytes_and_counted(costs):
    row = costs(4)["partly"]
    # read: 4 bytes of c are 2 tokens of 3; written: 7 bytes of ñandú are 3
    assert (row["tokens_read"], row["tokens_written"], row["estimated"]) == (10 + 20 + 2 + 6, 5 + 3 + 8, 0.5)


def test_a_selection_costs_its_whole_pool_and_a_mix_all_its_sources(costs):
    table = costs(4)
    seconds = 60 + 2 * 7e9 * 8 * 11 / (989e12 * 0.21)
    assert table["best"]["gpu_hours"] == pytest.approx(seconds / 3600)
    assert {**table["best"], "teacher": "pool"} == table["pool"] and table["pool"]["responses"] == 8
    assert table["pool"]["all_gpu_hours"] == pytest.approx((60 + 2.5 * (seconds - 60)) / 3600)
    assert table["mix"]["usd"] == pytest.approx(table["gpt"]["usd"] + table["partly"]["usd"])
    assert (table["mix"]["tokens_written"], table["mix"]["estimated"]) == (20 + 16, 2 / 8)


def test_what_is_not_known_is_null(costs):
    table = costs(4)
    assert (table["unpriced"]["tokens_read"], table["unpriced"]["usd"], table["unpriced"]["all_usd"]) == (
        32,
        None,
        None,
    )
    assert table["unsized"]["gpu_hours"] is table["cpu"]["gpu_hours"] is table["pool"]["usd"] is None
    assert (table["mixed"]["tokens_read"], table["mixed"]["usd"]) == (32 + 80, None)
    for name in ("import", "half-known"):
        known = {key for key, value in table[name].items() if value is not None}
        assert known == {"teacher", "all_instructions"}
