"""Only invalidated results are computed again: dry runs on a finished study, after one change each."""

import ast
import os
import re
import shutil

import pytest
import yaml

from conftest import snakemake

pytestmark = pytest.mark.study

TEACHERS, BASES = 12, 2
PAIRS = TEACHERS * BASES
MIXED = PAIRS + BASES  # plus one mix per base


def jobs(root, *arguments) -> dict[str, int]:
    """Each rule to the number of its jobs that a dry run would start."""
    done = snakemake("-n", *arguments, cwd=root)
    assert done.returncode == 0, done.stdout[-3000:]
    if "Nothing to be done" in done.stdout:
        return {}
    table = done.stdout.split("Job stats:")[1].split("\n\n")[0]
    counts = {name: int(n) for name, n in re.findall(r"^(\w+) +(\d+)$", table, flags=re.M)}
    del counts["total"], counts["all"]
    return counts


def edit_config(root, change):
    path = root / "config/config.yaml"
    config = yaml.safe_load(path.read_text())
    change(config)
    path.write_text(yaml.safe_dump(config, sort_keys=False))


def read_config(root):
    return yaml.safe_load((root / "config/config.yaml").read_text())


def append(path, text):
    path.write_text(path.read_text() + text)


def touch_everything(root):
    for folder, _, files in os.walk(root):
        for name in files:
            if ".snakemake" not in folder:
                os.utime(os.path.join(folder, name))


def reorder_and_comment(root):
    def reverse(value):
        return {k: reverse(v) for k, v in reversed(value.items())} if isinstance(value, dict) else value

    edit_config(root, lambda config: None)
    path = root / "config/config.yaml"
    path.write_text("# another order\n" + yaml.safe_dump(reverse(yaml.safe_load(path.read_text())), sort_keys=False))


def edit_and_revert(root):
    path = root / "scripts/judgments/judge_exact.py"
    before = path.read_text(encoding="utf-8")
    append(path, "ANOTHER = 1\n")
    assert jobs(root)["judge_exact"] == 1
    path.write_text(before, encoding="utf-8")


def comment_and_document_every_module(root):
    for path in (root / "scripts").rglob("*.py"):
        lines = path.read_text(encoding="utf-8").splitlines()
        for node in ast.walk(ast.parse("\n".join(lines))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
                first = node.body[0].lineno - 1
                lines[first] = lines[first].replace('"""', '"""Edited. ', 1)
        path.write_text("\n".join([*lines, "# an afterthought", ""]), encoding="utf-8")


def raise_version(root, module):
    path = root / module
    text, found = re.subn(r"^VERSION = \d+$", "VERSION = 99", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert found == 1
    path.write_text(text, encoding="utf-8")


def add_teacher(root):
    shutil.copytree(root / "results/world/terse-small", root / "extra")
    entry = {"model": "./extra", "gpus": 0, "sampling": {"max_new_tokens": 40}}
    edit_config(root, lambda config: config["teachers"].update(extra=entry))


def add_reward_model(root):
    shutil.copytree(root / "results/world/right-answer", root / "extra")
    edit_config(root, lambda config: config["reward_models"].update(extra={"model": "./extra", "gpus": 0}))


def add_selection(root):
    def add(config):
        config["teachers"]["pool"] = config["teachers"]["terse-small"] | POOL
        config["teachers"]["best"] = {"select": "best", "pool": "pool", "reward_model": "right-answer"}

    edit_config(root, add)


TERSE = "./results/world/terse-small"
COSTLY = [
    "engines/engine_transformers",
    "engines/generation",
    "models/chat",
    "likelihoods/token_scores",
    "rewards/score_rewards",
    "finetuning/finetune",
    "tables/row_store",
]
POOL = {"candidates": 3, "sampling": {"max_new_tokens": 40, "temperature": 1.0}}
CHECKS = {"check_model": 1, "check_models": 1, "check_disk": 1}
STATISTICS = {"correlate_metrics": 1, "compare_metrics": 1, "vary_car": 1, "draw_conclusions": 1}
TABLES = {"average_performance": 1, "compare_ap": 1, "compare_sizes": 1, **STATISTICS}
RANKING = {"rank_teachers": 1, "assess_ranking": 1, "vary_ranking": 1, "compare_scores": 1}
RANKING |= {"write_dataset": BASES}
JUDGE_AND_AFTER = {"judge_exact": 1, "score_judgments": 1, **TABLES}
MIXES = {"mix_responses": BASES, "mix_rewards": BASES, "mix_likelihoods": BASES}
CHAIN = ("finetune", "answer_benchmark")
JOINED = {"join_metrics": BASES, "join_metrics_of_mix": BASES}
METRICS = {"measure_diversity": 1, **JOINED}
OF_MIXES = MIXES | METRICS | {"count_seams": 1} | dict.fromkeys(CHAIN, BASES) | JUDGE_AND_AFTER
# the jobs of one teacher, and those of the mixes that may contain its responses
ONE_TEACHER = {
    "generate_responses": 1,
    "score_rewards": 1,
    "score_likelihoods": 2,
    **MIXES,
    "count_seams": 1,
    "count_costs": 1,
    **METRICS,
    **dict.fromkeys(CHAIN, 2 + BASES),
    **RANKING,
    **JUDGE_AND_AFTER,
}

CHANGES = {
    "every file touched": (touch_everything, {}),
    "YAML reordered and commented": (reorder_and_comment, {}),
    "an edit reverted": (edit_and_revert, {}),
    "beta": (
        lambda root: edit_config(root, lambda c: c["car"].update(beta=2.0)),
        OF_MIXES | RANKING,
    ),
    "how sure a ranking has to be": (
        lambda root: edit_config(root, lambda c: c.update(ranking={"p_highest": 0.8})),
        {"assess_ranking": 1},
    ),
    "a teacher's family": (
        lambda root: edit_config(root, lambda c: c["teachers"]["terse-small"].update(family="curt")),
        {"compare_sizes": 1, **RANKING, **STATISTICS},
    ),
    "one teacher's sampling": (
        lambda root: edit_config(root, lambda c: c["teachers"]["terse-small"]["sampling"].update(max_new_tokens=39)),
        ONE_TEACHER,
    ),
    "a new teacher": (add_teacher, ONE_TEACHER | CHECKS),
    "how endpoints are asked": (
        lambda root: edit_config(root, lambda c: c.update(api={"concurrency": 3, "budget_usd": 1})),
        {},
    ),
    "the price of a teacher's model": (
        lambda root: edit_config(root, lambda c: c.update(api={"prices": {TERSE: {"input": 1, "output": 2}}})),
        {"count_costs": 1},
    ),
    "comments and docstrings in every module": (comment_and_document_every_module, {}),
    "another engine's code": (lambda root: append(root / "scripts/engines/engine_openai.py", "ANOTHER = 1\n"), {}),
    "another engine's VERSION": (lambda root: raise_version(root, "scripts/engines/engine_openai.py"), {}),
    "the code of costly stages under the same VERSION": (
        lambda root: [append(root / f"scripts/{name}.py", "ANOTHER = 1\n") for name in COSTLY],
        {"write_dataset": BASES, "count_seams": 1},  # they are cheap, and make the ids of a chat
    ),
    "a raised VERSION": (
        lambda root: raise_version(root, "scripts/likelihoods/token_scores.py"),
        OF_MIXES | {"score_likelihoods": BASES} | RANKING,
    ),
    "a pool of one teacher's samples": (
        lambda root: edit_config(root, lambda c: c["teachers"].update(pool=c["teachers"]["terse-small"] | POOL)),
        {},
    ),
    "a selection from a new pool": (
        add_selection,
        # it is in no mix, but the job that scores its pool writes the rewards of all: a mix is made again, the same
        ONE_TEACHER | {"select_responses": 1, "select_rewards": 1},
    ),
    "LoRA for one base": (
        lambda root: edit_config(root, lambda c: c["bases"]["alpha"].update(lora={})),
        {"finetune": 13, "answer_benchmark": 13, **JUDGE_AND_AFTER},
    ),
    "epochs": (
        lambda root: edit_config(root, lambda c: c["finetune"].update(epochs=1)),
        {"finetune": MIXED, "answer_benchmark": MIXED, **JUDGE_AND_AFTER},
    ),
    "scores on request": (
        lambda root: edit_config(root, lambda c: c.update(gradients={"n": 8}, lalp={})),
        {"score_gradients": BASES, "score_lalp": BASES, "mix_sampled_scores": 2 * BASES, **RANKING, **STATISTICS},
    ),
    "a further seed": (
        lambda root: edit_config(root, lambda c: c["finetune"].update(seeds=[0, 1])),
        {"finetune": MIXED, "answer_benchmark": MIXED, **JUDGE_AND_AFTER},  # only the new runs are trained
    ),
    "how answers are judged": (
        lambda root: edit_config(root, lambda c: c["benchmarks"]["held_out"].update(ignore_case=True)),
        JUDGE_AND_AFTER,
    ),
    "the judge's code": (
        lambda root: append(root / "scripts/judgments/judge_exact.py", "ANOTHER = 1\n"),
        JUDGE_AND_AFTER,
    ),
    "a new metric": (
        lambda root: append(root / "scripts/metrics/definitions.py", "ANOTHER = 1\n"),
        {**JOINED, "compare_sizes": 1, **RANKING, **STATISTICS},
    ),
    "a new reward model": (
        add_reward_model,
        {"score_rewards": 1, "mix_rewards": BASES, **JOINED} | {**CHECKS, **RANKING, **STATISTICS},
    ),
    "how CAR is computed": (
        lambda root: append(root / "scripts/metrics/car.py", "ANOTHER = 1\n"),
        {**JOINED, "compare_sizes": 1} | RANKING | STATISTICS,  # mixes are keyed by a VERSION
    ),
    "a base's chat template": (
        lambda root: append(root / "config/templates/plain.jinja", "{# the same #}\n"),
        OF_MIXES | {"score_likelihoods": BASES, "finetune": MIXED, "answer_benchmark": MIXED} | RANKING,
    ),
}


def test_a_copy_of_a_finished_study_has_nothing_to_do(study_copy):
    assert jobs(study_copy) == {}


def test_without_its_records_a_study_is_adopted_by_touch_and_only_missing_files_are_made(study_copy):
    shutil.rmtree(study_copy / ".snakemake")
    (study_copy / "results/world/tokenizer.json").touch()  # as in a copy with other times
    (study_copy / "results/miniature/report.html").unlink()
    assert "finetune" in jobs(study_copy)
    touched = snakemake("--touch", "--cores", "1", cwd=study_copy)
    assert touched.returncode == 0, touched.stdout[-3000:]
    assert jobs(study_copy) == {"write_report": 1}


@pytest.mark.fault(22)
@pytest.mark.parametrize("change", CHANGES)
def test_only_what_the_change_invalidates_reruns(study_copy, change):
    edit, expected = CHANGES[change]
    before = read_config(study_copy)
    edit(study_copy)
    saved = {"save_config": 1} if read_config(study_copy) != before else {}
    # the page shows the tables and the configuration
    page = {"write_report": 1} if set(expected) - {"write_dataset"} or saved else {}
    assert jobs(study_copy) == expected | saved | page


def test_a_run_says_that_results_of_other_code_are_reused(study_copy):
    assert "Note: " not in snakemake("-n", cwd=study_copy).stdout
    append(study_copy / "scripts/finetuning/sft_settings.py", "ANOTHER = 1\n")
    done = snakemake("-n", cwd=study_copy).stdout
    assert "Note: the code of scripts.finetuning.finetune has changed under the same VERSION" in done
    assert "raise VERSION in scripts.finetuning.finetune (docs/reruns.md)" in done and "Nothing to be done" in done


def test_two_studies_side_by_side_do_not_touch_each_other(study_copy):
    text = (study_copy / "config/config.yaml").read_text()
    (study_copy / "other.yaml").write_text(text.replace("study: miniature", "study: other").replace("n: 320", "n: 64"))
    before = {path: path.stat().st_mtime_ns for path in (study_copy / "results").rglob("*") if path.is_file()}
    target = "results/other/instructions.parquet"
    done = snakemake("--cores", "1", "--configfile", "other.yaml", "--", target, cwd=study_copy)
    assert done.returncode == 0 and (study_copy / target).exists(), done.stdout
    after = {path: path.stat().st_mtime_ns for path in before}
    assert after == before
    assert jobs(study_copy) == {}
    assert jobs(study_copy, "--configfile", "other.yaml")["generate_responses"] == 12
