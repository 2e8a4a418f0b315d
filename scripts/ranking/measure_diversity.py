r"""How much a teacher's responses repeat each other: the compressed size that each adds to all before it.

python -m scripts.ranking.measure_diversity \
    --teacher terse-large --responses results/miniature/responses/terse-large.parquet \
    --output results/miniature/diversity/terse-large.parquet

The responses, in the order of the instructions, go through one deflate stream with a window of 32 KB, as in gzip.
n_bytes / deflated_bytes is the compression ratio, a measure of the diversity of texts (Shaib et al., Standardizing the
Measurement of Text Diversity, 2403.00553). Both are stored per row, so that the ratio can be computed for any subset of
the instructions.
"""

import argparse
import zlib
from pathlib import Path

import polars as pl

from scripts.tables.files import check_rows, read_table, write_table


def main():
    args = parse_args()
    responses = read_table(args.responses, columns=["id", "teacher", "response", "reason"])
    usable = pl.when(pl.col("reason").is_null()).then(pl.col("response"))
    diversity = responses.with_columns(usable.str.len_bytes().cast(pl.Int64).alias("n_bytes")).select(
        "id",
        pl.lit(args.teacher).alias("teacher"),
        "n_bytes",
        pl.Series("deflated_bytes", added_bytes(responses.select(usable).to_series()), pl.Int64),
        "reason",
    )
    check_rows(diversity, responses["id"].to_list(), value="deflated_bytes")
    write_table(diversity, args.output)
    print(f"{args.teacher}: {diversity['n_bytes'].sum()} bytes, {diversity['deflated_bytes'].sum()} compressed")


def added_bytes(texts: pl.Series) -> list[int | None]:
    """The bytes that each text adds to the deflate stream of the texts before it; None for a null."""
    stream = zlib.compressobj()
    stream.flush(zlib.Z_PARTIAL_FLUSH)  # the header belongs to no text
    return [
        None if text is None else len(stream.compress(text.encode())) + len(stream.flush(zlib.Z_PARTIAL_FLUSH))
        for text in texts
    ]


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", required=True, help="name of the teacher in the config")
    parser.add_argument("--responses", type=Path, required=True, help="parquet of the teacher's responses")
    parser.add_argument("--output", type=Path, required=True, help="parquet of bytes per row")
    return parser.parse_args()


if __name__ == "__main__":
    main()
