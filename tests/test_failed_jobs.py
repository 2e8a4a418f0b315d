"""A failed run ends with the last lines of every log of its failed jobs."""

from pathlib import Path

import yaml

from conftest import ROOT, link_workflow, snakemake
from scripts.jobs.failed_jobs import end_of

SNAKEFILE = """
import logging
from scripts.jobs.failed_jobs import FailedJobs

failed_jobs = FailedJobs()
logging.getLogger("snakemake.logging").addHandler(failed_jobs)

onerror:
    print(failed_jobs.ends_of_logs())

rule all:
    input: "out/x-7.txt", "out/restarted.txt", "out/silent.txt"

rule two_logs:
    output: "out/{name}-{n}.txt"
    log: "logs/{name} {n}.log", "logs/{name}-{n}-second.log"
    shell: "for i in $(seq 20); do echo line $i; done >{log[0]:q}; echo '50%| 5/10 row/s]' >>{log[0]:q}; "
        "echo cause >{log[1]}; exit 1"

rule restarted:
    output: "out/restarted.txt"
    log: "logs/restarted.log"
    retries: 1
    shell: "test -e tried && touch {output} || {{ touch tried; exit 1; }}"

rule silent:
    output: "out/silent.txt"
    log: "logs/silent.log"
    shell: "exit 1"
"""


def test_every_log_of_a_failed_job_is_shown_under_its_rule_and_wildcards(tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    done = snakemake("--cores", "1", "--keep-going", cwd=tmp_path)
    assert done.returncode == 1
    last = "\n".join(f"  line {i}" for i in range(9, 21))  # twelve, without the progress bar
    assert f"\ntwo_logs name=x n=7 failed. The end of logs/x 7.log:\n{last}\n" in done.stdout
    assert "\ntwo_logs name=x n=7 failed. The end of logs/x-7-second.log:\n  cause\n" in done.stdout
    assert "\nsilent failed. The end of logs/silent.log:\n  (empty: was the job killed, or did it" in done.stdout
    assert (tmp_path / "out/restarted.txt").exists() and "restarted failed" not in done.stdout


def test_a_log_that_a_cluster_did_not_write_is_named():
    assert end_of(Path("logs/none.log")) == "Its log logs/none.log: no such file"


def test_a_failed_run_shows_the_end_of_each_failed_jobs_log_with_the_cause(tmp_path):
    link_workflow(tmp_path)
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    config["study"], config["instructions"] = (
        "broken",
        {"path": "questions.csv", "columns": {"instruction": "question"}},
    )
    (tmp_path / "questions.csv").write_text("prompt\nWhy?\n")
    (tmp_path / "broken.yaml").write_text(yaml.safe_dump(config))
    done = snakemake("results/broken/instructions.parquet", "--cores", "1", "--configfile", "broken.yaml", cwd=tmp_path)
    assert done.returncode == 1
    end = done.stdout.partition(
        "prepare_instructions failed. The end of results/broken/logs/prepare_instructions.log:"
    )[2]
    assert "questions.csv: no column question; it has prompt" in end
