"""Train the reward model: a classifier with one output that prefers correct answers to damaged ones, in any style.

python -m scripts.miniature.train_miniature_reward_model --size '{"steps": 200, "batch": 32, "learning_rate": 0.001}' \
    --seed 0 --start results/world/terse-large/manifest.json --manifest results/world/right-answer/manifest.json
"""

import argparse
import json
import random
from itertools import islice
from pathlib import Path

import datasets
import transformers
from transformers import LlamaForSequenceClassification
from trl import RewardConfig, RewardTrainer

from scripts.miniature.miniature_models import save, trainer_settings
from scripts.miniature.miniature_tasks import STYLES, damage, draw_tasks
from scripts.models.chat import Chat
from scripts.models.tokenizers import load_tokenizer

VERSION = 3


def main():
    args = parse_args()
    tokenizer = load_tokenizer(str(args.start.parent))
    folder = args.manifest.parent
    scratch = folder.with_name(f".{folder.name}.tmp")
    pairs = islice(preference_pairs(f"reward {args.seed}", Chat(tokenizer)), args.size["steps"] * args.size["batch"])
    transformers.set_seed(args.seed)
    model = LlamaForSequenceClassification.from_pretrained(args.start.parent, num_labels=1)
    settings = RewardConfig(**trainer_settings(args.size, args.seed, scratch), center_rewards_coefficient=0.01)
    data = datasets.Dataset.from_list(list(pairs))
    RewardTrainer(model=model, args=settings, train_dataset=data, processing_class=tokenizer).train()
    save(model, tokenizer, scratch, folder)


def preference_pairs(seed: str, chat: Chat):
    """An endless stream of token ids of a correct answer (chosen) and a damaged one (rejected) to the same task."""
    rng = random.Random(seed)
    for task in draw_tasks(seed):
        style = STYLES[rng.choice(sorted(STYLES))]
        wrong = task._replace(answer=damage(rng, task))
        yield {
            "chosen_ids": chat.conversation(task.instruction, style(task)),
            "rejected_ids": chat.conversation(task.instruction, style(wrong)),
        }


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=json.loads, required=True, help="steps, batch, learning_rate as JSON")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--start", type=Path, required=True, help="manifest of the chat model to start from")
    parser.add_argument("--manifest", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
