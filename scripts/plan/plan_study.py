"""What is left to do of a study, and what it will cost, before anything runs: `snakemake plan`.

python -m scripts.plan.plan_study --config '{"study": "paper", ...}' --configfile config/paper.yaml

Jobs are those that a dry run of Snakemake names, so that what is finished is not counted again. Their tokens follow
from the configuration and from what exists (instructions, prompts, responses); what is assumed is printed. Once jobs
of a rule have run here, their timings take the place of the GPU's peak for the other jobs of that rule, and it is told
when the study will be done.
"""

import argparse
import json
import re
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from scripts.plan.plan_costs import Cost
from scripts.plan.planned_jobs import Study

JOB = re.compile(r"^(?:local)?rule (\w+):\n((?:    .*\n)+)", flags=re.M)


def main():
    args = parse_args()
    study = Study(args.config)
    options = config_options(args)
    everything = dry_run(options, "all", "--forceall")
    speed = calibration(study, everything)
    left = {target: dry_run(options, target) for target in ("rank", "all")}
    costs = {target: [(job, calibrated(study, job, speed)) for job in jobs] for target, jobs in left.items()}
    print_plan(study, costs, speed)


def config_options(args) -> list[str]:
    """Snakemake's options for the same configuration; the last ones of a command, since they take several values."""
    files, settings = args.configfile, args.settings
    return [*(["--configfile", *files] if files else []), *(["--config", *settings] if settings else [])]


def dry_run(options: list[str], *arguments: str) -> list[dict]:
    """rule, wildcards, timing file and number of GPUs of every job that Snakemake would start."""
    command = ["snakemake", "-n", *arguments, *options]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    jobs = []
    for rule, body in JOB.findall(done.stdout):
        wildcards = re.search(r"^    wildcards: (.*)$", body, flags=re.M)
        timing = re.search(r"^    benchmark: (.*)$", body, flags=re.M)
        gpus = re.search(r"^    resources: .*\bgpu=(\d+)", body, flags=re.M)
        pairs = [pair.split("=", 1) for pair in wildcards[1].split(", ")] if wildcards else []
        told = {"timing": timing[1] if timing else None, "gpus": int(gpus[1]) if gpus else 0}
        jobs.append({"rule": rule, **told, **dict(pairs)})
    return jobs


def calibration(study: Study, jobs: list[dict]) -> dict[str, tuple[float, int]]:
    """Rule to how many times longer than reckoned its jobs took here, and how many have run."""
    took: dict[str, list[tuple[float, float]]] = {}
    for job in jobs:
        reckoned = study.cost(job).seconds
        if reckoned and job["timing"] and Path(job["timing"]).exists():
            seconds = pl.read_csv(job["timing"], separator="\t")["s"].mean()
            took.setdefault(job["rule"], []).append((seconds * max(job["gpus"], 1), reckoned))
    return {rule: (sum(s for s, _ in pairs) / sum(r for _, r in pairs), len(pairs)) for rule, pairs in took.items()}


def calibrated(study: Study, job: dict, speed: dict) -> Cost:
    cost = study.cost(job)
    cost.seconds *= speed.get(job["rule"], (1, 0))[0]
    return cost


def print_plan(study: Study, costs: dict, speed: dict) -> None:
    print(f"\nWhat is left of {study.config['study']}, on {study.gpu}")
    print_stages({target: by_rule(jobs) for target, jobs in costs.items()})
    print("The dearest jobs")
    for job, cost in sorted(costs["all"], key=lambda pair: -pair[1].seconds - pair[1].usd)[:5]:
        who = " ".join(str(value) for key, value in job.items() if key not in ("rule", "timing", "gpus"))
        print(f"  {job['rule']} {who}: {cost.seconds / 3600:.2f} GPU-hours, {cost.usd:.0f} $")
    together = sum((cost for _, cost in costs["all"]), Cost())
    starts = sum(bool(cost.seconds) for _, cost in costs["all"])
    print(f"Checkpoints will take {together.bytes / 1e9:.1f} GB. Models are started {starts} times.")
    print("".join(f"Does not fit: {line}\n" for line in study.does_not_fit()), end="")
    for target in ("rank", "all") if speed else ():
        print(done_at(target, sum(cost.seconds for _, cost in costs[target]), datetime.now()))
    for rule, (ratio, n) in sorted(speed.items()):
        print(f"Measured: {rule} takes {ratio:.2g} times what was reckoned, in {n} jobs that have run")
    print(f"Assumed: {'; '.join(sorted(study.assumed))}. Your own figures go to `plan` in the configuration.")


def done_at(target: str, seconds: float, now: datetime) -> str:
    """When a target will be made, should one GPU do one job after the other from now on."""
    at = now + timedelta(seconds=seconds)
    return (
        f"ETA: {target} is done in {seconds / 3600:.1f} hours with one GPU, {at:%Y-%m-%d %H:%M}; with n, in 1/n of them"
    )


def by_rule(jobs: list[tuple[dict, Cost]]) -> dict[str, tuple[int, Cost]]:
    """Rule to the number of its jobs and what they cost together."""
    sums: dict[str, tuple[int, Cost]] = {}
    for job, cost in jobs:
        n, total = sums.get(job["rule"], (0, Cost()))
        sums[job["rule"]] = (n + 1, total + cost)
    return sums


def print_stages(sums: dict[str, dict[str, tuple[int, Cost]]]) -> None:
    """Jobs, GPU-hours and dollars of every stage, `rank` and `all` side by side."""
    columns = f"{'jobs':>8}{'GPU-hours':>12}{'$':>8}"
    print(f"  {'':28}{'rank':>28}{'all':>28}\n  {'':28}{columns}{columns}{'tokens':>10}{'FLOP':>10}")
    whole = sums["rank"] | sums["all"]
    named = sorted(whole, key=lambda rule: -whole[rule][1].seconds - whole[rule][1].usd)
    dear = [rule for rule in named if whole[rule][1].tokens]
    others = [rule for rule in named if rule not in dear]
    for name, rules in [*((rule, [rule]) for rule in dear), ("the others", others), ("together", named)]:
        cells = ""
        for target in ("rank", "all"):
            found = [sums[target][rule] for rule in rules if rule in sums[target]]
            total = sum((cost for _, cost in found), Cost())
            cells += f"{sum(n for n, _ in found):8}{total.seconds / 3600:12.2f}{total.usd:8.0f}"
        print(f"  {name:28}{cells}{total.tokens:10.1e}{total.flop:10.1e}")


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=json.loads, required=True, help="the configuration with its defaults, as JSON")
    parser.add_argument("--configfile", nargs="*", default=[], help="its file, where it is not the default one")
    parser.add_argument("--settings", nargs="*", default=[], help="key=value of --config, as Snakemake was given them")
    return parser.parse_args()


if __name__ == "__main__":
    main()
