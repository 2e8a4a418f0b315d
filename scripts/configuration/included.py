"""A configuration that is built on others: `include: [config/paper.yaml]`."""

import copy
from pathlib import Path

import yaml

from scripts.configuration.command_line import merge
from scripts.configuration.schema import LOADER
from scripts.configuration.yaml_keys import wrong_keys_of_files


def include_files(config: dict) -> list[str]:
    """Put the files that `include` names beneath a configuration, and remove the key; one line per problem.

    Later files win, and the configuration itself wins over all of them. An entry or section of an included file is
    deleted by null; another value is replaced by null, as by any value. Paths are relative to the repository.
    """
    try:
        whole, files = with_included(config, ())
    except SystemExit as problem:
        return [str(problem)]
    config.clear()
    config.update(whole)
    return wrong_keys_of_files(files)


def with_included(config: dict, within: tuple[str, ...]) -> tuple[dict, list[str]]:
    """The configuration on what it includes, and the paths of all included files. Exits naming a path."""
    whole, files = {}, []
    paths = config.get("include", [])
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise SystemExit("include: a list of files is needed, such as [config/paper.yaml]")
    for path in paths:
        if path in within:
            raise SystemExit(f"include: {' includes '.join([*within, path])}: a circle")
        included, further = with_included(read_config(Path(path)), (*within, path))
        merge(whole, included)
        files += [path, *further]
    merge(whole, copy.deepcopy({key: value for key, value in config.items() if key != "include"}))
    return whole, files


def read_config(path: Path) -> dict:
    """The configuration in a YAML file. Exits naming the path and the problem."""
    try:
        config = yaml.load(path.read_text(encoding="utf-8"), LOADER)
    except (OSError, UnicodeDecodeError) as error:
        raise SystemExit(f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise SystemExit(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(config, dict):
        raise SystemExit(f"{path}: no configuration: there are no keys at its top level")
    return config
