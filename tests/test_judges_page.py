"""docs/judges.md: its recipe for a judge on Slurm starts a judge that jobs find, with their own key."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest

import slurm_cluster
from conftest import ROOT
from test_documentation import TEXTS

# in the place of vLLM: `vllm serve MODEL --port PORT`
VLLM = f"""\
#!{sys.executable}
import os, sys, time
sys.path.insert(0, "{ROOT}/tests")
from fault_server import FaultServer
from judge_server import Judge

class WithKey(Judge):
    def parse_request(self):
        known = super().parse_request() and self.headers["Authorization"] == "Bearer " + os.environ["VLLM_API_KEY"]
        return known or self.send(401, {{}})

    def do_GET(self):
        self.send(200, {{"data": [{{"id": sys.argv[2]}}]}})

time.sleep(0.5)  # weights are loaded
FaultServer(WithKey, int(sys.argv[sys.argv.index("--port") + 1]))
time.sleep(80)
"""
STUBS = {"vllm": VLLM, "hostname": "#!/bin/sh\necho localhost\n"}
SBATCH = '#!/bin/sh\nbash "$1" & echo $! > judge.pid\n'


def follow_the_recipe(folder, stubs: dict, check: str) -> dict:
    """Run the commands of the page, with stubs of programs, and then `check`; what it finds out about the judge."""
    script, commands = re.findall(r"^```sh\n(.*?)^```$", TEXTS["docs/judges.md"], flags=re.M | re.S)
    smaller = script.replace("--gpus=4 --mem=64G", "--gpus=1 --mem=1G")
    judge = {"engine": "openai", "model": re.search(r"vllm serve (\S+)", script)[1]}
    judge |= {"openai": {"base_url": "${JUDGE_URL}", "api_key_env": "VLLM_API_KEY"}}
    template = f"{ROOT}/config/judges/alpaca_eval.txt"
    endpoints = {"b": {"model": judge, "protocol": "alpaca_eval", "sampling": {}, "judge_templates": [template]}}
    options = f"--endpoints '{json.dumps(endpoints)}' --asked {folder}/asked --output {folder}/facts.json"
    checking = f"#!/bin/sh\ncd {ROOT} && exec {sys.executable} -m scripts.checks.check_endpoints {options}\n"
    for name, text in {**stubs, "judge.sbatch": smaller, "check.sh": checking}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-c", commands + check], cwd=folder, env=environment, timeout=80, check=True)
    return json.loads((folder / "facts.json").read_text(encoding="utf-8"))["b"]


def test_the_recipe_for_slurm_starts_a_judge_that_is_found(tmp_path):
    try:
        facts = follow_the_recipe(tmp_path, STUBS | {"sbatch": SBATCH}, "./check.sh")
    finally:
        os.kill(int((tmp_path / "judge.pid").read_text()), signal.SIGTERM)
    assert facts["model"] == "meta-llama/Llama-3.3-70B-Instruct" and facts["verdict_read"]


@pytest.mark.slow
@pytest.mark.skipif(bool(slurm_cluster.missing()), reason=str(slurm_cluster.missing()))
def test_the_recipe_for_slurm_works_on_a_real_one(tmp_path):
    with slurm_cluster.cluster(tmp_path / "slurm"):
        facts = follow_the_recipe(tmp_path, STUBS, "sbatch --wait --mem=1G ./check.sh; scancel --name judge")
    assert facts["verdict_read"]
