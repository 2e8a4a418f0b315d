"""Write the configuration of a study, with every default, next to its results: with it the study can be repeated.

python -m scripts.configuration.save_config \
    --config '{"study": "miniature", ...}' --output results/miniature/config.yaml
"""

import argparse
import json
from pathlib import Path

import yaml

from scripts.tables.text_files import write_text


def main():
    args = parse_args()
    text = "# Written by the workflow. To repeat the study: snakemake --cores 2 --configfile this-file\n"
    text += yaml.safe_dump(args.config, sort_keys=True, allow_unicode=True, width=120)
    write_text(text, args.output)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=json.loads, required=True, help="the configuration as JSON")
    parser.add_argument("--output", type=Path, required=True, help="YAML")
    return parser.parse_args()


if __name__ == "__main__":
    main()
