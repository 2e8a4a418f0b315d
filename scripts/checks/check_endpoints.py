r"""Ask each endpoint of a study one small question, as its jobs will ask it: one line per problem, all at once.

python -m scripts.checks.check_endpoints \
    --endpoints '{"teachers.gpt": {"model": {"engine": "openai", "model": "gpt-5"}, "sampling": {}}}' \
    --asked results/mine/checks/asked --output results/mine/checks/endpoints.json

So a wrong address, key or model name, a setting that the endpoint refuses, or log-probabilities that it does not send
are found before anything is paid. A judge compares or grades short answers in its template; if its output cannot be
read as a verdict, that is reported and is not a problem. What an endpoint answered is kept in the folder --asked, and
it is not asked again until its entry changes: a server that has done its work may be stopped.
"""

import argparse
import json
from importlib import import_module
from pathlib import Path

from scripts.configuration.config_engines import engine_module
from scripts.configuration.entries import ENGINE_KEYS, api_settings, filled_entry
from scripts.judgments.comparisons import PAIRWISE
from scripts.judgments.graded_answers import GRADING
from scripts.judgments.judge_requests import GREEDY
from scripts.judgments.judge_templates import fill_template, read_template
from scripts.tables.digests import digest
from scripts.tables.text_files import write_json

TEACHER = {"id": "check", "instruction": "Reply with one word: yes"}
JUDGE = {"instruction": "How many legs does a spider have?", "output_1": "A spider has eight legs.", "output_2": "Six."}
JUDGE |= {"output": JUDGE["output_1"], "reference": "Eight."}
JUDGING = PAIRWISE | GRADING
PATIENCE = {"timeout_s": 120, "retries": 2}  # at most


def main():
    args = parse_args()
    facts, problems = {}, []
    for place, endpoint in args.endpoints.items():
        facts[place], problem = ask_once(endpoint, args.api, args.asked)
        problems += [f"{place}: {problem}"] if problem else []
    if problems:
        raise SystemExit("\n".join(problems))
    write_json(facts, args.output)
    print(json.dumps(facts, indent=2))


def ask_once(endpoint: dict, api: dict, asked: Path) -> tuple[dict, str | None]:
    """What an endpoint answered, now or in an earlier check, and what is wrong with it."""
    spec, row = question(endpoint)
    kept = asked / f"{digest([spec, row])}.json"
    if kept.exists():
        return json.loads(kept.read_text(encoding="utf-8")), None
    engine = import_module(engine_module(spec["engine"]))
    if problems := engine.check(spec):
        return {}, "; ".join(problems)
    patience = {name: min(api[name], most) for name, most in PATIENCE.items()}
    [result] = engine.load({**spec, "api": {**api, **patience, "concurrency": 1}})([row], spec["sampling"])
    if isinstance(result, Exception):
        return {}, f"{spec['model']}: {result}"
    facts = facts_of(result, endpoint)
    asked.mkdir(parents=True, exist_ok=True)
    write_json(facts, kept)
    return facts, None


def question(endpoint: dict) -> tuple[dict, dict]:
    """The engine's settings, and the row that it is asked."""
    if "protocol" not in endpoint:
        model = filled_entry(endpoint["model"], "answering_model", *ENGINE_KEYS)
        return {**model, "sampling": filled_entry(endpoint["sampling"], "sampling")}, TEACHER
    model = filled_entry(endpoint["model"], "language_judge", *ENGINE_KEYS)
    sampling = GREEDY | filled_entry(endpoint["sampling"], "judge_sampling") | JUDGING[endpoint["protocol"]].sampling
    messages = fill_template(read_template(Path(*endpoint["judge_templates"])), **JUDGE)
    return {**model, "sampling": sampling}, {"id": "check", "messages": messages}


def facts_of(result: dict, endpoint: dict) -> dict:
    """What is worth knowing about a result: its text, its tokens and dollars, whether a judge's verdict can be read."""
    facts = {"model": endpoint["model"]["model"], "answer": (result["text"] or "")[:200], "reason": result["reason"]}
    facts |= {name: result[name] for name in ("n_tokens", "usd")}
    if "protocol" in endpoint:
        output = {"second_text": None, "logprobs": None, "cut": result["finish_reason"] == "length", **result}
        facts["verdict_read"] = JUDGING[endpoint["protocol"]].read(output) is not None
    return facts


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--endpoints",
        type=json.loads,
        required=True,
        help="place in the config to model, sampling and, of a judge, protocol and judge_templates, as JSON",
    )
    parser.add_argument("--api", type=api_settings, default="{}", help="section api as JSON")
    parser.add_argument("--asked", type=Path, required=True, help="folder with what endpoints answered")
    parser.add_argument("--output", type=Path, required=True, help="JSON, written if nothing is wrong")
    return parser.parse_args()


if __name__ == "__main__":
    main()
