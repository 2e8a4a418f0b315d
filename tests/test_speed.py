"""The compared implementations do the same work: equal results, and correct counts of tokens and FLOP."""

import polars as pl
import pytest
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from conftest import link_workflow, snakemake
from scripts.plan.plan_costs import PEAK
from scripts.speed import measure_speed, speed_finetuning
from scripts.speed.measure_speed import peak_of
from scripts.speed.speed_answers import answering
from scripts.speed.speed_finetuning import finetuning, real_shape
from scripts.speed.speed_scoring import head, likelihoods, rewards, texts
from scripts.speed.speed_tables import importing, joining

SMALL = {"hidden": 32, "layers": 1, "rows": 24, "answers": 3, "spread": 0.9}


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.mark.parametrize(
    ("stage", "sizes", "methods"),
    [
        (likelihoods, SMALL, ("grouped", "a row at a time")),
        (rewards, SMALL, ("grouped", "a row at a time")),
        (head, {"tokens": 600, "vocabulary": 1000, "hidden": 16}, ("chunked", "all logits")),
        (joining, {"teachers": 3, "rows": 50, "reward_models": 2}, ("polars", "pandas")),
        (importing, {"teachers": 3, "rows": 50, "characters": 20}, ("polars", "pandas")),
    ],
)
def test_both_implementations_of_a_stage_have_equal_results(stage, sizes, methods):
    ours, plain = (stage(method, **sizes)() for method in methods)
    assert len(ours) == len(plain) > 0
    assert ours == pytest.approx(plain, rel=1e-4, abs=1e-5)


def test_fine_tuning_with_grouped_and_padded_batches_reaches_similar_losses():
    losses = {name: finetuning(name, **SMALL | {"rows": 512, "seed": 0})()[0] for name in ("grouped", "padded")}
    assert losses["grouped"] == pytest.approx(losses["padded"], rel=0.05) and losses["grouped"] != losses["padded"]
    assert losses["grouped"] < 5.0  # 261 equally likely bytes: 5.56 nats


def test_parameters_tokens_and_flop_of_a_published_shape_are_counted(monkeypatch):
    monkeypatch.setitem(speed_finetuning.SHAPES, "tiny", ("qwen2", 300, 32, 64, 2, 4, 2, True))
    size, tokens, flop, mib = real_shape("tiny", rows=4, longest=64)()
    config = Qwen2Config(
        vocab_size=300, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4
    )
    config.num_key_value_heads, config.tie_word_embeddings = 2, True
    assert size == Qwen2ForCausalLM(config).num_parameters()
    assert mib == 0 or torch.cuda.is_available()
    assert tokens == 4 * 64  # the median is 400, so all are cut to the longest
    assert flop == 4 * 6 * (size * 64 + 2 * 32 * 64**2)


@pytest.mark.parametrize(
    ("name", "gpu"),
    [
        ("NVIDIA GeForce RTX 4090", "rtx4090"),
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("NVIDIA A100-SXM4-80GB", "a100"),
        ("NVIDIA L4", "l4"),
        ("NVIDIA L40S", "l40s"),
        ("NVIDIA L40", None),
    ],
)
def test_the_peak_of_a_gpu_is_found_by_its_drivers_name(name, gpu):
    assert peak_of(name) == PEAK.get(gpu)


def test_longer_texts_have_the_configured_number_of_answers():
    lengths = [len(row["response"].split("\n")) for row in texts(400, 6, 0.9)]
    assert 5 <= sorted(lengths)[200] <= 7 and max(lengths) > 30
    assert {len(row["response"].split("\n")) for row in texts(50, 1, 0)} == {1}


def test_chunks_of_logits_need_less_memory_and_both_peaks_are_in_the_table(tmp_path, monkeypatch):
    sizes = {"tokens": 4096, "vocabulary": 50_000, "hidden": 16}
    monkeypatch.setattr(measure_speed, "STAGES", [("head", head, sizes, "chunked", "all logits")])
    monkeypatch.setattr("sys.argv", ["measure_speed.py", "--output", str(tmp_path / "speed.csv")])
    measure_speed.main()
    ours, plain = pl.read_csv(tmp_path / "speed.csv").to_dicts()
    assert (ours["way"], plain["way"]) == ("chunked", "all logits")
    logits = 4096 * 50_000 * 4 / 2**20  # 781 MiB; a chunk has 49
    assert ours["peak_mib"] < logits < plain["peak_mib"]
    assert ours["ratio"] == pytest.approx(plain["seconds"] / ours["seconds"])
    assert ours["memory_ratio"] == pytest.approx(plain["peak_mib"] / ours["peak_mib"])


@pytest.mark.parametrize("method", ["start", "decode"])
def test_answers_can_be_timed(method):
    work = answering(method, "transformers", hidden=32, layers=1, rows=2, new_tokens=3)
    assert work() == []


def test_the_target_speed_is_one_job_that_uses_all_cores(tmp_path):
    text = snakemake("speed", "-n", "-p", "--cores", "3", cwd=link_workflow(tmp_path)).stdout
    assert "threads: 3" in text and "scripts.speed.measure_speed" in text
