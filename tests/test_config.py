"""A wrong configuration is refused before any job, with one line per problem."""

import copy
import re
from datetime import date

import jsonschema
import pytest
import yaml

from conftest import ROOT, snakemake
from scripts.configuration.check_config import fill_and_check
from scripts.configuration.config_pilots import wrong_pilots
from scripts.configuration.included import include_files
from scripts.configuration.schema import load_schema

IMPORT = {"path": "t.csv", "columns": {"id": "i", "response": "r"}}
ANNOTATIONS = ["$schema", "$defs", "title", "description", "default", "then", "else"]
SCORES = {"path": "config/paper/scores.csv", "columns": {"scores": {"wr": "alpaca_eval_wr"}}}

PILOTS = {"sizes": [32, 128], "score": "held_out.accuracy", "target": 512}
TASKS = {"protocol": "lm_eval", "tasks": ["gsm8k", "mmlu"]}


def example() -> dict:
    return yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))


def put(config: dict, path: str, value) -> dict:
    """The config with another value at a path of keys; without the key if the value is `...`."""
    *parents, last = path.split("/")
    changed = copy.deepcopy(config)
    inner = changed
    for name in parents:
        inner = inner[name]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return changed


@pytest.fixture(autouse=True)
def in_the_root_folder(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_the_shipped_configurations_are_correct_and_stay_the_same_when_filled_twice():
    for path in [*ROOT.glob("config/*.yaml"), *ROOT.glob("config/recipes/*.yaml")]:
        if path.name != "schema.yaml":
            config = yaml.safe_load(path.read_text(encoding="utf-8"))
            assert include_files(config) + fill_and_check(config) == []
            filled = copy.deepcopy(config)
            assert fill_and_check(config) == [] and config == filled


def test_a_default_is_checked_like_a_value_that_is_written_out(monkeypatch):
    """batch_size 32 is not a multiple of a micro_batch_size of 5, wherever the 5 comes from."""
    written = put(example(), "finetune", {"batch_size": 32, "micro_batch_size": 5})
    left_out = put(example(), "finetune", {"batch_size": 32})
    schema = put(load_schema(), "properties/finetune/properties/micro_batch_size/default", 5)
    monkeypatch.setattr("scripts.configuration.schema.load_schema", lambda: schema)
    monkeypatch.setattr("scripts.configuration.schema.schema_of", lambda kind=None: schema)
    line = "finetune: batch_size 32 is not a multiple of micro_batch_size 5"
    assert fill_and_check(written) == fill_and_check(left_out) == [line]


@pytest.mark.fault(14)
@pytest.mark.fault(16)
@pytest.mark.parametrize(
    "path, value, line",
    [
        ("finetune/epoch", 3, "finetune: unknown key epoch (did you mean epochs?)"),
        ("study", ..., "top level: study is missing"),
        ("study", "My Study", "study: 'My Study' is not allowed: lower-case letters,"),
        ("study", "../up", "study: '../up' is not allowed: lower-case letters,"),
        (
            "teachers/" + "t" * 249,
            {"model": "a/b"},
            "teachers: 'tttttttttttttttttttt'... has 249 characters, and 100 are",
        ),
        ("teachers/Big", {"model": "a/b"}, "teachers: 'Big' is not allowed: lower-case letters,"),
        ("pilots", {"sizes": [1, 2], "target": 9}, "pilots: score is missing"),
        ("pilots", PILOTS | {"sizes": [32]}, "pilots.sizes: two or more entries are needed"),
        ("pilots", PILOTS | {"sizes": [128, 32]}, "pilots.sizes: write them from small to large: [32, 128]"),
        (
            "pilots",
            PILOTS | {"sizes": [32, 513], "target": 999},
            "pilots.sizes: 513 is more than the ",
        ),
        ("pilots", PILOTS | {"target": 127}, "pilots.target: 127 is less than the size 128: it is what sizes lead to"),
        ("pilots", PILOTS | {"seeds": 1}, "pilots.seeds: 1 is less than the minimum of 2"),
        ("pilots", PILOTS | {"teachers": 99}, "pilots.teachers: 99, but "),
        ("pilots", PILOTS | {"teachers": ["plain-small"]}, "pilots.teachers: two or more entries are needed"),
        (
            "pilots",
            PILOTS | {"teachers": ["plain-small", "plain-larg"]},
            "pilots.teachers: no teacher plain-larg that bases are trained on (did you mean plain-large?)",
        ),
        (
            "pilots",
            PILOTS | {"teachers": "some"},
            "pilots.teachers: 'some' is not allowed: which teachers have pilots:",
        ),
        ("pilots", PILOTS | {"score": "held_out.wrong"}, "pilots.score: no benchmark gives held_out.wrong"),
        ("finetune/epochs", "two", "finetune.epochs: the text 'two' is given, and a number is needed"),
        ("finetune/learning_rate", "2e-5", "finetune.learning_rate: 2e-5 is read as text: a number with an exponent"),
        ("finetune/seed", 3, "finetune: unknown key seed (did you mean seeds?)"),
        ("finetune/seeds", 3, "finetune.seeds: the number 3 is given, and a list is needed"),
        ("finetune/seeds", [], "finetune.seeds: at least one entry is needed"),
        ("finetune/seeds", [1, 1], "finetune.seeds: [1, 1] has the same entry twice: delete one"),
        ("finetune/seeds", [-1], "finetune.seeds.0: -1 is less than the minimum of 0"),
        ("lalp", {"steps_before": -1}, "lalp.steps_before: -1 is less than the minimum of 0"),
        ("lalp", {"k": 4}, "lalp: unknown key k"),
        ("gradients", {"n": 1}, "gradients.n: 1 is less than the minimum of 2"),
        ("gradients", {"lora": {}}, "gradients.lora: a section is given, and true or false is needed"),
        ("gradients", None, "gradients: nothing is given, and a section (keys and values) is needed"),
        ("finetune", 3, "finetune: the number 3 is given, and a section (keys and values) is needed"),
        ("car", None, "car: nothing is given, and a section (keys and values) is needed"),
        ("study", 7, "study: this is read as the number 7, and text is needed: put it in quotes"),
        ("teachers/terse-small/family", 2, "teachers.terse-small.family: this is read as the number 2, and text is"),
        ("bases/alpha/revision", date(2024, 1, 1), "bases.alpha.revision: this is read as the date 2024-01-01, and"),
        (
            "benchmarks/held_out/judge",
            False,
            "benchmarks.held_out.judge: this is read as false, and text is needed: put",
        ),
        ("finetune/batch_size", 0, "finetune.batch_size: 0 is less than the minimum of 1"),
        ("finetune/micro_batch_size", 5, "finetune: batch_size 16 is not a multiple of micro_batch_size 5"),
        (
            "car/reward_model",
            "right-answr",
            "car.reward_model: no reward model right-answr (did you mean right-answer?)",
        ),
        (
            "benchmarks/held_out/baseline",
            "plain-smal",
            "benchmarks.held_out.baseline: no teacher plain-smal with a model (did you mean plain-small?)",
        ),
        ("benchmarks/held_out/answer_pattern", "(", "benchmarks.held_out.answer_pattern: not a regular expression"),
        ("benchmarks/held_out/answer_pattern", "x", "benchmarks.held_out.answer_pattern: put the answer in a group"),
        (
            "benchmarks/held_out/answer_pattern",
            ...,
            "benchmarks.held_out: protocol exact needs either answer_",
        ),
        ("benchmarks/held_out/recipe", "gsm8k", "benchmarks.held_out: protocol exact needs either answer_pattern or a"),
        (
            "benchmarks/held_out/strict_verdicts",
            True,
            "benchmarks.held_out.strict_verdicts: only for the protocol",
        ),
        ("benchmarks/held_out/max_unparsed", 2, "benchmarks.held_out.max_unparsed: 2 is greater than the maximum of 1"),
        ("benchmarks/held_out/prompts/columns/reference", ..., "benchmarks.held_out.prompts.columns: protocol exact"),
        (
            "teachers/plain-small/openai",
            {"base_url": "$JUDGE_URL"},
            "teachers.plain-small.openai.base_url: '$JUDGE_URL' is not allowed: address of the endpoint",
        ),
        (
            "ap",
            ["heldout.wr"],
            "ap: no benchmark heldout with a protocol or a table of scores (did you mean held_out?)",
        ),
        ("ap", [], "ap: names no score: write, for example, ap: [held_out.wr]"),
        ("instructions/path", "mine.jsonl", "instructions.path: no file mine.jsonl"),
        ("instructions/path", ["config/paper/*.cvs"], "instructions.path: no file matches config/paper/*.cvs"),
        ("instructions/path", "config/config.yaml", "instructions.path: config/config.yaml has no format that"),
        ("instructions/split", "test", "instructions.split: only a dataset of the hub has this key: delete it beside"),
        ("instructions/columns/instruction", {"join": []}, "instructions.columns.instruction.join: at least one"),
        (
            "instructions/columns/instruction",
            [0, "a"],
            "instructions.columns.instruction.0: this is read as the number",
        ),
        ("instructions/dataset", "a/b", "instructions: name either a path or a dataset"),
        ("instructions/path", ..., "instructions: name either a path or a dataset"),
        ("bases/alpha/chat_template", "no.jinja", "bases.alpha.chat_template: no file no.jinja"),
        ("bases/alpha/chat_template", ..., "bases.alpha: chat_template is missing"),
        ("bases/alpha/reasoning", "drop", "bases.alpha.reasoning: the text 'drop' is not one of strip, keep, separate"),
        (
            "teachers/x",
            {"model": "a/b", "reasoning": "keep", "sampling": {"max_new_tokens": 16384}},
            "teachers.x: with `reasoning: keep` an answer has up to sampling.max_new_tokens (16384): "
            "raise likelihoods.max_length (8192) and finetune.max_length (",
        ),
        ("bases/alpha/chat_template_kwargs", {}, "bases.alpha.chat_template_kwargs: "),
        ("bases/alpha/chat_template_kwargs", {"deep": [1]}, "bases.alpha.chat_template_kwargs.deep: "),
        ("bases/alpha/chat_template_kwargs", {"messages": 1}, "bases.alpha.chat_template_kwargs: "),
        (
            "teachers/x",
            {
                "model": "m",
                "engine": "openai",
                "chat_template_kwargs": {"a": 1},
                "sampling": {"options": {"chat_template_kwargs": {}}},
            },
            "teachers.x: chat_template_kwargs is also in sampling.options: delete it there",
        ),
        ("bases/alpha/model", "./nowhere", "bases.alpha.model: no folder ./nowhere"),
        ("bases/alpha/model", "./config", "bases.alpha.model: ./config is not a model folder"),
        ("bases/alpha/model", "config", "bases.alpha.model: config is a folder here: write ./config"),
        (
            "teachers/terse-small/engine",
            "vlm",
            "teachers.terse-small.engine: the text 'vlm' is not one of transformers, vllm, openai",
        ),
        ("teachers/terse-small/candidates", 5, "teachers.terse-small: 5 candidates at temperature 0 are all the same"),
        ("teachers/x", {"select": "best", "pool": "terse-small"}, "teachers.x: reward_model is missing"),
        ("teachers/x", {"select": "random", "pool": "plain"}, "teachers.x.pool: no teacher plain with several"),
        ("teachers/x", {"select": "beste", "pool": "p"}, "teachers.x.select: the text 'beste' is not one of"),
        ("teachers/x", {"import": {"path": "t.csv"}}, "teachers.x.import: columns is missing"),
        ("teachers/x", {"import": IMPORT}, "teachers.x.import.path: no file t.csv"),
        (
            "teachers/x",
            {"import": IMPORT | {"path": "config/paper/scores.csv", "rewards": {"right": "r"}}},
            "teachers.x: no reward model right (known: right-answer)",
        ),
        (
            "teachers/x",
            {"import": {"path": "t.csv", "columns": {"response": "r"}}},
            "teachers.x.import.columns: name the column response and id, or response and instruction, or messages",
        ),
        ("teachers/x", {"mix": "car"}, "teachers.x: base is missing"),
        ("teachers/x", {"mix": "car", "base": "alfa"}, "teachers.x.base: no base alfa (did you mean alpha?)"),
        (
            "teachers/x",
            {"mix": "car", "base": "alpha", "sources": ["mix-beta"]},
            "teachers.x.sources: no teacher mix-beta with responses of its own",
        ),
        (
            "teachers/x",
            {"mix": "car", "base": "alpha", "compare": True},
            "teachers.x.compare: only false is allowed here",
        ),
        ("reward_models", {}, "reward_models: at least one entry is needed"),
        ("ranking", {"p_highest": 1}, "ranking.p_highest: 1 is greater than or equal to the maximum of 1"),
        (
            "bases/average",
            {"model": "a/b", "chat_template": "config/templates/plain.jinja"},
            "bases.average: in the tables this is the mean over bases",
        ),
        ("car/transform", "sigmod", "car.transform: the text 'sigmod' is not one of"),
        (
            "benchmarks/held_out/protocol",
            "alpaca_eval",
            "benchmarks.held_out.judge: the protocol alpaca_eval needs a language model",
        ),
        (
            "benchmarks/held_out/protocol",
            "reward",
            "benchmarks.held_out.judge: the protocol reward needs a reward model",
        ),
        ("benchmarks/held_out/protocol", "arena", "benchmarks.held_out.protocol: the text 'arena' is not one of"),
        ("benchmarks/held_out/baseline", ..., "benchmarks.held_out: name either a baseline or baseline_answers"),
        ("benchmarks/held_out/judge_template", "no.txt", "benchmarks.held_out.judge_template: no file no.txt"),
        ("ap", ["held_out.lc"], "ap: held_out has no such score"),
        ("ap", ["held_out.style_controlled"], "ap: held_out has no such score"),
        ("bases/alpha/processes", 3, "bases.alpha.processes: batch_size 16 is not a multiple of micro"),
        ("bases/alpha/fsdp", True, "bases.alpha.fsdp: needs several processes, a GPU for each, and no lora"),
        ("bases/alpha/trust_remote_code", "yes", "bases.alpha.trust_remote_code: the text 'yes' is given, and true or"),
        (
            "teachers/x",
            {"model": "a/b", "trust_remote_code": True},
            "teachers.x.trust_remote_code: pin the revision whose code you have read",
        ),
        (
            "teachers/x",
            {"model": "a/b", "engine": "vllm", "gpus": 2},
            "teachers.x: gpus is 2, but vllm.tensor_parallel_size is 1",
        ),
        (
            "judges",
            {"j": {"model": "a/b", "engine": "vllm", "gpus": 2}},
            "judges.j: gpus is 2, but vllm.tensor_parallel_size is 1",
        ),
        (
            "teachers/x",
            {"model": "m", "engine": "openai", "gpus": 1},
            "teachers.x: gpus is 1, but an endpoint uses no GPU",
        ),
        (
            "teachers/x",
            {"model": "a/b", "engine": "vllm", "openai": {"batch": True}},
            "teachers.x.openai.batch: the engine vllm has no Batch API: remove it, or set engine: openai",
        ),
        (
            "teachers/x",
            {"model": "m", "engine": "openai", "gpus": 0, "openai": {"batch": "yes"}},
            "teachers.x.openai.batch: the text 'yes' is given, and true or",
        ),
        ("study", "world", "study: world is a folder that the workflow itself writes: choose another name"),
        ("study", "paper-table", "study: paper-table is a folder that"),
        ("api", {"poll_s": 0}, "api.poll_s: 0 is"),
        ("reference_models", {"alpha": {"model": "a/b"}}, "reference_models.alpha: a base has this name too"),
        ("scores", SCORES, "scores: each benchmark names its own table: write benchmarks.<name>.scores with path"),
        ("benchmarks/paper", {"scores": SCORES, "prompts": {}}, "benchmarks.paper: unknown key prompts"),
        ("benchmarks/paper", {"scores": put(SCORES, "path", "no.csv")}, "benchmarks.paper.scores.path: no file no.csv"),
        (
            "benchmarks/paper",
            {"scores": put(SCORES, "columns/errors", {"lc": "lc_se"})},
            "benchmarks.paper.scores.columns.errors: no score lc (known: wr)",
        ),
        (
            "benchmarks/paper",
            {"scores": put(SCORES, "columns/scores", {"se": "alpaca_eval_wr"})},
            "benchmarks.paper.scores.columns.scores: 'se' is not allowed: letters, digits, underscore",
        ),
        ("benchmarks/k", TASKS | {"baseline": "plain-small"}, "benchmarks.k: unknown key baseline"),
        ("benchmarks/k", {"protocol": "lm_eval"}, "benchmarks.k: tasks is missing"),
        ("benchmarks/k", TASKS | {"tasks": []}, "benchmarks.k.tasks: at least one entry is needed"),
        ("benchmarks/k", TASKS | {"tasks": ["a.b"]}, "benchmarks.k.tasks.0: 'a.b' is not allowed: letters, digits"),
        ("benchmarks/k", TASKS | {"include_path": "no"}, "benchmarks.k.include_path: no folder no with a YAML file"),
        (
            "benchmarks/held_out/prompts/columns",
            {"user_turns": "turns", "reference": "r"},
            "benchmarks.held_out.prompts.columns.user_turns: the protocol exact compares one answer to each prompt",
        ),
        (
            "instructions/columns",
            {"user_turns": "turns"},
            "instructions.columns.user_turns: only prompts of benchmarks have turns: take messages, or the first turn",
        ),
        ("ap", ["held_out.wr", "paper.wr"], "ap: no benchmark paper with a protocol or a table of scores"),
    ],
)
def test_each_mistake_gets_its_own_line(path, value, line):
    problems = fill_and_check(put(example(), path, value))
    assert len(problems) == 1 and problems[0].startswith(line), problems


def test_a_pool_without_a_temperature_may_come_only_from_an_endpoint():
    sampling = {"sampling": {"temperature": None}, "candidates": 5, "gpus": 0}
    problem = "teachers.pool: 5 candidates at temperature 0 are all the same: raise it"
    assert fill_and_check(put(example(), "teachers/pool", {"model": "org/m", **sampling})) == [problem]
    assert fill_and_check(put(example(), "teachers/pool", {"model": "m", "engine": "openai", **sampling})) == []


@pytest.mark.parametrize("score, known", [("gsm8k", False), ("gsm8k:em:strict", True), ("gsm8kk:em", False)])
def test_a_score_of_lm_eval_names_one_of_the_tasks_and_a_metric(score, known):
    config = put(put(example(), "benchmarks/k", TASKS), "ap", ["held_out.wr", f"k.{score}"])
    problems = fill_and_check(config)
    line = f"ap: k.{score} names no task and metric of k: write, for example, k.gsm8k:acc"
    assert len(problems) == (0 if known else 1) and all(problem.startswith(line) for problem in problems)


def test_a_base_with_its_own_code_is_not_evaluated_by_lm_eval():
    config = put(put(example(), "benchmarks/k", TASKS), "bases/alpha/trust_remote_code", True)
    assert fill_and_check(config) == ["benchmarks.k: lm_eval runs no code of a model, which base alpha needs"]


def test_a_job_that_asks_an_endpoint_requests_no_gpu_unlike_other_models():
    config = put(example(), "teachers/x", {"model": "m", "engine": "openai"})
    config = put(config, "teachers/y", {"model": "./results/world/plain-small"})
    config["judges"] = {"j": {"model": "m", "engine": "openai"}}
    fill_and_check(config)
    assert config["teachers"]["x"]["gpus"] == config["judges"]["j"]["gpus"] == 0
    assert config["teachers"]["y"]["gpus"] == 1


MT_BENCH = {"path": "config/paper/scores.csv", "columns": {"id": "question_id", "user_turns": "turns"}}


def grading(**more) -> dict:
    """A configuration whose pairs are graded on prompts of two turns."""
    config = put(example(), "judges", {"j": {"model": "m", "engine": "openai", "gpus": 0}})
    config["benchmarks"] = {"mt_bench": {"protocol": "grade", "judge": "j", "prompts": MT_BENCH} | more}
    return config | {"ap": ["mt_bench.grade", "mt_bench.turn_2"]}


@pytest.mark.parametrize(
    "more, line",
    [
        ({}, None),
        ({"judge_template": "config/judges/grade.txt"}, None),
        ({"baseline": "plain-small"}, "baseline: the protocol grade compares with nothing: remove it"),
        (
            {"judge_template": "config/judges/label.txt"},
            "judge_template: config/judges/label.txt has no {output}, and the protocol grade needs it: see",
        ),
        (
            {"prompts": put(MT_BENCH, "columns/instruction", "turns")},
            "prompts.columns.user_turns: replaces instruction: name one of them",
        ),
    ],
)
def test_grades_need_no_baseline_and_a_template_for_one_answer(more, line):
    problems = fill_and_check(grading(**more))
    assert [p.startswith(f"benchmarks.mt_bench.{line}") for p in problems] == ([] if line is None else [True]), problems


@pytest.mark.parametrize("turn, known", [("3", True), ("12", True), ("0", False), ("03", False), ("x", False)])
def test_the_score_of_any_turn_can_be_named_in_ap(turn, known):
    problems = fill_and_check(grading() | {"ap": ["mt_bench.grade", f"mt_bench.turn_{turn}"]})
    assert [problem.startswith("ap: mt_bench has no such score") for problem in problems] == [True] * (not known)
    config = grading(prompts=put(MT_BENCH, "columns", {"instruction": "turns"})) | {"ap": [f"mt_bench.turn_{turn}"]}
    assert len(fill_and_check(config)) == 1


def test_scores_of_turns_are_only_those_of_prompts_with_turns():
    config = grading(prompts=put(MT_BENCH, "columns", {"instruction": "turns"}))
    assert fill_and_check(config)[0].startswith("ap: mt_bench has no such score")
    config = grading(protocol="label", baseline="plain-small", judge_template="config/judges/grade.txt")
    problems = fill_and_check(config | {"ap": []})
    assert [problem.partition(": ")[0] for problem in problems if not problem.startswith("ap")] == [
        "benchmarks.mt_bench.judge_template",
        "benchmarks.mt_bench.prompts.columns.user_turns",
    ]


def test_a_judge_that_is_a_metric_of_the_same_table_is_refused():
    config = put(example(), "judges", {"j": {"reward": {"model": example()["reward_models"]["right-answer"]["model"]}}})
    config["benchmarks"]["held_out"] |= {"protocol": "reward", "judge": "j"}
    line = "benchmarks.held_out.judge: right-answer is a metric too, and would predict itself: choose another model"
    assert fill_and_check(config) == [line]


def test_all_problems_are_reported_at_once():
    config = put(put(example(), "instructions/path", "mine.jsonl"), "car/reward_model", "x")
    assert len(fill_and_check(config)) == 2
    config = put(put(example(), "finetune/epoch", 3), "study", ...)
    assert len(fill_and_check(config)) == 2
    config = put(put(example(), "finetune/epoch", 3), "car/reward_model", "x")
    assert len(fill_and_check(config)) == 2


def test_every_key_of_the_schema_is_described():
    def undescribed(schema, path=""):
        for key, entry in schema.get("properties", {}).items():
            if "description" not in entry and "$ref" not in entry:
                yield f"{path}.{key}"
            yield from undescribed(entry, f"{path}.{key}")

    schema = load_schema()
    assert all("description" in definition for definition in schema["$defs"].values())
    assert [*undescribed(schema), *undescribed({"properties": schema["$defs"]})] == []


def test_the_schema_has_no_key_but_those_of_json_schema():
    """In {description: one, two} the comma begins another key."""

    def keys(schema):
        for key, value in schema.items():
            yield key
            if isinstance(value, dict) and key != "default":
                for part in value.values() if key in ("properties", "$defs") else [value]:
                    yield from keys(part)

    assert set(keys(load_schema())) - set(jsonschema.Draft202012Validator.VALIDATORS) == set(ANNOTATIONS)


def test_snakemake_reports_the_problems_and_starts_nothing(checkout):
    (checkout / "wrong.yaml").write_text(yaml.safe_dump(put(example(), "car/reward_model", "x")))
    done = snakemake("--cores", "1", "--configfile", "wrong.yaml", cwd=checkout)
    assert done.returncode and "Traceback" not in done.stdout
    assert done.stdout.rstrip().endswith("car.reward_model: no reward model x (known: right-answer)")
    assert not (checkout / "results").exists()


def test_a_model_under_results_that_no_rule_makes_is_an_error(checkout):
    (checkout / "typo.yaml").write_text(
        yaml.safe_dump(put(example(), "teachers/plain-small/model", "./results/world/plain-larg")), encoding="utf-8"
    )
    done = snakemake("-n", "--configfile", "typo.yaml", cwd=checkout)
    expected = "teachers.plain-small.model: results/world/plain-larg does not exist, and no rule makes it"
    assert done.returncode and done.stdout.rstrip().endswith(expected)


def test_a_config_file_on_the_command_line_replaces_the_default_one(checkout):
    other = put(put(example(), "study", "other"), "teachers", {"terse-small": example()["teachers"]["terse-small"]})
    other["benchmarks"]["held_out"]["baseline"] = "terse-small"
    (checkout / "other.yaml").write_text(yaml.safe_dump(other))
    done = snakemake("-n", "--configfile", "other.yaml", cwd=checkout)
    assert re.search(r"generate_responses +1\n", done.stdout)
    assert "teacher=terse-large" not in done.stdout


def test_pilots_need_a_score_with_a_value_for_each_prompt_and_the_same_instructions():
    config = put(example(), "pilots", PILOTS | {"score": "t.wr"})
    config["benchmarks"]["t"] = {"scores": SCORES}
    (line,) = fill_and_check(config)
    takers = "take one of a benchmark with the protocol grade, reward, exact"
    assert line == f"pilots.score: t.wr has no value for each prompt: {takers}"
    good = put(example(), "pilots", PILOTS)
    assert fill_and_check(good) == []
    assert good["pilots"] == PILOTS | {"teachers": 4, "seeds": 2, "p_best": 0.9, "race": True}
    (line,) = wrong_pilots(good | {"compare": "unpaired"})
    assert line.startswith("pilots: need the same instructions for all teachers, so not `compare: unpaired`")
