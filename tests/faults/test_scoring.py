"""Out of memory halves the batch; a pair that diverges leaves its cells empty; a retired model is reported."""

import csv
import json
import os
import resource
import shutil
import subprocess
import sys

import polars as pl
import pytest
import torch
import yaml
from polars.testing import assert_frame_equal
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from conftest import ROOT, link_workflow, snakemake
from fault_server import FaultServer
from scripts.engines import engine_openai
from scripts.models.folder import failure
from scripts.models.loading import halve_if_out_of_memory
from scripts.tables.files import read_table, write_table
from test_engine_openai import spec

TEMPLATE = str(ROOT / "config/templates/plain.jinja")


def score(folder, model, output, batch_tokens, memory=None):
    """Run the script in a process with at most `memory` bytes; returns the finished process."""
    spec = {"model": str(model), "revision": None, "chat_template": TEMPLATE, "trust_remote_code": False}
    command = [
        sys.executable,
        "-m",
        "scripts.likelihoods.score_likelihoods",
        "--name",
        "b",
        "--teachers",
        "t",
        "--prompt",
        "chat",
    ]
    command += ["--model", json.dumps(spec), "--instructions", folder / "instructions.parquet"]
    command += ["--limits", json.dumps({"max_length": 512, "batch_tokens": batch_tokens, "per_token": False})]
    command += ["--responses", folder / "responses.parquet", "--store", folder / f"rows-{output}"]
    limit = (lambda: resource.setrlimit(resource.RLIMIT_DATA, (memory,) * 2)) if memory else None
    return subprocess.run(
        [*command, "--outputs", folder / output], capture_output=True, text=True, preexec_fn=limit, env=ENVIRONMENT
    )


ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1", "POLARS_MAX_THREADS": "1"}


@pytest.fixture(scope="module")
def wide(tiny, tmp_path_factory):
    """A folder with responses, and a model whose layers are so wide that one batch exceeds the memory."""
    folder = tmp_path_factory.mktemp("wide")
    config = LlamaConfig.from_pretrained(tiny, intermediate_size=60_000)
    LlamaForCausalLM(config).save_pretrained(folder / "model")
    for file in tiny.glob("tokenizer*"):
        shutil.copy(file, folder / "model")
    ids = [str(i) for i in range(24)]
    write_table(pl.DataFrame({"id": ids, "instruction": [f"Say {i}" for i in ids]}), folder / "instructions.parquet")
    columns = {
        "id": ids,
        "candidate": 0,
        "teacher": "t",
        "response": [f"{i} " * 30 for i in ids],
        "finish_reason": "stop",
    }
    responses = pl.DataFrame(columns).with_columns(n_tokens=1, reason=pl.lit(None, pl.String))
    write_table(responses, folder / "responses.parquet")
    return folder


@pytest.mark.fault(19)
def test_a_batch_that_does_not_fit_is_halved_until_it_does(wide):
    small = score(wide, wide / "model", "small.parquet", batch_tokens=300)
    assert small.returncode == 0 and "out of memory" not in small.stdout, small.stderr
    # one batch of all rows: 24 x 90 x 60,000 activations in float32 take half a gigabyte, several times over
    large = score(wide, wide / "model", "large.parquet", batch_tokens=10**6, memory=12 * 10**8)
    assert large.returncode == 0, large.stderr[-2000:]
    assert "out of memory in a batch of 24: retrying with batches of 12" in large.stdout
    first, second = (read_table(wide / f"{name}.parquet") for name in ("small", "large"))
    assert first["nll"].null_count() == 0
    assert_frame_equal(first, second, rel_tol=1e-4, abs_tol=1e-5)


@pytest.mark.fault(19)
def test_a_single_row_that_does_not_fit_is_a_one_line_error_and_other_errors_are_not_hidden():
    with pytest.raises(SystemExit, match="a single row does not fit into memory"):
        halve_if_out_of_memory(lambda rows: torch.empty(len(rows) << 50), [[1], [2], [3]])
    with pytest.raises(RuntimeError, match="size of tensor"):
        halve_if_out_of_memory(lambda rows: torch.ones(2) + torch.ones(3), [[1], [2]])


@pytest.mark.fault(27)
def test_the_error_for_a_retired_model_lists_those_of_the_endpoint_and_it_gets_no_more_requests(tmp_path):
    server = FaultServer()
    server.ledger = str(tmp_path / "spent_usd.txt")
    server.always = "retired"
    rows = [{"id": str(i), "instruction": f"row {i}", "candidate": 0} for i in range(20)]
    given = spec(server, {"concurrency": 1}) | {"model": "m-1106"}
    first, *rest = engine_openai.load(given)(rows, given["sampling"])
    server.server_close()
    assert "has been deprecated" in str(first) and "name another model (the endpoint has m-2024-04-09" in str(first)
    assert len(server.bodies) == 2 and all(str(first) in str(error) for error in rest)  # a row, a control request


@pytest.mark.slow
@pytest.mark.study
@pytest.mark.fault(20)
def test_a_pair_that_diverges_leaves_its_cells_empty_and_does_not_affect_other_pairs(study, tmp_path):
    link_workflow(tmp_path)
    (tmp_path / "results").mkdir()
    (tmp_path / "results/world").symlink_to(study / "results/world")
    # a base whose output is NaN after one letter, which occurs only in some responses of one teacher
    model = LlamaForCausalLM.from_pretrained(study / "results/world/alpha")
    shutil.copytree(study / "results/world/alpha", tmp_path / "broken", ignore=shutil.ignore_patterns("manifest.json"))
    letter = AutoTokenizer.from_pretrained(study / "results/world/alpha")("\u00e9", add_special_tokens=False).input_ids
    model.config.tie_word_embeddings = False  # otherwise every row would be NaN
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    model.get_input_embeddings().weight.data[letter] = float("nan")
    model.save_pretrained(tmp_path / "broken")
    with (
        open(study / "results/world/instructions.jsonl", encoding="utf-8") as lines,
        open(tmp_path / "odd.jsonl", "w", encoding="utf-8") as out,
    ):
        for i, line in enumerate(lines):
            row = json.loads(line)
            print(json.dumps(row | {"answer": row["answer"] + "\u00e9" * (i % 9 == 0)}), file=out)
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text()) | {"study": "gap"}
    config["instructions"]["n"] = 64
    config["bases"] = {"alpha": config["bases"]["alpha"] | {"model": "./broken"}}
    odd = {"import": {"path": "odd.jsonl", "columns": {"instruction": "instruction", "response": "answer"}}}
    config["teachers"] = {name: config["teachers"][name] for name in ("plain-small", "terse-small")} | {"odd": odd}
    config["finetune"] |= {"epochs": 1}
    config["benchmarks"]["held_out"]["prompts"]["n"] = 30
    (tmp_path / "gap.yaml").write_text(yaml.safe_dump(config | {"max_set_aside": 0.5}))
    done = snakemake("--cores", "2", "--configfile", "gap.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-4000:]
    results = tmp_path / "results/gap"
    failed = {teacher: failure(str(results / "checkpoints/alpha" / teacher)) for teacher in config["teachers"]}
    assert "loss nan at step" in failed.pop("odd") and set(failed.values()) == {None}
    with open(results / "tables/performance.csv", encoding="utf-8") as file:
        ap = {row["teacher"]: (row["ap"], row["note"]) for row in csv.DictReader(file)}
    assert ap["odd"] == ("", "not_trained") and all(float(ap[teacher][0]) >= 0 for teacher in failed)
    with open(results / "tables/correlations.csv", encoding="utf-8") as file:
        assert {row["n"] for row in csv.DictReader(file)} == {"2"}
    with open(results / "tables/conclusions.csv", encoding="utf-8") as file:
        assert next(csv.DictReader(file))["conclusion"].startswith("AP is missing for odd: see performance.csv.")
