r"""How much a teacher's responses repeat each other: the compressed size that each adds to all before it.

python -m scripts.ranking.measure_diversity \
    --teachers terse-large terse-small --responses results/miniature/responses/terse-{large,small}.parquet \
    --outputs results/miniature/diversity/terse-{large,small}.parquet

The responses, joined in the order of the instructions, are compressed as one text by deflate, with a window of 32 KB,
as in gzip. n_bytes / deflated_bytes is the compression ratio, a measure of the diversity of texts (Shaib et al.,
Standardizing the Measurement of Text Diversity, 2403.00553). A row's deflated_bytes is the compressed size of the text
that ends with it minus that of the text before it. So the ratio does not depend on where rows end, and can be computed
for any subset of the instructions.
"""

import argparse
import zlib
from pathlib import Path

import polars as pl

from scripts.jobs.aligned import aligned
from scripts.tables.digests import sha256
from scripts.tables.files import check_rows, read_table, write_table


def main():
    args = parse_args()
    for files in aligned(args, "teachers", "responses", "outputs"):
        measure(*files)


def measure(teacher: str, responses: Path, output: Path) -> None:
    """Write the bytes that each response of a teacher has and adds."""
    answers = read_table(responses, columns=["id", "teacher", "response", "reason"])
    usable = pl.when(pl.col("reason").is_null()).then(pl.col("response"))
    diversity = answers.with_columns(usable.str.len_bytes().cast(pl.Int64).alias("n_bytes")).select(
        "id",
        pl.lit(teacher).alias("teacher"),
        "n_bytes",
        pl.Series("deflated_bytes", added_bytes(answers.select(usable).to_series()), pl.Int64),
        "reason",
    )
    check_rows(diversity, answers["id"].to_list(), value="deflated_bytes")
    write_table(diversity, output, {"responses": sha256(responses)})
    print(f"{teacher}: {diversity['n_bytes'].sum()} bytes, {diversity['deflated_bytes'].sum()} compressed")


def added_bytes(texts: pl.Series) -> list[int | None]:
    """The bytes that each text adds to the compressed size of the texts before it, joined; None for a null.

    A block of deflate may be encoded better with more text in it, so that a short text may add nothing.
    """
    stream, written, before, added = zlib.compressobj(), 0, len(zlib.compress(b"")), []
    for text in texts:
        if text is None:
            added.append(None)
            continue
        written += len(stream.compress(text.encode()))
        size = written + len(stream.copy().flush())  # the end is flushed in a copy: the stream goes on
        added.append(size - before)
        before = size
    return added


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teachers", nargs="+", required=True, help="names of the teachers in the config")
    parser.add_argument("--responses", type=Path, nargs="+", required=True, help="parquet, one per teacher")
    parser.add_argument("--outputs", type=Path, nargs="+", required=True, help="parquet of bytes, one per teacher")
    return parser.parse_args()


if __name__ == "__main__":
    main()
