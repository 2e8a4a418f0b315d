r"""Write the report of a study: one HTML file without external files or scripts, the answer first.

python -m scripts.report.write_report --study miniature --config results/miniature/config.yaml \
    --tables results/miniature/tables/*.csv --metrics results/miniature/metrics/*/*.parquet \
    --instructions results/miniature/instructions.parquet --responses results/miniature/responses/*.parquet \
    --set-aside results/miniature/set_aside/instructions.parquet --spent results/miniature/spent_usd.txt \
    --timings results/miniature/timings --output results/miniature/report.html

Every number on the page is from the tables: exact in the attribute `value`, rounded in the text. Tables that were
computed from another ranking are left out, and named. Texts by models are data: the template escapes them, and the
page's security policy forbids scripts and requests.
"""

import argparse
from pathlib import Path

import yaml

from scripts.report.markup import environment
from scripts.report.present_tables import present_tables
from scripts.report.report_figures import figures_of_metrics
from scripts.report.report_provenance import costs, git_commit, models_of, versions
from scripts.report.report_rows import reasons_of, samples
from scripts.report.report_sections import about_base, about_costs, about_judged_pairs, variants_of
from scripts.tables.identity import digest_of
from scripts.tables.text_files import write_text


def main():
    args = parse_args()
    config = yaml.safe_load(args.config.read_text(encoding="utf-8"))
    tables, left_out = present_tables(args.tables)
    variants = variants_of(config["teachers"])
    page = environment(Path(__file__).parent).get_template("report.html.jinja")
    text = page.render(
        study=args.study,
        ranking=digest_of(next(path for path in args.tables if path.stem == "teachers")),
        left_out=left_out,
        car=config["car"],
        unpaired=config["compare"] == "unpaired",
        bases=[about_base(base, tables, variants) for base in tables["sample_size"]["base"]],
        response_costs=about_costs(tables),
        samples=samples(args.instructions, args.responses, tables["teachers"]),
        reasons=reasons_of(args.metrics, args.set_aside),
        figures_of_metrics=figures_of_metrics(tables),
        **about_judged_pairs(tables, config["car"]),
        models=models_of(config),
        costs=costs(args.timings),
        spent=args.spent.read_text(encoding="utf-8").strip() if args.spent.exists() else None,
        config=args.config.read_text(encoding="utf-8"),
        versions=versions(),
        commit=git_commit(Path(__file__).parent),
    )
    write_text(text, args.output)
    print(f"{args.output}: {len(text.encode()) / 1e6:.2f} MB")


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", required=True, help="name of the study")
    parser.add_argument("--config", type=Path, required=True, help="the study's configuration with its defaults")
    parser.add_argument("--tables", type=Path, nargs="+", required=True, help="CSV; for a ranking without those of AP")
    parser.add_argument("--metrics", type=Path, nargs="+", required=True, help="parquet, one per base and teacher")
    parser.add_argument(
        "--instructions", type=Path, nargs="+", required=True, help="parquet of all teachers, or one for each of them"
    )
    parser.add_argument("--responses", type=Path, nargs="+", required=True, help="parquet, one per ranked teacher")
    parser.add_argument("--set-aside", type=Path, nargs="+", required=True, help="parquet of unused instructions")
    parser.add_argument("--spent", type=Path, required=True, help="file with the dollars spent; may not exist")
    parser.add_argument("--timings", type=Path, required=True, help="folder of Snakemake's benchmark files")
    parser.add_argument("--output", type=Path, required=True, help="HTML")
    return parser.parse_args()


if __name__ == "__main__":
    main()
