"""Which teacher should this base model learn from?

snakemake plan    the jobs that are left and their cost: GPU-hours, dollars, disk space
snakemake speed   the speed of each stage on this machine, compared with a plain implementation of the same
snakemake check   checks every model, key, folder and table of the config, and computes nothing
snakemake rank    rewards and likelihoods of each teacher's responses, CAR, a ranking of teachers for each base model
snakemake pilots  small trainings at growing sizes: which teacher will be the best at the size that you train on
snakemake all     also fine-tunes and judges every pair, and shows how well each metric predicted the scores
snakemake paper_table   what follows from the paper's own tables: results/paper-table/tables
snakemake evidence      what public tables say of each metric: results/evidence/evidence.html

All read config/config.yaml. A file given with --configfile replaces it.
"""

import logging
import os
import sys
from pathlib import Path

if workflow.is_main_process and not os.path.samefile(workflow.basedir, "."):
    sys.exit(f"the workflow runs in its own folder, and writes into its results/: cd {workflow.basedir}")

if not workflow.overwrite_configfiles:

    # a file given with --configfile replaces the default one; without this condition, Snakemake merges the two
    configfile: "config/config.yaml"


sys.path.insert(0, workflow.basedir)
from snakemake.settings.enums import Quietness

from scripts.configuration.config_files import unmade_files
from scripts.jobs.failed_jobs import FailedJobs
from scripts.jobs.fork_server import start_fork_server, without_gpus
from scripts.jobs.progress import Progress
from scripts.jobs.reused_results import notice_of_reuse, record_code
from scripts.jobs.run_lock import hold_run_lock
from scripts.jobs.stopping import end_jobs_when_stopped


include: "rules/configuration.smk"


CODE_RECORD = Path(f"{RESULTS}/rows/code.json")


pathvars:
    results=RESULTS,


resource_scopes:
    gpu="local",


wildcard_constraints:
    teacher=one_of(config["teachers"]),
    base=one_of(config["bases"]),
    reward_model=one_of(config["reward_models"]),
    reference_model=one_of(config["reference_models"]),
    benchmark=one_of(config["benchmarks"]),
    run=f"({one_of(FURTHER_RUNS)})?",


include: "rules/miniature.smk"
include: "rules/checks.smk"
include: "rules/instructions.smk"
include: "rules/responses.smk"
include: "rules/rewards.smk"
include: "rules/likelihoods.smk"
include: "rules/gradients.smk"
include: "rules/mixes.smk"
include: "rules/finetuning.smk"
include: "rules/answers.smk"
include: "rules/judgments.smk"
include: "rules/scores.smk"
include: "rules/tasks.smk"
include: "rules/ranking.smk"
include: "rules/correlations.smk"
include: "rules/datasets.smk"
include: "rules/paper_table.smk"
include: "rules/report.smk"
include: "rules/evidence.smk"


if "pilots" in config:

    include: "rules/pilots.smk"


include: "rules/plan.smk"
include: "rules/speed.smk"


if missing := unmade_files(config, lambda path: any(rule.is_producer(path) for rule in workflow.rules)):
    sys.exit("\n".join(["The configuration cannot be used:", *missing]))

if workflow.is_main_process and (note := notice_of_reuse(CODE_RECORD)):
    print(note, file=sys.stderr)

if workflow.remote_exec:
    os.environ.update(DEVICES_ASSIGNED="yes")  # by the cluster

failed_jobs = FailedJobs()
logging.getLogger("snakemake.logging").addHandler(failed_jobs)
if Quietness.ALL in (workflow.output_settings.quiet or []):
    logging.getLogger("snakemake.logging").addHandler(Progress())


onstart:
    jobs = list(workflow.dag.needrun_jobs())
    if {job.rule.name for job in jobs} - {"plan", "speed"}:  # these change no results
        hold_run_lock(Path(".snakemake/run.lock"))
    record_code(costly_scripts(jobs), CODE_RECORD)
    refuse_more_gpus_than_given(jobs)
    if workflow.local_exec:
        end_jobs_when_stopped()
    if workflow.local_exec and loads_models_often(jobs) and "FORK_SERVER" not in os.environ and without_gpus():
        start_fork_server()


onerror:
    print(failed_jobs.ends_of_logs(), file=sys.stderr)


RANKING = [
    *(["<results>/checks/imports.json"] if PAIRED_IMPORTS else []),
    "<results>/tables/teachers.csv",
    "<results>/tables/stability.csv",
    "<results>/tables/sample_size.csv",
    "<results>/tables/sensitivity.csv",
    "<results>/tables/scores.csv",
    "<results>/tables/seams.csv",
    "<results>/tables/response_costs.csv",
    *expand("<results>/datasets/{base}/README.md", base=BASES),
]


localrules:
    all,
    rank,
    pilots,
    check,
    paper_table,
    evidence,
    plan,
    speed,


rule all:
    default_target: True
    input:
        checks("all"),
        endpoint_checks("all"),
        task_checks(),
        checks("all") and "<results>/checks/disk.json",
        RANKING,
        # without a protocol, a benchmark ends with the answers; without a benchmark, the study ends with the ranking
        expand("<results>/answers/{benchmark}/{run}.parquet", benchmark=UNJUDGED, run=RUNS),
        scores_of(WITH_SCORES),
        expand("<results>/tables/{table}.csv", table=TABLES if config["ap"] else []),
        "<results>/report.html" if config["ap"] else "<results>/ranking.html",


rule rank:
    input:
        checks("rank"),
        endpoint_checks("rank"),
        RANKING,
        "<results>/ranking.html",


rule pilots:
    input:
        checks("all"),
        endpoint_checks("all"),
        lambda wildcards: pilots_page(),


rule check:
    input:
        facts=checks("all"),
        endpoints=endpoint_checks("all"),
        tasks=task_checks(),
        scores=scores_of(TABULATED),
        disk=checks("all") and "<results>/checks/disk.json",
        sources=SOURCES and "<results>/checks/sources.json",
    log:
        "<results>/logs/check.log",
    conda:
        "envs/analysis.yaml"
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.checks.print_checks \
            --facts {input.facts:q} --endpoints {input.endpoints:q} --tasks {input.tasks:q} --disk {input.disk:q} \
            --sources {input.sources:q} 2>{log:q}
        """
