"""Fill in the defaults of a configuration and check it, before any job: one line per problem.

python -m scripts.configuration.check_config --config config/config.yaml
"""

import argparse
from pathlib import Path

from scripts.configuration.command_line import merge
from scripts.configuration.config_files import missing_files
from scripts.configuration.config_pilots import wrong_pilots
from scripts.configuration.config_references import default_ap, wrong_references
from scripts.configuration.config_values import fill_candidates, fill_gpus_of_endpoints, wrong_values
from scripts.configuration.included import include_files, read_config
from scripts.configuration.schema import fill_defaults, schema_errors
from scripts.configuration.schema_messages import describe
from scripts.configuration.yaml_keys import wrong_keys_of_files


def main():
    args = parse_args()
    config = {}
    for path in args.config:
        merge(config, read_config(path))
    problems = wrong_keys_of_files(args.config) or include_files(config) or fill_and_check(config)
    if problems:
        raise SystemExit("\n".join(problems))


def fill_and_check(config: dict) -> list[str]:
    """One line per problem. Sets the defaults of config/schema.yaml in the configuration, and with them checks it.

    A configuration that the schema refuses is neither filled nor checked further, unless it only has unknown keys.
    """
    errors = schema_errors(config)
    problems = [line for error in errors for line in describe(error)]
    if any(error.validator != "additionalProperties" for error in errors):
        return problems
    fill_gpus_of_endpoints(config)
    fill_defaults(config)
    config["ap"] = config["ap"] or default_ap(config)
    fill_candidates(config)
    return [
        *problems,
        *wrong_references(config),
        *missing_files(config),
        *wrong_values(config),
        *wrong_pilots(config),
    ]


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, nargs="+", required=True, help="files of a study, merged in this order")
    return parser.parse_args()


if __name__ == "__main__":
    main()
