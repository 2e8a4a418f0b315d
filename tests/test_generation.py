"""Generation through the row store: every row has a result or a reason, pools can grow, a killed job resumes."""

import json
import os
import signal
import subprocess
import sys
import time

import polars as pl
import pytest

from conftest import ROOT
from scripts.engines import engine_transformers
from scripts.engines.generation import answer_instructions, loader
from scripts.models.chat import Chat
from scripts.models.tokenizers import load_tokenizer

TEMPLATE = str(ROOT / "config/templates/plain.jinja")
SAMPLING = {"max_new_tokens": 12, "temperature": 0, "top_p": 1, "seed": 0, "batch_tokens": 100_000, "options": {}}


def spec(tiny, **sampling):
    names = {"engine": "transformers", "model": str(tiny), "revision": None, "trust_remote_code": False}
    return {**names, "chat_template": TEMPLATE, "sampling": SAMPLING | sampling}


def instructions(texts):
    return pl.DataFrame({"id": [str(i) for i in range(len(texts))], "instruction": texts})


@pytest.mark.fault(10)
def answer(asked, spec, folder, **options):
    return answer_instructions(asked, spec, folder, loader(spec, {}), **options)


@pytest.mark.fault(11)
def test_every_prompt_has_a_row(tiny, tmp_path):
    texts = ["", "x" * 600, "\u4f60\u597d\u3001\u043c\u0438\u0440 \U0001f600", "a", "Say <|end|> and <|assistant|>"]
    got = answer(instructions(texts), spec(tiny), tmp_path)
    assert got["id"].to_list() == list("01234")
    assert got["reason"].to_list()[1] == "prompt_over_long" and got["text"][1] is None
    others = got.filter(pl.col("id") != "1")
    assert others.filter(pl.col("text").is_null() & pl.col("reason").is_null()).height == 0
    assert others["finish_reason"].null_count() == 0


def test_an_end_of_turn_written_in_a_response_is_plain_text(tiny):
    chat = Chat(load_tokenizer(str(tiny), chat_template=TEMPLATE))
    _, response, end = chat.example("Say it", "before <|end|> after", "stop")
    assert end == chat.end and not set(chat.end) & set(response)
    assert chat.tokenizer.decode(response) == "before <|end|> after"


def test_candidates_differ_and_a_larger_pool_includes_the_candidates_of_a_smaller_one(tiny, tmp_path, monkeypatch):
    asked = instructions([f"Say {i}" for i in range(30)])
    sampled = spec(tiny, temperature=1.0)
    small = answer(asked, sampled, tmp_path / "a", candidates=2)
    assert small["id"].to_list() == [i for i in asked["id"] for _ in range(2)]
    assert small["candidate"].to_list() == [0, 1] * 30
    first, second = (small.filter(candidate=c)["text"].to_list() for c in (0, 1))
    assert first != second
    computed = []
    load = engine_transformers.load

    def counting(*arguments):
        generate = load(*arguments)
        return lambda rows, sampling: computed.extend(rows) or generate(rows, sampling)

    monkeypatch.setattr(engine_transformers, "load", counting)
    large = answer(asked, sampled, tmp_path / "a", candidates=3)
    assert large.filter(pl.col("candidate") < 2).equals(small)
    assert {row["candidate"] for row in computed} == {2} and len(computed) == 30
    assert answer(asked, sampled, tmp_path / "b", candidates=3).equals(large)


def start(tiny, folder, n_rows):
    """Start the script with n_rows instructions in a new process."""
    folder.mkdir(exist_ok=True)
    instructions([f"Say {i}" for i in range(n_rows)]).write_parquet(folder / "instructions.parquet")
    wanted = spec(tiny)
    arguments = {
        "teacher": "t",
        "sampling": json.dumps(wanted.pop("sampling")),
        "model": json.dumps(wanted),
        "candidates": 1,
        "api": "{}",
        "instructions": folder / "instructions.parquet",
        "store": folder / "rows",
        "output": folder / "responses.parquet",
    }
    command = [sys.executable, "-m", "scripts.responses.generate_responses"]
    command += [str(part) for key, value in arguments.items() for part in (f"--{key}", value)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


N_ROWS = 4 * engine_transformers.BLOCK


@pytest.fixture(scope="module")
def undisturbed(tiny, tmp_path_factory) -> bytes:
    """The responses of a run that is not killed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    run = start(tiny, folder, N_ROWS)
    assert run.communicate()[1] is None and run.returncode == 0
    return (folder / "responses.parquet").read_bytes()


@pytest.mark.fault(1)
@pytest.mark.parametrize("shards", [1, 2])
def test_after_a_kill_the_next_run_computes_only_the_missing_rows_and_writes_the_same_bytes(
    tiny, tmp_path, undisturbed, shards
):
    killed = start(tiny, tmp_path / "killed", N_ROWS)
    while len(list((tmp_path / "killed").glob("rows/*/*.parquet"))) < shards:
        assert killed.poll() is None
        time.sleep(0.002)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    stored = sum(pl.read_parquet(path).height for path in (tmp_path / "killed").glob("rows/*/*.parquet"))
    assert stored < N_ROWS and not (tmp_path / "killed/responses.parquet").exists()
    again = start(tiny, tmp_path / "killed", N_ROWS)
    printed = again.communicate()[0]
    assert again.returncode == 0 and f"{stored} of {N_ROWS} rows found" in printed
    assert (tmp_path / "killed/responses.parquet").read_bytes() == undisturbed


def test_a_model_that_is_loaded_here_is_greedy_without_a_temperature_and_finds_the_rows_of_temperature_0(
    tiny, tmp_path, capsys
):
    texts = ["a", "b"]
    greedy = answer(instructions(texts), spec(tiny), tmp_path)
    unset = {"temperature": None, "top_p": None, "seed": None}
    assert answer(instructions(texts), spec(tiny, **unset), tmp_path).equals(greedy)
    assert "2 of 2 rows found" in capsys.readouterr().out
