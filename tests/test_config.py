"""A wrong configuration ends in one clear line a problem, before any job."""

import copy
import re

import pytest
import yaml

from conftest import ROOT, snakemake
from scripts.configuration.check_config import find_problems

SCHEMA = ROOT / "config/schema.yaml"


IMPORT = {"path": "t.csv", "columns": {"id": "i", "response": "r"}}
SCORES = {
    "path": "config/paper/scores.csv",
    "columns": {"base": "base", "teacher": "teacher", "scores": {"held_out.wr": "alpaca_eval_wr"}},
}


def example() -> dict:
    return yaml.safe_load((ROOT / "config/config.yaml").read_text())


def put(config: dict, path: str, value) -> dict:
    """The config with the value at a path of keys; without the key where the value is ...."""
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
def at_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_the_configurations_that_ship_are_right():
    for path in ROOT.glob("config/*.yaml"):
        if path.name != "schema.yaml":
            assert find_problems(yaml.safe_load(path.read_text()), SCHEMA) == []


@pytest.mark.fault(14)
@pytest.mark.fault(16)
@pytest.mark.parametrize(
    "path, value, line",
    [
        ("finetune/epoch", 3, "finetune: unknown key epoch (did you mean epochs?)"),
        ("study", ..., "top level: study is missing"),
        ("study", "My Study", "study: 'My Study' does not match ^[a-z0-9][a-z0-9._-]*$"),
        ("study", "../up", "study: '../up' does not match ^[a-z0-9][a-z0-9._-]*$"),
        ("teachers/Big", {"model": "a/b"}, "teachers: 'Big' does not match ^[a-z0-9][a-z0-9._-]*$"),
        ("finetune/epochs", "two", "finetune.epochs: 'two' is not of type 'number'"),
        ("finetune/batch_size", 0, "finetune.batch_size: 0 is less than the minimum of 1"),
        ("finetune/micro_batch_size", 5, "finetune: micro_batch_size 5 does not divide 16"),
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
        ("benchmarks/held_out/prompts/columns/reference", ..., "benchmarks.held_out.prompts.columns: protocol exact"),
        ("ap", ["heldout.wr"], "ap: no benchmark heldout with a protocol (did you mean held_out?)"),
        ("ap", [], "ap: names no score: write, for example, ap: [held_out.wr]"),
        ("instructions/path", "mine.jsonl", "instructions.path: no file mine.jsonl"),
        ("instructions/dataset", "a/b", "instructions: name either a path or a dataset"),
        ("instructions/path", ..., "instructions: name either a path or a dataset"),
        ("bases/alpha/chat_template", "no.jinja", "bases.alpha.chat_template: no file no.jinja"),
        ("bases/alpha/chat_template", ..., "bases.alpha: chat_template is missing"),
        ("bases/alpha/model", "./nowhere", "bases.alpha.model: no folder ./nowhere"),
        ("bases/alpha/model", "./config", "bases.alpha.model: ./config is not a model folder"),
        ("bases/alpha/model", "config", "bases.alpha.model: config is a folder here: write ./config"),
        ("teachers/terse-small/engine", "vlm", "teachers.terse-small.engine: 'vlm' is not one of"),
        ("teachers/terse-small/candidates", 5, "teachers.terse-small: 5 candidates at temperature 0 would all be"),
        ("teachers/x", {"select": "best", "pool": "terse-small"}, "teachers.x: reward_model is missing"),
        ("teachers/x", {"select": "random", "pool": "plain"}, "teachers.x.pool: no teacher plain with candidates"),
        ("teachers/x", {"select": "beste", "pool": "p"}, "teachers.x.select: 'beste' is not one of"),
        ("teachers/x", {"import": {"path": "t.csv"}}, "teachers.x.import: columns is missing"),
        ("teachers/x", {"import": IMPORT}, "teachers.x.import.path: no file t.csv"),
        (
            "teachers/x",
            {"import": IMPORT | {"path": "config/paper/scores.csv", "rewards": {"right": "r"}}},
            "teachers.x: no reward model right (there are: right-answer)",
        ),
        (
            "teachers/x",
            {"import": {"path": "t.csv", "columns": {"response": "r"}}},
            "teachers.x.import.columns: name the column of",
        ),
        ("teachers/x", {"mix": "car"}, "teachers.x: base is missing"),
        ("teachers/x", {"mix": "car", "base": "alfa"}, "teachers.x.base: no base alfa (did you mean alpha?)"),
        (
            "teachers/x",
            {"mix": "car", "base": "alpha", "sources": ["mix-beta"]},
            "teachers.x.sources: no teacher mix-beta with responses of its own",
        ),
        ("teachers/x", {"mix": "car", "base": "alpha", "compare": True}, "teachers.x.compare: False was expected"),
        ("ranking", {"p_same_top1": 1}, "ranking.p_same_top1: 1 is greater than or equal to the maximum of 1"),
        (
            "bases/average",
            {"model": "a/b", "chat_template": "config/templates/plain.jinja"},
            "bases.average: tables have",
        ),
        ("car/transform", "sigmod", "car.transform: 'sigmod' is not one of"),
        ("benchmarks/held_out/protocol", "alpaca_eval", "benchmarks.held_out.judge: no language model None"),
        ("benchmarks/held_out/protocol", "reward", "benchmarks.held_out.judge: no reward model None"),
        ("benchmarks/held_out/protocol", "arena", "benchmarks.held_out.protocol: 'arena' is not one of"),
        ("benchmarks/held_out/baseline", ..., "benchmarks.held_out: name either a baseline or baseline_answers"),
        ("benchmarks/held_out/judge_template", "no.txt", "benchmarks.held_out.judge_template: no file no.txt"),
        ("ap", ["held_out.lc"], "ap: held_out has no such score"),
        ("bases/alpha/processes", 3, "bases.alpha.processes: 3 times 16 does not divide batch_size 16"),
        ("bases/alpha/fsdp", True, "bases.alpha.fsdp: needs several processes, a GPU for each, and no lora"),
        ("bases/alpha/trust_remote_code", "yes", "bases.alpha.trust_remote_code: 'yes' is not of type 'boolean'"),
        (
            "teachers/x",
            {"model": "a/b", "trust_remote_code": True},
            "teachers.x.trust_remote_code: pin the revision whose code you have read",
        ),
        (
            "teachers/x",
            {"model": "a/b", "engine": "vllm", "gpus": 2},
            "teachers.x: gpus 2, but vllm.tensor_parallel_size 1",
        ),
        ("reference_models", {"alpha": {"model": "a/b"}}, "reference_models.alpha: a base has this name too"),
        ("scores", SCORES, "scores: held_out is judged here: scores come from judging or from a table, never both"),
    ],
)
def test_each_mistake_gets_its_own_line(path, value, line):
    problems = find_problems(put(example(), path, value), SCHEMA)
    assert len(problems) == 1 and problems[0].startswith(line), problems


def test_a_judge_that_is_a_metric_of_the_same_table_is_refused():
    config = put(example(), "judges", {"j": {"reward": {"model": example()["reward_models"]["right-answer"]["model"]}}})
    config["benchmarks"]["held_out"] |= {"protocol": "reward", "judge": "j"}
    line = "benchmarks.held_out.judge: right-answer is a metric too, and would predict itself"
    assert find_problems(config, SCHEMA) == [line]


def test_all_problems_are_told_at_once():
    config = put(put(example(), "instructions/path", "mine.jsonl"), "car/reward_model", "x")
    assert len(find_problems(config, SCHEMA)) == 2
    config = put(put(example(), "finetune/epoch", 3), "study", ...)
    assert len(find_problems(config, SCHEMA)) == 2


def test_every_key_of_the_schema_is_described():
    def undescribed(schema, path=""):
        for key, entry in schema.get("properties", {}).items():
            if "description" not in entry and "$ref" not in entry:
                yield f"{path}.{key}"
            yield from undescribed(entry, f"{path}.{key}")

    schema = yaml.safe_load(SCHEMA.read_text())
    assert all("description" in definition for definition in schema["$defs"].values())
    assert [*undescribed(schema), *undescribed({"properties": schema["$defs"]})] == []


def test_snakemake_tells_the_problems_and_starts_nothing(checkout):
    (checkout / "wrong.yaml").write_text(yaml.safe_dump(put(example(), "car/reward_model", "x")))
    done = snakemake("--cores", "1", "--configfile", "wrong.yaml", cwd=checkout)
    assert done.returncode and "Traceback" not in done.stdout
    assert done.stdout.rstrip().endswith("car.reward_model: no reward model x (there are: right-answer)")
    assert not (checkout / "results").exists()


def test_a_config_file_on_the_command_line_replaces_the_default_one(checkout):
    other = put(put(example(), "study", "other"), "teachers", {"terse-small": example()["teachers"]["terse-small"]})
    other["benchmarks"]["held_out"]["baseline"] = "terse-small"
    (checkout / "other.yaml").write_text(yaml.safe_dump(other))
    done = snakemake("-n", "--configfile", "other.yaml", cwd=checkout)
    assert re.search(r"generate_responses +1\n", done.stdout)
    assert "teacher=terse-large" not in done.stdout
