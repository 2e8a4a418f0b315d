"""The judge protocols: what the configuration, the rules and the plan need to know about each.

A new protocol needs an entry here, its name in config/schema.yaml, and scripts with rules to judge and to score. If
judge_pairs judges it, it also needs an entry in PAIRWISE of scripts/judgments/comparisons.py.
"""

from typing import NamedTuple


class Protocol(NamedTuple):
    """One way to judge answers. Numbers of prompts and tokens are for `plan`, which replaces them by what exists."""

    judge: str | None  # kind of entry in `judges`: language model | reward model; None: reference answers decide
    judged_by: str  # rule, and script in scripts/judgments/
    scored_by: str  # rule, and script in scripts/scores/
    scores: tuple[str, ...]  # names of the scores, as in `ap: [benchmark.score]`
    length_controlled: tuple[str, ...] = ()  # scores of a benchmark with `length_control`; empty: it is not allowed
    of_turns: tuple[str, ...] = ()  # scores of prompts of several turns (also turn_3 ...); empty: they are not allowed
    of_prompts: bool = False  # whether each prompt has a value in the judgments, whose mean the score is
    baseline: bool = True  # whether answers are compared with those of a baseline
    n_prompts: int = 1000
    tokens_read: int = 0  # by a language model as judge, per prompt or turn, all comparisons together
    tokens_written: int = 0


PROTOCOLS = {
    "alpaca_eval": Protocol(
        judge="language model",
        judged_by="judge_pairs",
        scored_by="score_alpaca_eval",
        scores=("wr", "length_only"),
        length_controlled=("wr", "lc"),
        n_prompts=805,
        tokens_read=1500,
        tokens_written=1,
    ),
    "arena_hard": Protocol(
        judge="language model",
        judged_by="judge_pairs",
        scored_by="score_arena_hard",
        scores=("wr",),
        n_prompts=500,
        tokens_read=4000,
        tokens_written=1200,
    ),
    "arena_hard_v2": Protocol(
        judge="language model",
        judged_by="judge_pairs",
        scored_by="score_arena_hard_v2",
        scores=("wr", "style_controlled"),
        n_prompts=500,
        tokens_read=5000,
        tokens_written=1600,
    ),
    "label": Protocol(
        judge="language model",
        judged_by="judge_pairs",
        scored_by="score_label",
        scores=("wr",),
        tokens_read=3000,
        tokens_written=1000,
    ),
    "grade": Protocol(
        judge="language model",
        judged_by="judge_grades",
        scored_by="score_grade",
        scores=("grade",),
        of_turns=("grade", "turn_1", "turn_2"),
        of_prompts=True,
        baseline=False,
        n_prompts=80,
        tokens_read=1500,
        tokens_written=300,
    ),
    "reward": Protocol(
        judge="reward model",
        judged_by="judge_reward",
        scored_by="score_judgments",
        scores=("wr",),
        of_prompts=True,
    ),
    "exact": Protocol(
        judge=None,
        judged_by="judge_exact",
        scored_by="score_judgments",
        scores=("wr", "accuracy"),
        of_prompts=True,
    ),
}


def judge_template_of(benchmark: dict) -> str:
    """The file with the prompt of a benchmark's judge."""
    return benchmark.get("judge_template", f"config/judges/{benchmark['protocol']}.txt")
