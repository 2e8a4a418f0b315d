"""What every engine declares, and that no other code compares the name of an engine."""

import re
from importlib import import_module

import pytest
import yaml

from conftest import ROOT
from scripts.configuration.config_engines import engine_module, gpus_setting, is_endpoint
from scripts.engines import engine_vllm
from scripts.jobs.code import declared

ENGINES = sorted(path.stem.removeprefix("engine_") for path in (ROOT / "scripts/engines").glob("engine_*.py"))
SCHEMA = yaml.safe_load((ROOT / "config/schema.yaml").read_text(encoding="utf-8"))


def test_the_schema_has_exactly_the_engines_that_have_a_module():
    assert sorted(SCHEMA["$defs"]["engine"]["enum"]) == ENGINES


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_declares_what_other_code_reads(engine):
    module = engine_module(engine)
    kinds = {"VERSION": int, "ENVIRONMENT": str, "ENDPOINT": bool, "OPERATIONAL": tuple, "BLOCK": int}
    assert {name: type(declared(module, name)) for name in kinds} == kinds
    assert (ROOT / f"envs/{declared(module, 'ENVIRONMENT')}.yaml").is_file()
    settings = SCHEMA["$defs"].get(engine, {}).get("properties", {})
    assert declared(module, "GPUS") is None or declared(module, "GPUS") in settings
    assert callable(import_module(module).check) and callable(import_module(module).load)


def test_a_fine_tuned_base_can_use_every_engine_except_endpoints():
    loaded = [name for name in ENGINES if not is_endpoint({"engine": name})]
    assert sorted(SCHEMA["$defs"]["base"]["properties"]["engine"]["enum"]) == loaded


def test_an_entry_without_an_engine_is_no_endpoint_and_shares_no_gpus():
    assert not is_endpoint({"model": "a/reward-model"}) and gpus_setting({"model": "a/reward-model"}) is None


def test_only_the_module_of_an_engine_depends_on_its_name():
    compared = re.compile(
        rf"(==|!=|\bin) [\[(]?[\"']({'|'.join(ENGINES)})[\"']|[\"']({'|'.join(ENGINES)})[\"'] (==|!=)"
    )
    for path in [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk"), *(ROOT / "scripts").glob("*/*.py")]:
        if path.stem not in {f"engine_{name}" for name in ENGINES} and path.parent.name != "speed":
            assert not compared.search(path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize("longest, n_problems", [(255, 0), (256, 1)])
def test_the_engine_vllm_checks_that_a_prompt_has_room_in_max_model_len(longest, n_problems):
    entry = {"engine": "vllm", "sampling": {"max_new_tokens": longest}, "vllm": {"max_model_len": 256}}
    problems = engine_vllm.check(entry)
    assert len(problems) == n_problems
    assert all("(256) leaves no room for a prompt in vllm.max_model_len (256)" in problem for problem in problems)
