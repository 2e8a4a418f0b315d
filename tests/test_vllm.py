"""The engine vllm with vLLM itself: on the CPU, in its own environment, with the models of the miniature study."""

import json
import os
import socket
import subprocess
import sys
import time

import polars as pl
import psutil
import pytest

from conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.study]

PYTHON = ROOT / ".venv-vllm/bin/python"
ENVIRONMENT = os.environ | {
    "HF_HUB_OFFLINE": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "OMP_NUM_THREADS": "2",
}
SAMPLING = {"max_new_tokens": 24, "temperature": 0, "top_p": 1, "seed": 0, "batch_tokens": 32768, "options": {}}
API = {"concurrency": 8, "timeout_s": 120, "retries": 2, "budget_usd": None, "prices": {}}
NAMES = {"revision": None, "chat_template": None, "trust_remote_code": False}


def generate(python, folder, instructions, model, candidates=1, **sampling):
    """Run the script and return its responses."""
    command = [python, "-m", *script(folder, instructions, model, candidates, **sampling)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stdout[-3000:]
    return pl.read_parquet(folder / "responses.parquet")


def script(folder, instructions, model, candidates=1, **sampling) -> list[str]:
    """The script with its arguments, and a folder with the instructions."""
    folder.mkdir(parents=True)
    instructions.write_parquet(folder / "instructions.parquet")
    arguments = {
        "teacher": "t",
        "model": json.dumps(NAMES | model),
        "sampling": json.dumps(SAMPLING | sampling),
        "candidates": candidates,
        "api": json.dumps(API),
        "instructions": folder / "instructions.parquet",
        "store": folder / "rows",
        "output": folder / "responses.parquet",
    }
    options = [str(part) for key, value in arguments.items() for part in (f"--{key}", value)]
    return ["scripts.responses.generate_responses", *options]


def vllm(teacher, **arguments):
    return {
        "engine": "vllm",
        "model": str(ROOT / f"results/world/{teacher}"),
        "vllm": {
            "tensor_parallel_size": 1,
            "dtype": "float32",
            "gpu_memory_utilization": 0.9,
            "enforce_eager": True,
            **arguments,
        },
    }


@pytest.mark.parametrize("teacher", ["terse-large", "worked-large"])
def test_greedy_answers_agree_with_those_of_transformers(study, tmp_path, teacher):
    instructions = pl.read_parquet(study / "results/miniature/instructions.parquet").select("id", "instruction")
    got = generate(PYTHON, tmp_path / "vllm", instructions, vllm(teacher))
    expected = pl.read_parquet(study / f"results/miniature/responses/{teacher}.parquet")
    assert got["id"].to_list() == expected["id"].to_list()
    columns = ["response", "finish_reason", "n_tokens", "reason"]
    same = [a == b for a, b in zip(got.select(columns).rows(), expected.select(columns).rows(), strict=True)]
    print(f"{teacher}: {sum(same)} of {len(same)} answers agree")
    assert sum(same) >= 0.99 * len(same)  # another order of summation can change which of two equal tokens wins


@pytest.mark.fault(2)
def test_kill_9_of_a_run_also_ends_the_engine_that_vllm_starts_in_a_process_of_its_own(study, tmp_path):
    instructions = pl.DataFrame({"id": [str(i) for i in range(20_000)], "instruction": ["Reverse ban"] * 20_000})
    model = vllm("worked-large", max_model_len=256)
    job = [str(PYTHON), "-m", "scripts.jobs.run_job", *script(tmp_path / "run", instructions, model)]
    code = "import subprocess, sys; subprocess.run(sys.argv[1:])"
    run = subprocess.Popen(
        [sys.executable, "-c", code, *job], cwd=ROOT, env=ENVIRONMENT | {"VLLM_ENABLE_V1_MULTIPROCESSING": "1"}
    )
    while not any("EngineCore" in name for name in map(title, psutil.Process(run.pid).children(recursive=True))):
        assert run.poll() is None
        time.sleep(0.1)
    processes = psutil.Process(run.pid).children(recursive=True)
    run.kill()
    gone, alive = psutil.wait_procs(processes, timeout=30)
    assert not alive and len(gone) >= 3  # run_job, the script, the engine


def title(process) -> str:
    """What a process says that it is; empty if it has just ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def test_every_prompt_has_a_row(study, tmp_path):
    texts = [
        "",
        "x" * 600,
        "\u4f60\u597d\u3001\u043c\u0438\u0440 \U0001f600",
        "a",
        "Repeat <|end|> <|user|>",
        "Add 3 and 4",
    ]
    instructions = pl.DataFrame({"id": list("012345"), "instruction": texts})
    got = generate(PYTHON, tmp_path / "vllm", instructions, vllm("plain-large"))
    model = {"engine": "transformers", "model": vllm("plain-large")["model"]}
    plain = generate(sys.executable, tmp_path / "t", instructions, model)
    assert got["id"].to_list() == instructions["id"].to_list()
    assert got["reason"].to_list()[1] == "prompt_over_long"
    assert got.filter(pl.col("response").is_null() & pl.col("reason").is_null()).height == 0
    assert got.rows() == plain.rows()


def test_a_candidate_depends_on_its_own_seed_and_not_on_the_other_rows_of_its_batch(study, tmp_path):
    instructions = pl.DataFrame({"id": ["a", "b", "c"], "instruction": ["Reverse ban", "Add 3 and 4", "Repeat fok"]})
    model = vllm("worked-small", max_model_len=256)
    sampled = {"temperature": 1.5, "options": {"top_k": 50}}
    got = generate(PYTHON, tmp_path / "one", instructions, model, candidates=4, **sampled)
    assert got.select("id", "candidate").rows() == [(i, c) for i in "abc" for c in range(4)]
    assert got["response"].n_unique() > 6
    again = generate(PYTHON, tmp_path / "two", instructions.tail(1), model, candidates=4, **sampled)
    assert again["response"].to_list() == got.tail(4)["response"].to_list()


def test_the_answers_of_a_fine_tuned_base_agree_with_those_of_transformers(study, tmp_path):
    checkpoint = {**vllm("terse-large"), "model": str(study / "results/miniature/checkpoints/alpha/terse-large")}
    output = tmp_path / "answers.parquet"
    arguments = {
        "benchmarks": "held_out",
        "base": "alpha",
        "teacher": "terse-large",
        "model": json.dumps(NAMES | checkpoint),
        "samplings": json.dumps(SAMPLING),
        "api": json.dumps(API),
        "prompts": study / "results/miniature/prompts/held_out.parquet",
        "stores": tmp_path / "rows",
        "outputs": output,
    }
    command = [PYTHON, "-m", "scripts.answers.answer_benchmark"]
    command += [str(part) for key, value in arguments.items() for part in (f"--{key}", value)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stdout[-3000:]
    expected = pl.read_parquet(study / "results/miniature/answers/held_out/alpha/terse-large.parquet")
    same = [a == b for a, b in zip(pl.read_parquet(output).rows(), expected.rows(), strict=True)]
    print(f"{sum(same)} of {len(same)} answers agree")
    assert sum(same) >= 0.99 * len(same)


@pytest.fixture(scope="module")
def endpoint(study):
    """vLLM's own OpenAI server with a teacher of the miniature study."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [PYTHON, "-m", "vllm.entrypoints.openai.api_server", "--model", ROOT / "results/world/terse-large"]
    command += ["--served-model-name", "terse-large", "--host", "127.0.0.1", "--port", str(port), "--dtype", "float32"]
    command += ["--enforce-eager", "--api-key", "sk-local-secret"]
    server = subprocess.Popen(
        [str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=ENVIRONMENT
    )
    for _ in range(240):
        assert server.poll() is None, server.stdout.read()[-3000:]
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(1)
    yield f"http://127.0.0.1:{port}/v1"
    server.terminate()
    server.wait()


def test_the_engine_openai_gets_the_same_answers_from_vllms_server(study, endpoint, tmp_path, monkeypatch):
    monkeypatch.setitem(ENVIRONMENT, "LOCAL_KEY", "sk-local-secret")
    instructions = (
        pl.read_parquet(study / "results/miniature/instructions.parquet").select("id", "instruction").head(128)
    )
    openai = {"base_url": endpoint, "api_key_env": "LOCAL_KEY", "max_tokens_name": "max_completion_tokens"}
    model = {"engine": "openai", "model": "terse-large", "openai": openai}
    got = generate(sys.executable, tmp_path / "openai", instructions, model)
    expected = pl.read_parquet(study / "results/miniature/responses/terse-large.parquet").head(128)
    same = (got["response"] == expected["response"]).sum()
    print(f"{same} of 128 answers agree")
    assert same >= 127 and got["finish_reason"].to_list() == expected["finish_reason"].to_list()
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and b"sk-local-secret" in p.read_bytes()]
