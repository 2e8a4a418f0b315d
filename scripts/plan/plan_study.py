"""Print the remaining jobs of a study and their estimated cost, before anything runs: `snakemake plan`.

python -m scripts.plan.plan_study --config '{"study": "paper", ...}'

The jobs are those of a dry run of Snakemake, so finished jobs do not count. Their tokens follow from the configuration
and from existing files (instructions, prompts, responses); everything that is assumed is printed. After the first jobs
of a rule have run, their measured times correct the estimates for that rule, and the time of completion is printed.
"""

import argparse
import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from scripts.configuration.config_values import is_pool
from scripts.plan.dry_run import Job, dry_runs
from scripts.plan.gpu_memory import models_that_do_not_fit
from scripts.plan.plan_costs import Cost
from scripts.plan.planned_jobs import cost_of
from scripts.plan.study_sizes import Study

TARGETS = ("rank", "pilots", "all")


def main():
    study = Study(parse_args().config)
    targets = [name for name in TARGETS if name != "pilots" or "pilots" in study.config]
    runs = {target: [target] for target in targets}
    if (study.results / "timings").exists():
        runs["measured"] = [*targets[1:], "--forceall"]
    jobs = dict(zip(runs, dry_runs(with_every_pilot(study), list(runs.values())), strict=True))
    ratios = measured_ratios(study, jobs.get("measured", []))
    costs = {target: [(job, corrected_cost(study, job, ratios)) for job in jobs[target]] for target in targets}
    print_plan(study, costs, ratios)


def with_every_pilot(study: Study) -> dict:
    """The configuration without a race, whose end is not known; the same one if it has no pilots.

    Until the ranking is known, other teachers take the place of its first ones.
    """
    config = study.config
    if "pilots" not in config:
        return config
    pilots = config["pilots"] | {"race": False}
    chosen = all((study.results / f"pilots/{base}/teachers.json").exists() for base in config["bases"])
    if isinstance(pilots["teachers"], int) and not chosen:
        compared = [name for name, entry in config["teachers"].items() if entry["compare"] and not is_pool(entry)]
        pilots["teachers"] = sorted(compared)[: pilots["teachers"]]
        study.assumed.add(f"teachers of the pilots = {', '.join(pilots['teachers'])}, until they are ranked")
    return config | {"pilots": pilots}


def measured_ratios(study: Study, jobs: list[Job]) -> dict[str, tuple[float, int]]:
    """Rule to measured time / estimated time of its finished jobs, and how many there are."""
    times: dict[str, list[tuple[float, float]]] = {}
    for job in jobs:
        estimated = cost_of(study, job).seconds
        if estimated and job.timing and Path(job.timing).exists():
            seconds = pl.read_csv(job.timing, separator="\t")["s"].mean()
            times.setdefault(job.rule, []).append((seconds * max(job.gpus, 1), estimated))
    return {rule: (sum(m for m, _ in pairs) / sum(e for _, e in pairs), len(pairs)) for rule, pairs in times.items()}


def corrected_cost(study: Study, job: Job, ratios: dict[str, tuple[float, int]]) -> Cost:
    cost = cost_of(study, job)
    return replace(cost, jobs=1, seconds=cost.seconds * ratios.get(job.rule, (1, 0))[0])


def print_plan(study: Study, costs: dict[str, list[tuple[Job, Cost]]], ratios: dict[str, tuple[float, int]]) -> None:
    print(f"\nWhat is left of {study.config['study']}, on {study.gpu}")
    print_table({target: by_rule(of_target) for target, of_target in costs.items()})
    if "pilots" in costs:
        print(about_pilots(study, costs))
    print("Most expensive jobs")
    for job, cost in sorted(costs["all"], key=lambda pair: (-pair[1].expense, *pair[0].wildcards.values()))[:5]:
        name = " ".join([job.rule, *filter(None, job.wildcards.values())])
        print(f"  {name}: {cost.seconds / 3600:.2f} GPU-hours, {cost.usd:.0f} $")
    needed = sum(cost.bytes for _, cost in costs["all"]) / 1e9
    starts = sum(cost.seconds > 0 for _, cost in costs["all"])
    print(f"Disk space for checkpoints and responses: {needed:.1f} GB. Model starts: {starts}.")
    for line in models_that_do_not_fit(study):
        print(f"Does not fit: {line}")
    for target in costs if ratios else ():
        print(completion(target, sum(cost.seconds for _, cost in costs[target]), datetime.now()))
    for rule, (ratio, n) in sorted(ratios.items()):
        print(f"Measured: {rule} takes {ratio:.2g} times its estimate ({n} finished job{'' if n == 1 else 's'})")
    print(f"Assumed: {'; '.join(sorted(study.assumed)) or 'nothing'}.")
    print("To change an assumption, set `plan` in the configuration.")


def about_pilots(study: Study, costs: dict[str, list[tuple[Job, Cost]]]) -> str:
    """What the pilots that are left cost, beside the full study: all that no other target needs."""
    others = {output for target in ("rank", "all") for job, _ in costs[target] for output in job.outputs}
    own = [cost for job, cost in costs["pilots"] if not others.intersection(job.outputs)]
    part, whole = sum(cost.expense for cost in own), sum(cost.expense for _, cost in costs["all"])
    share = f"{part / whole:.1%} of what is left of `all`" if whole else "and nothing is left of `all`"
    end = ", if no teacher leaves the race" if study.config["pilots"]["race"] else ""
    return f"Pilots alone: {sum(cost.seconds for cost in own) / 3600:.2f} GPU-hours, {share}{end}."


def print_table(costs: dict[str, dict[str, Cost]]) -> None:
    """Jobs, GPU-hours and dollars per rule for each target; the tokens and FLOP of `all`, or else of the pilots."""
    expenses = {rule: cost.expense for of_target in costs.values() for rule, cost in of_target.items()}
    rules = sorted(expenses, key=lambda rule: -expenses[rule])
    expensive = [rule for rule in rules if any(of_target.get(rule, Cost()).tokens for of_target in costs.values())]
    others = [rule for rule in rules if rule not in expensive]
    columns = f"{'jobs':>8}{'GPU-hours':>12}{'$':>8}"
    heads = "".join(f"{target:>28}" for target in costs)
    print(f"  {'':28}{heads}\n  {'':28}{columns * len(costs)}{'tokens':>10}{'FLOP':>10}")
    for name, group in [*((rule, [rule]) for rule in expensive), ("other rules", others), ("total", rules)]:
        sums = [sum((of_target.get(rule, Cost()) for rule in group), Cost()) for of_target in costs.values()]
        cells = "".join(f"{cost.jobs:8}{cost.seconds / 3600:12.2f}{cost.usd:8.0f}" for cost in sums)
        shown = sums[-1] if sums[-1].tokens or len(sums) == 2 else sums[1]
        print(f"  {name:28}{cells}{shown.tokens:10.1e}{shown.flop:10.1e}")


def by_rule(costs: list[tuple[Job, Cost]]) -> dict[str, Cost]:
    """Rule to the sum of its jobs' costs."""
    sums: dict[str, Cost] = {}
    for job, cost in costs:
        sums[job.rule] = sums.get(job.rule, Cost()) + cost
    return sums


def completion(target: str, seconds: float, now: datetime) -> str:
    """When a target is finished if one GPU runs one job after the other from now on."""
    at = now + timedelta(seconds=seconds)
    return (
        f"ETA: {target} is finished in {seconds / 3600:.1f} hours with one GPU, at {at:%Y-%m-%d %H:%M}; "
        "with n GPUs, in 1/n of the time"
    )


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=json.loads, required=True, help="the configuration with its defaults, as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
