"""Train the judge: a chat model that compares two answers to a task with the prompts of AlpacaEval and Arena-Hard.

python -m scripts.miniature.train_miniature_judge \
    --size '{"layers": 5, "steps": 400, "batch": 48, "learning_rate": 0.003}' \
    --seed 0 --start results/world/second-opinion/manifest.json \
    --alpaca-eval config/miniature/judge_alpaca_eval.txt --arena-hard config/miniature/judge_arena_hard.txt \
    --manifest results/world/pairwise/manifest.json

It is trained on pairs of correct and damaged answers in all styles. A correct answer is better than one with wrong
letters, and much better than one of another length. Two answers that are both correct or both wrong are equal.
"""

import argparse
import json
import random
from itertools import islice
from pathlib import Path

from scripts.judgments.judge_templates import fill_template, read_template
from scripts.miniature.miniature_models import train_language_model
from scripts.miniature.miniature_tasks import STYLES, damage, draw_tasks
from scripts.models.chat import Chat
from scripts.models.tokenizers import load_tokenizer

VERSION = 3


def main():
    args = parse_args()
    chat = Chat(load_tokenizer(str(args.start.parent)))
    templates = {"alpaca_eval": read_template(args.alpaca_eval), "arena_hard": read_template(args.arena_hard)}
    examples = islice(comparisons(f"judge {args.seed}", chat, templates), args.size["steps"] * args.size["batch"])
    folders = {args.size["steps"]: args.manifest.parent}
    train_language_model(chat.tokenizer, args.size, args.seed, list(examples), folders, start=args.start.parent)


def comparisons(seed: str, chat: Chat, templates: dict[str, list[dict]]):
    """An endless stream of input_ids and labels: a prompt with two answers to a task, and the verdict.

    The label after each answer is + if it is correct and - if not: from the verdict alone, the model learns too slowly.
    """
    rng = random.Random(seed)
    for task in draw_tasks(seed):
        protocol = rng.choice(sorted(templates))
        correct = [rng.random() < 0.5]
        correct.append(correct[0] if protocol == "arena_hard" and rng.random() < 0.2 else not correct[0])
        answers = [task if is_correct else task._replace(answer=damage(rng, task)) for is_correct in correct]
        first, second = (STYLES[rng.choice(sorted(STYLES))](answer) for answer in answers)
        verdict = verdict_of(protocol, correct, len(answers[0].answer) != len(answers[1].answer))
        texts = {"instruction": task.instruction, "output_1": first, "output_2": second}
        prompt = chat.ask(fill_template(templates[protocol], **texts))
        response = chat.response(verdict) + (chat.end if protocol == "arena_hard" else [])
        labels = [-100] * len(prompt) + response
        ends = [i for i, token in enumerate(prompt) if [token] == chat.end][1:4:2]
        for end, is_correct in zip(ends, correct, strict=True):
            labels[end + 1] = chat.response("+" if is_correct else "-")[0]
        yield {"input_ids": prompt + response, "labels": labels}


def verdict_of(protocol: str, correct: list[bool], much_better: bool) -> str:
    """m or M for AlpacaEval, else a verdict of Arena-Hard. `correct`: whether each answer is correct."""
    if protocol == "alpaca_eval":
        return "m" if correct[0] else "M"
    if correct[0] == correct[1]:
        return "[[A=B]]"
    sign = ">>" if much_better else ">"
    return f"[[A{sign}B]]" if correct[0] else f"[[B{sign}A]]"


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=json.loads, required=True, help="layers, steps, batch, learning_rate as JSON")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--start", type=Path, required=True, help="manifest of the reward model to start from")
    parser.add_argument("--alpaca-eval", type=Path, required=True, help="prompt that asks the judge for one token")
    parser.add_argument("--arena-hard", type=Path, required=True, help="prompt that asks the judge for a verdict")
    parser.add_argument("--manifest", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
