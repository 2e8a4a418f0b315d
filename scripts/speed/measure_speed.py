"""Measure each stage on this machine, and a straightforward implementation of the same work for comparison.

python -m scripts.speed.measure_speed --output results/speed.csv

speed.csv: stage, sizes, way (the implementation), seconds and peak_mib (memory beyond that before the work). The row of
this workflow also has ratio and memory_ratio (the straightforward implementation / this one) and difference (the
largest relative difference of their results). Each implementation runs in a new process, one at a time. With a GPU,
fine-tuning of models of published shapes is also measured: tokens_per_second counts tokens without padding, mfu is the
share of the GPU's peak that their FLOP use.
"""

import argparse
import multiprocessing
import os
import re
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl
import torch

from scripts.plan.plan_costs import PEAK
from scripts.speed.speed_answers import answering
from scripts.speed.speed_finetuning import SHAPES, finetuning, real_shape
from scripts.speed.speed_scoring import head, likelihoods, rewards
from scripts.speed.speed_tables import importing, joining
from scripts.tables.files import write_table

MINIATURE = {"hidden": 96, "layers": 3, "rows": 1024, "answers": 1, "spread": 0.0}
LARGER = {"hidden": 320, "layers": 8, "rows": 96, "answers": 6, "spread": 0.3}  # 10 M parameters, 150 tokens a row
MIXED = {"hidden": 128, "layers": 4, "rows": 512, "answers": 6, "spread": 0.9}
PAPER = {"teachers": 19, "rows": 100_000}
PROMPTS = {"hidden": 320, "layers": 8, "rows": 512, "new_tokens": 32}
ENGINES = [engine for engine in ("transformers", "vllm") if find_spec(engine)]
BATCHES = ("grouped", "a row at a time")
STAGES = [  # name, function, sizes, implementation of this workflow, straightforward implementation
    ("likelihoods", likelihoods, MINIATURE, *BATCHES),
    ("likelihoods, longer rows", likelihoods, LARGER, *BATCHES),
    ("rewards", rewards, MINIATURE, *BATCHES),
    ("rewards, longer rows", rewards, LARGER, *BATCHES),
    ("head", head, {"tokens": 4096, "vocabulary": 256_000, "hidden": 256}, "chunked", "all logits"),
    *(("fine-tuning", finetuning, MIXED | {"seed": seed}, "grouped", "padded") for seed in range(3)),
    ("import", importing, PAPER | {"characters": 400}, "polars", "pandas"),
    ("join and rank", joining, PAPER | {"reward_models": 3}, "polars", "pandas"),
    *((f"answers, {engine}", answering, PROMPTS | {"engine": engine}, "start", "decode") for engine in ENGINES),
]


def main():
    args = parse_args()
    stages = [stage for stage in STAGES if args.only is None or stage[0].startswith(args.only)]
    rows = [row for stage in stages for row in compare(*stage)]
    if torch.cuda.is_available() and args.only is None:
        rows += [row for shape in SHAPES for row in finetune_shape(shape, rows=256, longest=4096)]
    write_table(pl.DataFrame(rows, infer_schema_length=None), args.output)


def compare(name: str, stage, sizes: dict, ours: str, plain: str) -> list[dict]:
    """Two rows of speed.csv: this workflow's implementation of a stage and the straightforward one."""
    fast, slow = (in_new_process(stage, method, **sizes) for method in (ours, plain))
    comparison = {"ratio": slow["seconds"] / fast["seconds"]}
    if fast["values"]:
        comparison["memory_ratio"] = slow["peak_mib"] / fast["peak_mib"]
        differences = np.abs(np.subtract(fast["values"], slow["values"])) / np.maximum(np.abs(slow["values"]), 1e-9)
        comparison["difference"] = float(differences.max())
    sizes_text = ", ".join(f"{key} {value}" for key, value in sizes.items())
    rows = []
    for method, result in ((ours, fast), (plain, slow)):
        seconds, mib = result["seconds"], result["peak_mib"]
        print(f"{name}, {method}: {seconds:.2f} s, {mib:.0f} MiB", *result["values"][:1], flush=True)
        rows.append({"stage": name, "sizes": sizes_text, "way": method, "seconds": seconds, "peak_mib": mib})
    print(f"  {sizes_text}: " + ", ".join(f"{key} {value:.3g}" for key, value in comparison.items()), flush=True)
    return [rows[0] | comparison, rows[1]]


def finetune_shape(shape: str, rows: int, longest: int) -> list[dict]:
    """A row for fine-tuning a model of a published shape on this GPU; no row if it does not fit.

    peak_mib includes the weights and the optimizer's state.
    """
    try:
        result = in_new_process(real_shape, shape, rows=rows, longest=longest)
    except torch.OutOfMemoryError:
        print(f"fine-tuning, {shape}: does not fit into this GPU", flush=True)
        return []
    parameters, tokens, flop, mib = result["values"]
    seconds, name = result["seconds"], torch.cuda.get_device_name()
    peak = peak_of(name)
    row = {"stage": f"fine-tuning, {shape}", "way": name, "seconds": seconds, "peak_mib": mib}
    row |= {"sizes": f"parameters {parameters}, rows {rows}, longest {longest}, tokens {tokens}"}
    row |= {"tokens_per_second": tokens / seconds, "mfu": flop / seconds / peak if peak else None}
    print(row, flush=True)
    return [row]


def peak_of(name: str) -> float | None:
    """Peak FLOP per second in bfloat16 of a GPU by its driver's name; None for a GPU that is not in PEAK."""
    words = re.split(r"[\s-]+", name.lower().replace("rtx ", "rtx"))
    return next((PEAK[word] for word in words if word in PEAK), None)


def in_new_process(stage, method: str, **sizes) -> dict:
    """seconds, peak_mib and values of one implementation, in a new process and a temporary folder."""
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process,
    ):
        return process.submit(measure, folder, stage, method, sizes).result()


def measure(folder: str, stage, method: str, sizes: dict) -> dict:
    """seconds, peak_mib and values, in this process. The preparation by `stage` is not measured."""
    tempfile.tempdir = folder
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    work = stage(method, **sizes)
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # resets the peak VmHWM
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated() / 2**20 if on_gpu else memory("VmRSS")
    start = time.perf_counter()
    values = work()
    seconds = time.perf_counter() - start
    peak = torch.cuda.max_memory_allocated() / 2**20 if on_gpu else memory("VmHWM")
    return {"seconds": seconds, "peak_mib": peak - before, "values": values}


def memory(field: str) -> float:
    """A field of /proc/self/status in MiB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    (line,) = [line for line in lines if line.startswith(field)]
    return int(line.split()[1]) / 1024


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="only stages whose name starts with this")
    parser.add_argument("--output", type=Path, required=True, help="CSV, one row per stage and implementation")
    return parser.parse_args()


if __name__ == "__main__":
    main()
