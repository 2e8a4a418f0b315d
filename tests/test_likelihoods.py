"""Likelihoods equal a direct computation with any batches; the scored tokens are those of fine-tuning."""

import random
import shutil

import datasets
import polars as pl
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    CohereConfig,
    Gemma2Config,
    GPT2Config,
    GraniteConfig,
    LlamaConfig,
    Qwen2Config,
)
from trl import SFTConfig, SFTTrainer

from conftest import ROOT
from costly_outputs import run, write_inputs
from scripts.finetuning.sft_examples import encode_examples
from scripts.likelihoods.chunked_head import output_head
from scripts.likelihoods.known_prompts import key_of_prompt, remember
from scripts.likelihoods.token_scores import score_rows, token_scores
from scripts.metrics.definitions import METRICS
from scripts.models.chat import Chat, PlainText
from scripts.models.tokenizers import load_tokenizer

TEMPLATE = str(ROOT / "config/templates/plain.jinja")


@pytest.fixture(scope="module")
def chat(tiny):
    return Chat(load_tokenizer(str(tiny), chat_template=TEMPLATE))


@pytest.fixture(scope="module")
def model(tiny):
    return AutoModelForCausalLM.from_pretrained(tiny).eval()


def rows(n=23):
    rng = random.Random(0)
    text = lambda longest: "".join(rng.choices("abc de\u00e9\u4f60\n", k=rng.randint(1, longest)))  # noqa: E731
    finish = lambda: rng.choice(("stop", "stop", "length"))  # noqa: E731
    return [{"instruction": text(30), "response": text(60), "finish_reason": finish()} for _ in range(n)]


@torch.no_grad()
def direct_scores(model, context, target):
    """nll and rank of each target token, by one forward pass without padding and log_softmax."""
    ids = torch.tensor([context + target])
    logp = model(ids).logits[0].double().log_softmax(-1)
    nll, rank = [], []
    for at, token in enumerate(target, len(context) - 1):
        nll.append(-logp[at, token].item())
        rank.append(min(100, sorted(logp[at].tolist(), reverse=True).index(logp[at, token].item()) + 1))
    return nll, rank


def test_sums_equal_a_direct_computation_per_row(chat, model):
    for row, got in zip(rows(), score_rows(chat, model, rows(), max_length=512, batch_tokens=400), strict=True):
        prompt, text, end = chat.example(**row)
        nll, rank = direct_scores(model, prompt, text + end)
        direct, _ = direct_scores(model, [chat.tokenizer.bos_token_id], text)
        n = len(text)
        assert (got["n_tokens"], got["end_n_tokens"], got["direct_n_tokens"]) == (n, len(end), n)
        assert got["nll"] == pytest.approx(sum(nll[:n]), rel=1e-5)
        assert got["end_nll"] == pytest.approx(sum(nll[n:]), rel=1e-5)
        assert got["direct_nll"] == pytest.approx(sum(direct), rel=1e-5)
        assert (got["rank_sum"], got["end_rank_sum"]) == (sum(rank[:n]), sum(rank[n:]))


@pytest.mark.parametrize(
    "config",
    [
        LlamaConfig(),
        GPT2Config(n_embd=32, n_layer=2, n_head=2),
        Gemma2Config(final_logit_softcapping=5.0),
        CohereConfig(logit_scale=0.25),
        GraniteConfig(logits_scaling=3.0),
        Qwen2Config(),
    ],
    ids=lambda config: config.model_type,
)
def test_logits_computed_in_chunks_equal_those_of_the_model(config, monkeypatch):
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    small |= {"num_key_value_heads": 2, "head_dim": 16, "vocab_size": 300}
    config.update({name: value for name, value in small.items() if hasattr(config, name)})
    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_config(config).eval()
    model.get_output_embeddings().weight.data.normal_(std=2)  # large enough for the cap to matter
    rng = random.Random(2)
    pairs = [(rng.choices(range(300), k=5), rng.choices(range(300), k=n)) for n in (1, 0, 9, 30, 17)]
    monkeypatch.setattr("scripts.likelihoods.chunked_head.CHUNK", 7)
    for (context, target), got in zip(pairs, token_scores(model, pairs, 60), strict=True):
        assert [got.predictions.nll.tolist(), got.predictions.rank.tolist()] == [
            pytest.approx(values, rel=1e-4) for values in direct_scores(model, context, target)
        ]


def test_a_model_whose_logits_cannot_be_reproduced_is_refused(tiny):
    model = AutoModelForCausalLM.from_pretrained(tiny)
    model.config.logit_scale = 2.0  # a Llama ignores it
    with pytest.raises(SystemExit, match="unsupported architecture LlamaForCausalLM: its logits cannot be reproduced"):
        output_head(model)


@pytest.mark.fault(26)
@pytest.mark.parametrize("batch_tokens", [1, 100, 100_000])
def test_batch_size_and_row_order_change_nothing(chat, model, batch_tokens):
    reference = score_rows(chat, model, rows(), max_length=512, batch_tokens=300)
    order = list(range(len(reference)))
    random.Random(1).shuffle(order)
    shuffled = [rows()[i] for i in order]
    for i, got in zip(order, score_rows(chat, model, shuffled, 512, batch_tokens), strict=True):
        assert got.pop("unusable") is None
        assert got == pytest.approx({name: reference[i][name] for name in got}, rel=1e-5)


@pytest.mark.fault(12)
def test_only_the_row_beyond_the_limit_is_set_aside(chat, model):
    long = {"instruction": "a", "response": "b" * 200, "finish_reason": "stop"}
    got = score_rows(chat, model, [*rows(3), long], max_length=180, batch_tokens=1000)
    assert [r["unusable"] for r in got] == [None, None, None, "over_long"]
    assert got[3]["nll"] is None and got[:3] == score_rows(chat, model, rows(3), 180, 1000)


def test_without_bos_only_the_first_token_is_not_scored(tiny, model):
    tokenizer = load_tokenizer(str(tiny), chat_template=TEMPLATE)
    tokenizer.backend_tokenizer.post_processor = None
    chat = Chat(tokenizer)
    one, two = score_rows(
        chat, model, [{"instruction": "a", "response": r, "finish_reason": "stop"} for r in ("x", "xyz")], 512, 1000
    )
    assert (one["direct_n_tokens"], one["direct_nll"]) == (0, 0.0)
    nll, _ = direct_scores(model, chat.response("x"), chat.response("yz"))
    assert two["direct_n_tokens"] == 2 and two["direct_nll"] == pytest.approx(sum(nll), rel=1e-5)


def test_ids_and_labels_equal_those_that_trl_makes_from_the_conversation(tiny, chat, tmp_path):
    messages = [
        {"prompt": [{"role": "user", "content": r["instruction"]}]}
        | {"completion": [{"role": "assistant", "content": r["response"]}]}
        for r in rows()
    ]
    trainer = SFTTrainer(
        model=str(tiny),
        args=SFTConfig(output_dir=str(tmp_path), report_to="none", use_cpu=True, bf16=False, max_length=512),
        train_dataset=datasets.Dataset.from_list(messages),
        processing_class=chat.tokenizer,
    )
    pairs = [{**row, "finish_reason": "stop", "reason": None} for row in rows()]
    ours, _ = encode_examples(chat, pl.DataFrame(pairs), max_length=512)
    assert [{k: e[k] for k in ("input_ids", "labels")} for e in trainer.train_dataset] == ours


def test_a_one_token_response_without_a_direct_prediction_has_no_ifd():
    row = pl.DataFrame({"nll": [6.0], "n_tokens": [1], "direct_nll": [0.0], "direct_n_tokens": [0]})
    assert row.select(METRICS["ifd_self"].row).item() is None


def test_a_reference_model_reads_instruction_newline_response_and_truncates_long_responses(tiny, model):
    text = PlainText(load_tokenizer(str(tiny), chat_template=TEMPLATE))
    tokenizer = text.encoder.tokenizer
    examples = [*rows(5), {"instruction": "a", "response": "b" * 300, "finish_reason": "stop"}]
    examples += [{"instruction": "c" * 300, "response": "d", "finish_reason": "stop"}]
    got = score_rows(text, model, examples, max_length=200, batch_tokens=500)
    bos = [tokenizer.bos_token_id]
    for row, sums in zip(examples[:6], got, strict=False):
        prompt = bos + [i for i in tokenizer(row["instruction"] + "\n", add_special_tokens=False).input_ids]
        response = tokenizer(row["response"], add_special_tokens=False).input_ids[: 200 - len(prompt)]
        nll, rank = direct_scores(model, prompt, response)
        assert (sums["n_tokens"], sums["end_n_tokens"]) == (len(response), 0)
        assert sums["nll"] == pytest.approx(sum(nll), rel=1e-5) and sums["rank_sum"] == sum(rank)
        assert sums["direct_nll"] == pytest.approx(sum(direct_scores(model, bos, response)[0]), rel=1e-5)
    assert [sums["truncated"] for sums in got] == [False] * 5 + [True, None]
    assert [sums["unusable"] for sums in got] == [None] * 6 + ["over_long"]


def test_the_nll_of_a_prompt_is_computed_with_the_first_teacher_and_used_for_the_others(chat, model):
    first = rows(8)
    other = [row | {"response": f"Another answer to {row['instruction']}"} for row in first]
    alone = score_rows(chat, model, other, 4096, 256)
    known = {}
    remember(known, first[:6], score_rows(chat, model, first[:6], 4096, 256))  # the others are new
    together = score_rows(chat, model, other, 4096, 256, known=known)
    for one, same in zip(together, alone, strict=True):
        assert one == {name: value if value is None else pytest.approx(value, rel=1e-5) for name, value in same.items()}
    key = key_of_prompt(first[3])
    taken = score_rows(chat, model, other, 4096, 256, known=known | {key: (7, 70.0)})
    assert [(row["prompt_n_tokens"], row["prompt_nll"]) for row in taken].count((7, 70.0)) == 1
    assert (taken[3]["prompt_n_tokens"], taken[3]["prompt_nll"]) == (7, 70.0)
    assert key != key_of_prompt(first[4]) != key_of_prompt(first[4] | {"tools": "[]"})
    assert key_of_prompt(first[3] | {"turns": "[]"}) is None


def test_a_job_that_begins_again_takes_prompts_from_stored_rows(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    inputs, names = write_inputs(tmp_path), ("one", "two")
    tables = [tmp_path / f"{name}.parquet" for name in names]

    def score_both():
        run(
            "scripts.likelihoods.score_likelihoods",
            name="b",
            prompt="chat",
            teachers=list(names),
            model={"model": str(tiny), "chat_template": TEMPLATE},
            instructions=inputs["instructions"],
            responses=inputs["responses"],
            store=tmp_path / "rows",
            outputs=tables,
        )
        return [table.read_bytes() for table in tables]

    before = score_both()
    shutil.rmtree(tmp_path / "rows/two")
    assert score_both() == before
