"""Check and measure on a GPU what the test suite cannot: precision, speed, memory, and a resumed fine-tuning.

python -m tests.gpu.measure --output figures.jsonl [--seconds 480] [--only likelihoods fine-tuning] [--tiny]

It needs this repository, torch, transformers, accelerate, peft, trl, datasets, polars, pyarrow and scipy, and no
network: models have random weights. Every figure is appended to the output as soon as it is known, as one JSON object
per line with card, versions and date. One line per step has its seconds and how it ended: `done`, `does not fit` (into
the memory of the GPU), `failed` (with the error) or `skipped`. A step that fails does not stop the others. No step
starts that would end after --seconds; steps that are not essential start only if the essential ones still fit. With
--tiny every step runs in small, on a CPU too: it shows that the program works, and its figures mean nothing.
"""

import os

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"}

import argparse
import gc
import json
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from transformers.utils import import_utils

from scripts.models.loading import device
from tests.gpu import resuming, scoring, training
from tests.gpu.shapes import FULL, PUBLISHED, SMALL, SMALLEST, Scale, synchronize, used_gib
from tests.gpu.training import END_TO_END

# examples in a forward pass whose activations should fit into 80 GB; Gemma 2 caps its attention, which FlashAttention
# cannot do
KEPT = {"qwen2-1.5b": 8, "qwen2.5-3b": 4, "llama-3.2-3b": 4}
PACKAGES = ("torch", "transformers", "trl", "accelerate", "peft", "liger-kernel", "triton", "polars", "datasets")


@dataclass(frozen=True)
class Step:
    """`run` yields figures; `seconds` is how long it may take on an H100, without the start of the program."""

    run: Callable[[Scale], Iterator[dict]]
    seconds: float
    essential: bool = True


def main():
    args = parse_args()
    warnings.filterwarnings("ignore")
    end, scale = time.monotonic() + args.seconds, SMALLEST if args.tiny else FULL
    steps = {name: step for name, step in all_steps().items() if name.startswith(tuple(args.only))}
    while steps:
        name, step = next(iter(steps.items()))
        del steps[name]
        later = 0 if step.essential else sum(other.seconds for other in steps.values() if other.essential)
        if not args.tiny and time.monotonic() + step.seconds + later > end:
            write(args.output, {"step": name, "ended": "skipped", "error": "no time left"})
            continue
        run(name, step, scale, args.output)
        if steps and not gpu_works():
            restart(args, end - time.monotonic(), list(steps))


def all_steps() -> dict[str, Step]:
    """All steps by name, in their order: is it right, is it fast, does it survive; then what may make it faster."""
    steps = {"machine": Step(machine, 5)}
    steps |= {f"likelihoods/{shape}": Step(partial(scoring.likelihoods_right, shape), 15) for shape in SMALL}
    steps["rewards/llama-3.2-1b"] = Step(partial(scoring.rewards_right, "llama-3.2-1b"), 12)
    steps |= {f"fine-tuning/{shape}": fine_tuning(shape, essential=True) for shape in PUBLISHED}
    steps |= likely_faster()
    steps |= {f"scoring speed/{shape}": Step(partial(scoring.likelihood_speed, shape), 10) for shape in PUBLISHED}
    steps["head"] = Step(scoring.head_memory, 5)
    steps["out of memory"] = Step(partial(scoring.halving, "qwen2.5-0.5b"), 12)
    steps["killed and resumed"] = Step(resuming.killed_and_resumed, 60)
    return steps | (with_kernels() if torch.cuda.is_available() else {}) | further()


def likely_faster() -> dict[str, Step]:
    """Activations that are kept, and rows end to end without padding: KEPT examples, or all 32, in a forward pass."""
    steps = {}
    for shape in PUBLISHED:
        steps[f"fine-tuning/{shape}/kept"] = fine_tuning(shape, gradient_checkpointing=False)
        if shape in KEPT:
            steps[f"fine-tuning/{shape}/kept, end to end"] = kept_end_to_end(shape, KEPT[shape])
            steps[f"fine-tuning/{shape}/end to end, 32"] = fine_tuning(shape, micro_batch_size=32, **END_TO_END)
    return steps


def further() -> dict[str, Step]:
    """One setting at a time on the smallest shape, and for Gemma 2 FlexAttention, which is compiled."""
    free = {"padding_free": True, "max_length": None}
    options = {
        "8 examples": {"micro_batch_size": 8},
        "sdpa, end to end": {"micro_batch_size": 8, "trl": free},
        "attention saved": {"trl": {"gradient_checkpointing_kwargs": {"selective": True}}},
        "eager attention": {"attention": "eager"},
    }
    if import_utils.is_flash_attn_2_available():
        options["flash attention"] = {"attention": "flash_attention_2"}
    steps = {f"fine-tuning/qwen2-1.5b/{name}": fine_tuning("qwen2-1.5b", **how) for name, how in options.items()}
    steps["fine-tuning/qwen2-1.5b/kept, end to end, 16"] = kept_end_to_end("qwen2-1.5b", 16)
    if torch.cuda.is_available():
        flex = fine_tuning("gemma-2-2b", 60, attention="flex_attention", micro_batch_size=8)
        steps["fine-tuning/gemma-2-2b/flex attention, 8"] = flex
    return steps


def with_kernels() -> dict[str, Step]:
    """Liger's kernels, which need a GPU."""
    liger, steps = {"use_liger_kernel": True}, {}
    for shape in PUBLISHED:
        kept = partial(fine_tuning, shape, gradient_checkpointing=False)
        steps[f"fine-tuning/{shape}/liger, kept"] = kept(trl=liger)
        if shape in KEPT:
            steps[f"fine-tuning/{shape}/liger, kept, end to end"] = kept_end_to_end(shape, KEPT[shape], **liger)
    return steps


def kept_end_to_end(shape: str, examples: int, **trl) -> Step:
    how = {"gradient_checkpointing": False, "micro_batch_size": examples, "attention": END_TO_END["attention"]}
    return fine_tuning(shape, **how, trl=END_TO_END["trl"] | trl)


def fine_tuning(shape: str, seconds: float = 10, essential: bool = False, **options) -> Step:
    return Step(partial(training.speed, shape, **options), seconds, essential)


def run(name: str, step: Step, scale: Scale, output: Path) -> None:
    """Write what a step yields, and how it ended; a step that takes far too long is ended, too."""
    start, outcome = time.monotonic(), {"ended": "done"}
    signal.signal(signal.SIGALRM, took_too_long)
    signal.alarm(600 if scale.tiny else round(30 + 3 * step.seconds))
    try:
        for figures in step.run(scale):
            write(output, {"step": name, **figures})
    except torch.OutOfMemoryError as error:
        outcome = {"ended": "does not fit", "error": str(error)[:300]}
    except (Exception, SystemExit):
        outcome = {"ended": "failed", "error": traceback.format_exc()[-1500:]}
    finally:
        signal.alarm(0)
    seconds = time.monotonic() - start
    gc.collect()
    if "torch._dynamo" in sys.modules:
        torch.compiler.reset()
    write(output, {"step": name, "seconds": seconds, **outcome, "gib_still_in_use": used_gib()})


def took_too_long(*_):
    raise TimeoutError("the step took too long")


def gpu_works() -> bool:
    """False after an error of the GPU that this process does not survive."""
    try:
        synchronize()
    except RuntimeError:
        return False
    return True


def restart(args: argparse.Namespace, seconds: float, names: list[str]) -> None:
    """Continue with the remaining steps in a new process."""
    command = [sys.executable, "-m", "tests.gpu.measure", "--output", str(args.output), "--seconds", str(int(seconds))]
    os.execv(sys.executable, [*command, *(["--tiny"] if args.tiny else []), "--only", *names])


def write(output: Path, figures: dict) -> None:
    """Append one line and flush it to the disk."""
    line = json.dumps(figures | context(), default=float)
    with open(output, "a", encoding="utf-8") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())
    print(json.dumps(figures, default=float), flush=True)


def context() -> dict:
    """Card, versions and time."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return {"card": card, "date": datetime.now(UTC).isoformat(timespec="seconds"), "versions": versions}


def machine(scale: Scale):
    """The card's own limits: a matrix product in bfloat16 and a copy; and the attention implementations it has."""
    n = 64 if scale.tiny else 8192
    a, b = (torch.randn(n, n, device=device(), dtype=torch.bfloat16) for _ in range(2))
    product = 2 * n**3 / median_seconds(lambda: a @ b)
    copied = torch.empty(16 * n * n, device=device(), dtype=torch.bfloat16)
    copy = 2 * copied.nbytes / median_seconds(copied.clone)
    flash = {f"flash_attention_{i}": getattr(import_utils, f"is_flash_attn_{i}_available")() for i in (2, 3)}
    yield {"product_flop_per_second": product, "copy_bytes_per_second": copy, "cuda": torch.version.cuda} | {
        "attention": {"flex_attention": import_utils.is_torch_flex_attn_available(), **flash},
        "memory_gib": torch.cuda.mem_get_info()[1] / 2**30 if torch.cuda.is_available() else None,
    }


def median_seconds(work: Callable, repeats: int = 10) -> float:
    seconds = []
    for _ in range(repeats + 2):
        synchronize()
        start = time.perf_counter()
        work()
        synchronize()
        seconds.append(time.perf_counter() - start)
    return sorted(seconds[2:])[repeats // 2]


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="file to which JSON lines are appended")
    parser.add_argument("--seconds", type=float, default=480, help="time for all steps, without the start")
    parser.add_argument("--only", nargs="+", default=[""], help="only steps whose name begins with one of these")
    parser.add_argument("--tiny", action="store_true", help="tiny shapes, to try the program on a CPU")
    return parser.parse_args()


if __name__ == "__main__":
    main()
