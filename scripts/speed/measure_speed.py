"""Measure each stage on this machine against the plain way of doing the same, in one run.

python -m scripts.speed.measure_speed --output results/speed.csv

speed.csv: stage, sizes, way, seconds, peak_mib (memory beyond what stood when the work began), and beside the way of
this workflow ratio (the other way's seconds to its own), memory_ratio and difference (the largest relative one between
the results of the two). Every way runs alone, in a process of its own. With a GPU, fine-tuning of models of published
shapes is measured too: tokens_per_second counts real tokens, mfu is the share of the GPU's peak that their FLOP take.
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
ALL = {"teachers": 19, "rows": 100_000}
ASKED = {"hidden": 320, "layers": 8, "rows": 512, "new_tokens": 32}
ENGINES = [engine for engine in ("transformers", "vllm") if find_spec(engine)]
LOOP = ("grouped", "a row at a time")
STAGES = [  # name, what is done, sizes, the way of this workflow, the plain way
    ("likelihoods", likelihoods, MINIATURE, *LOOP),
    ("likelihoods, longer rows", likelihoods, LARGER, *LOOP),
    ("rewards", rewards, MINIATURE, *LOOP),
    ("rewards, longer rows", rewards, LARGER, *LOOP),
    ("head", head, {"tokens": 4096, "vocabulary": 256_000, "hidden": 256}, "chunked", "all logits"),
    *(("fine-tuning", finetuning, MIXED | {"seed": seed}, "grouped", "padded") for seed in range(3)),
    ("import", importing, ALL | {"characters": 400}, "polars", "pandas"),
    ("join and rank", joining, ALL | {"reward_models": 3}, "polars", "pandas"),
    *((f"answers, {engine}", answering, ASKED | {"engine": engine}, "start", "decode") for engine in ENGINES),
]


def main():
    args = parse_args()
    chosen = [stage for stage in STAGES if args.only is None or stage[0].startswith(args.only)]
    rows = [row for stage in chosen for row in compare(*stage)]
    if torch.cuda.is_available() and args.only is None:
        rows += [row for shape in SHAPES for row in of_shape(shape, rows=256, longest=4096)]
    write_table(pl.DataFrame(rows, infer_schema_length=None), args.output)


def compare(name: str, stage, sizes: dict, ours: str, plain: str) -> list[dict]:
    """Both ways of a stage, and how they compare; ours first."""
    fast, slow = (alone(stage, way, **sizes) for way in (ours, plain))
    told = {"stage": name, "sizes": ", ".join(f"{key} {value}" for key, value in sizes.items())}
    against = {"ratio": slow["seconds"] / fast["seconds"]}
    if fast["values"]:
        against["memory_ratio"] = slow["peak_mib"] / fast["peak_mib"]
        apart = np.abs(np.subtract(fast["values"], slow["values"])) / np.maximum(np.abs(slow["values"]), 1e-9)
        against["difference"] = float(apart.max())
    for way, did in ((ours, fast), (plain, slow)):
        print(f"{name}, {way}: {did['seconds']:.2f} s, {did['peak_mib']:.0f} MiB", *did["values"][:1], flush=True)
    print(f"  {told['sizes']}: " + ", ".join(f"{key} {value:.3g}" for key, value in against.items()), flush=True)
    return [
        told | {"way": way, "seconds": did["seconds"], "peak_mib": did["peak_mib"], **further}
        for way, did, further in ((ours, fast, against), (plain, slow, {}))
    ]


def of_shape(shape: str, rows: int, longest: int) -> list[dict]:
    """Fine-tuning a model of a published shape on the GPU that is there; nothing where it does not fit.

    peak_mib is that of all, the weights and the optimizer's state included.
    """
    try:
        did = alone(real_shape, shape, rows=rows, longest=longest)
    except torch.OutOfMemoryError:
        print(f"fine-tuning, {shape}: does not fit into this GPU", flush=True)
        return []
    parameters, tokens, flop, mib = did["values"]
    name = torch.cuda.get_device_name()
    peak = peak_of(name)
    told = {"stage": f"fine-tuning, {shape}", "way": name, "seconds": did["seconds"], "peak_mib": mib}
    told |= {"sizes": f"parameters {parameters}, rows {rows}, longest {longest}, tokens {tokens}"}
    told |= {"tokens_per_second": tokens / did["seconds"], "mfu": flop / did["seconds"] / peak if peak else None}
    print(told, flush=True)
    return [told]


def peak_of(name: str) -> float | None:
    """FLOP per second in bfloat16 of a GPU by the name its driver gives it; None where it is not known."""
    words = re.split(r"[\s-]+", name.lower().replace("rtx ", "rtx"))
    return next((PEAK[word] for word in words if word in PEAK), None)


def alone(stage, way: str, **sizes) -> dict:
    """seconds, peak_mib and values of one way in a new process, from which nothing stays."""
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process,
    ):
        return process.submit(measured, folder, stage, way, sizes).result()


def measured(folder: str, stage, way: str, sizes: dict) -> dict:
    """What `alone` gives, in this process. Loading and making what is worked on does not count."""
    tempfile.tempdir = folder
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    work = stage(way, **sizes)
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the high-water mark begins anew
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
    """A line of /proc/self/status in MiB."""
    (line,) = [
        line for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines() if line.startswith(field)
    ]
    return int(line.split()[1]) / 1024


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="the stages whose name begins so")
    parser.add_argument("--output", type=Path, required=True, help="CSV, one row per stage and way")
    return parser.parse_args()


if __name__ == "__main__":
    main()
