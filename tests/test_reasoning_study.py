"""A reasoning teacher behind an endpoint in all three modes: responses, rewards, likelihoods, ranking, data set."""

import json
import shutil

import polars as pl
import pytest
import yaml

from conftest import link_workflow, snakemake
from costly_outputs import API, SAMPLING, run, scorer
from endpoint_behaviours import BehaviourServer, completion

PLAIN = "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{{ eos_token }}{% endfor %}"
PLAIN += "{% if add_generation_prompt %}<|assistant|>{% endif %}"
THINKING = "{% if m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif %}"
TEMPLATES = {"plain": PLAIN, "thinking": PLAIN.replace("{{ m.content }}", THINKING + "{{ m.content }}")}
N = 6
MODES = ["strip", "keep", "separate"]


def reply(i):
    """Half of the answers with thinking beside them, the others with thinking inside them; the last is cut in it."""
    if i == N - 1:
        return completion("<think>\nno end", "length")
    if i % 2:
        return completion(f"answer {i}", reasoning_content=f"thought {i}")
    return completion(f"<think>\nthought {i}\n</think>\n\nanswer {i}")


@pytest.fixture(scope="module")
def studies(tiny, tiny_reward_model, tmp_path_factory):
    """Mode to the folder of a study up to its ranking and data set; likelihoods are those of a base per template."""
    root, server = tmp_path_factory.mktemp("reasoning"), BehaviourServer()
    instructions = pl.DataFrame(
        {"id": [f"id-{i}" for i in range(N)], "instruction": [f"question {i}" for i in range(N)]}
    )
    instructions.write_parquet(root / "instructions.parquet")
    for name, text in TEMPLATES.items():
        (root / f"{name}.jinja").write_text(text, encoding="utf-8")
    server.forget({f"question {i}": reply(i) for i in range(N)})
    for mode in MODES:
        follow(root, mode, server, tiny, tiny_reward_model)
    assert sum(server.asked.values()) == N  # all modes read the same stored answers
    server.shutdown()
    server.server_close()
    return root


def follow(root, mode, server, tiny, tiny_reward_model):
    folder, asked = root / mode, root / "instructions.parquet"
    (folder / "data").mkdir(parents=True)
    endpoint = {"base_url": f"{server.address}/v1", "api_key_env": None, "max_tokens_name": "max_tokens"}
    responses = folder / "t.parquet"
    teacher = {"engine": "openai", "model": "m", "openai": endpoint, "reasoning": mode}
    (root / "model.json").write_text(json.dumps({key: teacher[key] for key in teacher if key != "reasoning"}))
    settings = {"sampling": SAMPLING, "candidates": 1, "api": API | {"ledger": str(root / "spent_usd.txt")}}
    run(
        "scripts.responses.generate_responses",
        teacher="t",
        model=teacher,
        **settings,
        instructions=asked,
        store=root / "rows",
        output=responses,
    )
    given = {"teachers": "t", "instructions": asked, "responses": responses}
    run(
        "scripts.rewards.score_rewards",
        reward_model="r",
        model=scorer(tiny_reward_model),
        **given,
        store=root / "rewards",
        outputs=folder / "rewards.parquet",
    )
    run("scripts.ranking.measure_diversity", teachers="t", responses=responses, outputs=folder / "diversity.parquet")
    for name in TEMPLATES:
        base = {"model": str(tiny), "chat_template": str(root / f"{name}.jinja")}
        run(
            "scripts.likelihoods.score_likelihoods",
            name=name,
            prompt="chat",
            model=base,
            **given,
            store=root / f"likelihoods-{name}",
            outputs=folder / f"{name}.parquet",
        )
    run(
        "scripts.ranking.join_metrics",
        base="thinking",
        likelihoods=folder / "thinking.parquet",
        diversity=folder / "diversity.parquet",
        rewards=folder / "rewards.parquet",
        reference_likelihoods=[],
        outputs=folder / "metrics.parquet",
    )
    of_teacher = {"t": {"family": None, "compare": True, "parameters": None, "published_score": None}}
    run(
        "scripts.ranking.rank_teachers",
        car={"reward_model": "r", "beta": 1, "transform": "sigmoid"},
        teachers=of_teacher,
        families={"thinking": None},
        max_set_aside=0.2,
        metrics=folder / "metrics.parquet",
        responses=responses,
        output=folder / "teachers.csv",
    )
    out = {name: folder / f"data/{name}" for name in ("tokens.parquet", "train.parquet", "t.jinja", "README.md")}
    run(
        "scripts.datasets.write_dataset",
        study="s",
        base="thinking",
        model=base,
        max_length=512,
        sources={"t": {"model": "m"}},
        teachers=folder / "teachers.csv",
        instructions=asked,
        responses=responses,
        tokens=out["tokens.parquet"],
        train=out["train.parquet"],
        template_copy=out["t.jinja"],
        card=out["README.md"],
    )


def table(studies, mode, name):
    return pl.read_parquet(studies / mode / f"{name}.parquet")


@pytest.mark.parametrize("mode", MODES)
def test_answers_of_both_forms_are_the_same_and_one_cut_in_its_thinking_is_none(studies, mode):
    rows = table(studies, mode, "t")
    answers = [f"answer {i}" for i in range(N - 1)]
    if mode == "keep":
        answers = [f"<think>\nthought {i}\n</think>\n\n{answer}" for i, answer in enumerate(answers)]
    assert rows["response"].to_list() == [*answers, None]
    assert rows["reason"].to_list() == [None] * (N - 1) + ["thinking_used_the_budget"]
    beside = [f"thought {i}" for i in range(N - 1)] if mode == "separate" else None
    assert rows["reasoning"].to_list() == [*beside, None] if beside else "reasoning" not in rows.columns


def test_what_is_scored_is_what_the_mode_and_the_template_say(studies):
    """One token is one byte."""
    answer, thinking = len("answer 0"), len("<think>\nthought 0\n</think>\n\n")
    lengths = {
        (mode, name): table(studies, mode, name)["n_tokens"].drop_nulls().unique().to_list()
        for mode in MODES
        for name in TEMPLATES
    }
    longer = {("keep", "plain"), ("keep", "thinking"), ("separate", "thinking")}
    assert lengths == {key: [answer + thinking if key in longer else answer] for key in lengths}
    nll = {key: table(studies, *key)["nll"].to_list() for key in lengths}
    assert nll["separate", "thinking"] == nll["keep", "thinking"] != nll["strip", "thinking"]
    assert nll["separate", "plain"] == nll["strip", "plain"] != nll["keep", "plain"]


def test_the_reward_model_reads_kept_thinking_and_separate_thinking_only_if_its_template_does(studies):
    rewards = {mode: table(studies, mode, "rewards")["reward"].to_list() for mode in MODES}
    assert rewards["separate"] == rewards["strip"] and len({*rewards["strip"], *rewards["keep"]}) == 2 * (N - 1) + 1


@pytest.mark.parametrize("mode", MODES)
def test_the_ranking_says_how_much_was_thought_and_how_often_it_was_cut(studies, mode):
    (row,) = pl.read_csv(studies / mode / "teachers.csv").iter_rows(named=True)
    assert row["n"] == N - 1 and row["cut_in_thinking"] == pytest.approx(1 / N)
    # 5 tokens by share of the characters: 9 of thinking and 8 of answer (3 tokens), and all of the cut one
    assert row["thinking_tokens"] == pytest.approx((5 * 3 + 5) / N)
    assert row["note"].endswith("thinking often used up all tokens: raise max_new_tokens")


@pytest.mark.parametrize("mode", MODES)
def test_the_data_set_has_the_thinking_as_the_mode_says(studies, mode):
    train = pl.read_parquet(studies / mode / "data/train.parquet")
    (message,) = train["completion"].to_list()[0]
    message = json.loads(message) if isinstance(message, str) else message
    expected = {"role": "assistant", "content": table(studies, mode, "t")["response"][0]}
    assert message == expected | ({"reasoning_content": "thought 0"} if mode == "separate" else {})
    labels = pl.read_parquet(studies / mode / "data/tokens.parquet")["labels"].to_list()
    trained = {sum(label != -100 for label in row) for row in labels}
    assert trained == {table(studies, mode, "thinking")["n_tokens"][0] + 1}  # and the end of turn


def test_answers_to_a_benchmark_are_judged_without_their_thinking(studies, tmp_path):
    """By default, also where the answers were stored with it."""
    model = json.loads((studies / "model.json").read_text(encoding="utf-8"))
    prompts = studies / "instructions.parquet"
    shared = {"base": "b", "teacher": "t", "model": model, "samplings": SAMPLING, "api": API}
    run(
        "scripts.answers.answer_benchmark",
        benchmarks="held_out",
        **shared,
        prompts=prompts,
        stores=studies / "rows",
        outputs=tmp_path / "answers.parquet",
    )
    answers = pl.read_parquet(tmp_path / "answers.parquet")
    assert answers["answer"].to_list() == [*(f"answer {i}" for i in range(N - 1)), None]
    assert answers["reason"].to_list()[-1] == "thinking_used_the_budget"


@pytest.mark.slow
def test_a_base_is_trained_on_kept_thinking_and_its_answers_are_scored(tiny, tiny_reward_model, tmp_path):
    root, server = link_workflow(tmp_path), BehaviourServer()
    for name, model in (("base", tiny), ("judge", tiny_reward_model)):
        shutil.copytree(model, root / name)
    server.forget({f"question {i}": reply(i) for i in range(N)})
    lines = [json.dumps({"q": f"question {i}", "a": f"answer {i}"}) for i in range(N)]
    (root / "q.jsonl").write_text("\n".join(lines), encoding="utf-8")
    source = {"path": "q.jsonl", "columns": {"instruction": "q", "reference": "a"}}
    endpoint = {"base_url": f"{server.address}/v1", "api_key_env": None}
    sampling = {"max_new_tokens": 64}
    plain = "config/templates/plain.jinja"
    config = {
        "study": "thinks",
        "ap": ["held_out.wr"],
        "instructions": source,
        "teachers": {
            "thinker": {"model": "m", "engine": "openai", "openai": endpoint, "reasoning": "keep", "sampling": sampling}
        },
        "bases": {"base": {"model": "./base", "chat_template": plain, "gpus": 0}},
        "reward_models": {"judge": {"model": "./judge", "gpus": 0}},
        "car": {"reward_model": "judge", "transform": "sigmoid"},
        "finetune": {"epochs": 1, "batch_size": 2, "micro_batch_size": 1, "max_length": 512},
        "benchmarks": {
            "held_out": {
                "prompts": source,
                "protocol": "exact",
                "answer_pattern": "(.+)",
                "baseline": "thinker",
                "sampling": sampling,
            }
        },
    }
    (root / "thinks.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    results = root / "results/thinks"
    score = "results/thinks/scores/held_out/base/thinker.json"
    done = snakemake("--cores", "2", "--configfile", "thinks.yaml", "--", "rank", score, cwd=root)
    assert done.returncode == 0, done.stdout[-5000:]
    manifest = json.loads((results / "checkpoints/base/thinker/manifest.json").read_text(encoding="utf-8"))
    assert (manifest["n_examples"], manifest["n_truncated"]) == (N - 1, 0)
    baseline = pl.read_parquet(results / "baselines/held_out.parquet")
    assert set(baseline["answer"]) == {*(f"answer {i}" for i in range(N - 1)), None}
    judged = pl.read_parquet(results / "judgments/held_out/base/thinker.parquet")
    assert judged["baseline_correct"].sum() == N - 1  # of the answers, not of the thinking
    assert "cut_in_thinking" in pl.read_csv(results / "tables/teachers.csv").columns
    server.shutdown()
