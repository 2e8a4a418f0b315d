r"""Scores of each pair from the numbers of lm-evaluation-harness (protocol `lm_eval`).

python -m scripts.tasks.score_tasks --benchmark knowledge --pairs alpha/terse-large --scale 100 \
    --evaluations results/mine/evaluations/knowledge/alpha/terse-large.json \
    --outputs results/mine/scores/knowledge/alpha/terse-large.json

A score is named task:metric, or task:metric:filter if the task has filters. Values and standard errors are those of
lm_eval, multiplied by `scale`; the interval is 1.96 standard errors. n: documents of each task. Metrics of which less
is better, such as perplexity, are no scores. Exits if a score is above 100: it is no share.
"""

import argparse
import json
from pathlib import Path

from scripts.jobs.aligned import aligned
from scripts.scores.no_score import NO_SCORE
from scripts.scores.score_file import write_score
from scripts.tasks.known_tasks import score_name


def main():
    args = parse_args()
    found = {path: json.loads(path.read_text(encoding="utf-8")) for path in args.evaluations}
    scores = {path: scores_of(evaluation, args.scale) for path, evaluation in found.items()}
    refuse_large(scores, args.benchmark)
    names = {name for of_pair in scores.values() for name in of_pair}
    for pair, path, output in aligned(args, "pairs", "evaluations", "outputs"):
        base, _, teacher = pair.partition("/")
        own = {"benchmark": args.benchmark, "base": base, "teacher": teacher, "baseline": None, "judge": "lm_eval"}
        missing = dict.fromkeys(sorted(names - set(scores[path])), NO_SCORE)
        fields = {**facts_of(found[path]), **scores[path], **missing}
        reason = found[path].get("reason")
        write_score(argparse.Namespace(**own, judgments=None, output=output), fields, reason)


def scores_of(evaluation: dict, scale: float) -> dict[str, dict]:
    """Name to value, se and ci of each score of a pair; none if it was not evaluated."""
    scores = {}
    for task, numbers in evaluation.get("tasks", {}).items():
        results, better = numbers["results"][task], numbers["higher_is_better"].get(task, {})
        for key, value in results.items():
            metric, comma, filtered = key.partition(",")
            if comma and not metric.endswith("_stderr") and better.get(metric) is not False:
                scores[score_name(task, metric, filtered)] = score(
                    value, results.get(f"{metric}_stderr,{filtered}"), scale
                )
    return scores


def score(value, error, scale: float) -> dict:
    """value, se and ci. lm_eval writes N/A where it has no standard error."""
    value = scale * value
    if not isinstance(error, int | float):
        return {"value": value, "se": None, "ci": None}
    return {"value": value, "se": scale * error, "ci": [value - 1.96 * scale * error, value + 1.96 * scale * error]}


def refuse_large(scores: dict[Path, dict], benchmark: str) -> None:
    """Exit naming the scores that are no percentages for a pair."""
    above = {name for of_pair in scores.values() for name, score in of_pair.items() if score["value"] > 100}
    if above:
        raise SystemExit(
            f"benchmarks.{benchmark}.scale: with it these scores are above 100: {', '.join(sorted(above))}: give their "
            "tasks a benchmark of their own with `scale: 1`"
        )


def facts_of(evaluation: dict) -> dict:
    """Documents of each task, and what else its numbers depend on."""
    tasks = evaluation.get("tasks", {})
    counts = {
        task: sum(count["effective"] for count in numbers["n-samples"].values()) for task, numbers in tasks.items()
    }
    shots = {task: numbers["n-shot"].get(task) for task, numbers in tasks.items()}
    return {"n": counts, "n_shot": shots, "lm_eval": evaluation.get("lm_eval")}


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark", required=True, help="name of the benchmark in the config")
    parser.add_argument("--pairs", nargs="+", required=True, help="base/teacher, by their names in the config")
    parser.add_argument("--scale", type=float, default=100, help="what lm_eval's numbers are multiplied by")
    parser.add_argument("--evaluations", type=Path, nargs="+", required=True, help="JSON of numbers, one per pair")
    parser.add_argument("--outputs", type=Path, nargs="+", required=True, help="JSON of the scores, one per pair")
    return parser.parse_args()


if __name__ == "__main__":
    main()
