"""Train the judge: a chat model that compares two answers to a task in the forms of AlpacaEval and of Arena-Hard.

python -m scripts.miniature.train_miniature_judge \
    --size '{"layers": 5, "steps": 800, "batch": 48, "learning_rate": 0.003}' \
    --seed 0 --start results/world/second-opinion/manifest.json --chat-template config/miniature/chat.jinja \
    --alpaca-eval config/miniature/judge_alpaca_eval.txt --arena-hard config/miniature/judge_arena_hard.txt \
    --manifest results/world/pairwise/manifest.json

It sees right and damaged answers in all styles. Of a right one and one with wrong letters the right one is better; of a
right one and the answer to another task, much better. Two of which neither or each is right are equal.
"""

import argparse
import json
import random
from itertools import islice
from pathlib import Path

from scripts.judgments.judge_templates import fill_template, read_template
from scripts.miniature.miniature_models import byte_tokenizer, train_language_model
from scripts.miniature.miniature_tasks import STYLES, damage, draw_tasks
from scripts.models.chat import Chat

VERSION = 1


def main():
    args = parse_args()
    chat = Chat(byte_tokenizer(args.chat_template.read_text(encoding="utf-8")))
    templates = {"alpaca_eval": read_template(args.alpaca_eval), "arena_hard": read_template(args.arena_hard)}
    examples = islice(comparisons(f"judge {args.seed}", chat, templates), args.size["steps"] * args.size["batch"])
    folder = args.manifest.parent
    train_language_model(chat.tokenizer, args.size, args.seed, list(examples), folder, start=args.start.parent)


def comparisons(seed: str, chat: Chat, templates: dict[str, list[dict]]):
    """An endless stream of input_ids and labels: two answers to a task, and what is to be said of them.

    Where an answer ends, the label is + or -, whether it is right: the verdict alone is learned far too slowly.
    """
    rng = random.Random(seed)
    for task in draw_tasks(seed):
        protocol = rng.choice(sorted(templates))
        right = [rng.random() < 0.5]
        right.append(right[0] if protocol == "arena_hard" and rng.random() < 0.2 else not right[0])
        answers = [task if is_right else task._replace(answer=damage(rng, task)) for is_right in right]
        first, second = (STYLES[rng.choice(sorted(STYLES))](answer) for answer in answers)
        said = say(protocol, right, len(answers[0].answer) != len(answers[1].answer))
        prompt = chat.ask(fill_template(templates[protocol], task.instruction, first, second))
        response = chat.response(said) + (chat.end if protocol == "arena_hard" else [])
        labels = [-100] * len(prompt) + response
        ends = [i for i, token in enumerate(prompt) if [token] == chat.end][1:4:2]
        for end, is_right in zip(ends, right, strict=True):
            labels[end + 1] = chat.response("+" if is_right else "-")[0]
        yield {"input_ids": prompt + response, "labels": labels}


def say(protocol: str, right: list[bool], far: bool) -> str:
    """m, M or a verdict. `far`: the answers differ even in length, so that the better one is much better."""
    if protocol == "alpaca_eval":
        return "m" if right[0] else "M"
    if right[0] == right[1]:
        return "[[A=B]]"
    sign = ">>" if far else ">"
    return f"[[A{sign}B]]" if right[0] else f"[[B{sign}A]]"


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=json.loads, required=True, help="layers, steps, batch, learning_rate as JSON")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--start", type=Path, required=True, help="manifest of the reward model to start from")
    parser.add_argument("--chat-template", type=Path, required=True)
    parser.add_argument("--alpaca-eval", type=Path, required=True, help="what the judge is asked for one token")
    parser.add_argument("--arena-hard", type=Path, required=True, help="what the judge is asked for a verdict")
    parser.add_argument("--manifest", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
