"""What a table was computed from: tables of one name whose sources differ are never joined.

A parquet file has it in its metadata: of `model <name>`, `gradients <name>`, `lalp <name>`, `reward model <name>` and
`judge` the key under which their rows are stored, of the files `responses`, `prompts` and `baseline` the SHA-256. A CSV
has it in its column `computed_from`. A table that does not say it, imported or written by an older version, fits every
other.
"""

import json
from pathlib import Path

import polars as pl
import pyarrow.parquet

from scripts.tables.digests import sha256

COLUMN = "computed_from"
LIKELIHOODS = "score_likelihoods score_reference_likelihoods"
REWARDS = "score_rewards score_rewards_apart"
REMAKE = {"model": LIKELIHOODS, "reward": REWARDS, "responses": f"{LIKELIHOODS} {REWARDS} import_rewards"}
REMAKE["responses"] += " select_rewards measure_diversity"
REMAKE |= {"gradients": "score_gradients", "lalp": "score_lalp"}
JUDGMENTS = "judge_exact judge_grades judge_pairs judge_reward"


def identity_of(path: Path) -> dict[str, str]:
    """What a parquet file of write_table was computed from: source to digest; empty if it does not say."""
    metadata = pyarrow.parquet.read_schema(path).metadata or {}
    return json.loads(metadata.get(COLUMN.encode(), b"{}"))


def common_identity(paths: list[Path], *but: str) -> dict[str, str]:
    """What parquet files that are joined were computed from, see refuse_different; without the sources in `but`."""
    known = {path: identity_of(path) for path in paths}
    return refuse_different({path: {k: v for k, v in known[path].items() if k not in but} for path in paths})


def refuse_different(identities: dict[Path, dict[str, str]]) -> dict[str, str]:
    """Source to digest over all tables. Exits naming the first two tables that have a different digest of a source."""
    found: dict[str, tuple[Path, str]] = {}
    for path, identity in identities.items():
        for source, digest in identity.items():
            other, known = found.setdefault(source, (path, digest))
            if digest != known:
                rules = REMAKE.get(source.split()[0], JUDGMENTS)
                raise SystemExit(
                    f"{other} and {path} were computed from a different {source}: it has changed in between; run the "
                    f"same command with --forcerun {rules}: finished rows are found, only others are computed"
                )
    return {source: digest for source, (_, digest) in found.items()}


def with_sources(table: pl.DataFrame, *paths: Path) -> pl.DataFrame:
    """The table with a column that identifies the CSV files that it was computed from, by their names and content."""
    sources = " ".join(f"{path.stem}:{digest_of(path)}" for path in paths)
    return table.with_columns(pl.lit(sources).alias(COLUMN))


def digest_of(path: Path) -> str:
    """The start of a file's SHA-256, enough to tell versions of one table apart."""
    return sha256(path)[:16]


def sources_of(table: pl.DataFrame) -> dict[str, str]:
    """Name to digest of the CSV files that a table was computed from; empty if it does not say."""
    if COLUMN not in table.columns or not table.height:
        return {}
    return dict(part.split(":") for part in table[COLUMN][0].split())
