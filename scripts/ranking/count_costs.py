r"""What the responses of each teacher cost, and what they would cost for the whole data set.

python -m scripts.ranking.count_costs --paid '{"gpt": ["gpt"], "best-of-5": ["pool"]}' \
    --models '{"gpt": {"model": "gpt-5", "engine": "openai", "gpus": 0}, "pool": ...}' \
    --prices '{"gpt-5": {"input": 1.25, "output": 10}}' --gpu h100 --source '{"path": "mine.jsonl", ...}' \
    --all-instructions 100000 --instructions results/mine/instructions.parquet \
    --responses results/mine/responses/{gpt,pool}.parquet --output results/mine/tables/response_costs.csv

A selection costs what its pool costs, with every candidate; a mix what all its sources cost. Dollars are tokens times
the present price of an endpoint's model, or half of it with `openai: {batch: true}`. GPU-hours are the estimate of
`snakemake plan` for such a number of tokens, on one kind of GPU, so that teachers can be compared. What is not known is
null: dollars of a model without a price and of an import, GPU-hours of an endpoint, of a model whose size is not known
and of one without a GPU. Tokens that an endpoint did not report are estimated from the bytes of the texts, and
`estimated` is the share of such responses. If a sample was drawn, the whole data set has the rows of its local files,
else --all-instructions.
"""

import argparse
import json
from pathlib import Path

import polars as pl

from scripts.configuration.config_engines import is_endpoint, price_share
from scripts.engines.completions import BYTES_PER_TOKEN
from scripts.models.sizes import parameters_of
from scripts.plan.plan_costs import asking, generating
from scripts.plan.study_sizes import local_rows
from scripts.tables.files import read_table, write_table

COUNTED = {"responses": pl.Int64, "tokens_read": pl.Int64, "tokens_written": pl.Int64, "n_estimated": pl.Int64}
USAGE = ["id", "response", "n_tokens", "n_prompt_tokens"]
PAID = {"usd": pl.Float64, "gpu_hours": pl.Float64, "all_usd": pl.Float64, "all_gpu_hours": pl.Float64}


def main():
    args = parse_args()
    prompts = pl.concat([read_table(path, ["id", "instruction"]) for path in args.instructions])
    n_all = size_of(args.source, args.all_instructions, prompts.height)
    costs = {}
    for name, path in zip(args.models, args.responses, strict=True):
        usage = usage_of(read_table(path, USAGE), prompts)
        costs[name] = usage | costs_of(usage, args.models[name], args.prices, args.gpu, n_all / prompts.height)
    rows = [{"teacher": teacher, **total([costs.get(name) for name in paid])} for teacher, paid in args.paid.items()]
    table = pl.DataFrame(rows, schema={"teacher": pl.String} | COUNTED | PAID)
    estimated = (pl.col("n_estimated") / pl.col("responses")).alias("estimated")
    kept = ["teacher", "responses", "tokens_read", "tokens_written", estimated, "usd", "gpu_hours"]
    size = pl.lit(n_all if costs else None, pl.Int64).alias("all_instructions")
    write_table(table.select(*kept, size, "all_usd", "all_gpu_hours"), args.output)


def size_of(source: dict, assumed: int, prepared: int) -> int:
    """Instructions of the whole data set: all that are prepared if no `n` is drawn, else its rows or those assumed."""
    return (local_rows(source) or max(assumed, prepared)) if source["n"] else prepared


def usage_of(responses: pl.DataFrame, prompts: pl.DataFrame) -> dict:
    """The columns of COUNTED, over all responses of a teacher. prompts: id and instruction.

    A row without a text counts with the tokens that are reported for it: most such rows were never sent.
    """
    rows = responses.join(prompts, on="id", how="left", validate="m:1")
    written = pl.col("response").is_not_null()
    lacking = written & (pl.col("n_tokens").is_null() | pl.col("n_prompt_tokens").is_null())
    return rows.select(
        responses=pl.len(),
        tokens_read=pl.coalesce("n_prompt_tokens", pl.when(written).then(tokens_of("instruction")), 0).sum(),
        tokens_written=pl.coalesce("n_tokens", pl.when(written).then(tokens_of("response")), 0).sum(),
        n_estimated=lacking.sum(),
    ).row(0, named=True)


def tokens_of(column: str) -> pl.Expr:
    """An estimate of the tokens of a text from its bytes, rounded up as in the study's budget."""
    return (pl.col(column).str.len_bytes().cast(pl.Int64) + BYTES_PER_TOKEN - 1) // BYTES_PER_TOKEN


def costs_of(usage: dict, model: dict, prices: dict, gpu: str, times: float) -> dict:
    """The columns of PAID for a usage; those of the whole data set are for `times` as many tokens."""
    read, written = usage["tokens_read"], usage["tokens_written"]
    usd = gpu_hours = all_gpu_hours = None
    if is_endpoint(model):
        if price := prices.get(model["model"]):
            usd = asking(price, 1, read, written, price_share(model)).usd
    elif model["gpus"] and (size := parameters_of(model)):
        gpu_hours, all_gpu_hours = (generating(size, n * (read + written), gpu).seconds / 3600 for n in (1, times))
    all_usd = None if usd is None else usd * times
    return {"usd": usd, "gpu_hours": gpu_hours, "all_usd": all_usd, "all_gpu_hours": all_gpu_hours}


def total(costs: list[dict | None]) -> dict:
    """The sum of each column; null if one of the summands is not known."""
    columns = [*COUNTED, *PAID]
    known = {name: [cost[name] for cost in costs if cost and cost[name] is not None] for name in columns}
    return {name: sum(values) if len(values) == len(costs) else None for name, values in known.items()}


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--paid", type=json.loads, required=True, help="teacher to those whose responses were paid for it, as JSON"
    )
    parser.add_argument(
        "--models", type=json.loads, required=True, help="teacher to model, engine, gpus and parameters, as JSON"
    )
    parser.add_argument("--prices", type=json.loads, required=True, help="`api.prices` as JSON")
    parser.add_argument("--gpu", required=True, help="`plan.gpu` of the config")
    parser.add_argument("--source", type=json.loads, required=True, help="section instructions as JSON")
    parser.add_argument("--all-instructions", type=int, required=True, help="`plan.instructions` of the config")
    parser.add_argument("--instructions", type=Path, nargs="+", required=True, help="parquet with id and instruction")
    parser.add_argument("--responses", type=Path, nargs="*", default=[], help="parquet, one per entry of --models")
    parser.add_argument("--output", type=Path, required=True, help="CSV, one row per teacher")
    return parser.parse_args()


if __name__ == "__main__":
    main()
