"""Duplicate keys, of which PyYAML silently takes the last one, and keys that it does not read as text."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from scripts.configuration.schema import LOADER

MERGE = "tag:yaml.org,2002:merge"  # <<: *anchor
TEXT = "tag:yaml.org,2002:str"
KINDS = {"int": "a number", "float": "a number", "bool": "true or false", "null": "null", "timestamp": "a date"}


def wrong_keys_of_files(paths: Iterable[Path | str]) -> list[str]:
    """One line per wrong key of these files, with the file and the line number."""
    here = Path.cwd()
    shown = {path: path.relative_to(here) if path.is_relative_to(here) else path for path in map(Path, paths)}
    return [line for path in shown for line in wrong_keys(path.read_text(encoding="utf-8"), str(shown[path]))]


def wrong_keys(text: str, source: str) -> list[str]:
    """One line per wrong key of a YAML text, with its line number. source: the name of the file, for the lines."""
    try:
        root = yaml.compose(text, LOADER)
    except yaml.YAMLError:  # the values are read elsewhere, which reports it
        return []
    found = sorted((line_of(key), problem) for key, problem in walk(root, set()))
    return [f"{source}, line {line}: {problem}" for line, problem in found]


def walk(node: yaml.Node | None, seen: set[int]) -> Iterator[tuple[yaml.Node, str]]:
    """Each wrong key below a node, and what is wrong with it. seen: nodes to skip, since aliases repeat a node."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from walk(item, seen)
    if isinstance(node, yaml.MappingNode):
        yield from wrong_in(node)
        for _, value in node.value:
            yield from walk(value, seen)


def wrong_in(node: yaml.MappingNode) -> Iterator[tuple[yaml.Node, str]]:
    """The wrong keys of one section."""
    first: dict[str, yaml.Node] = {}
    for key, _ in node.value:
        if key.tag == TEXT and key.value in first:
            line = line_of(first[key.value])
            yield key, f"{key.value} is already defined in line {line}: rename or delete one of the two"
        elif key.tag == TEXT:
            first[key.value] = key
        elif key.tag != MERGE:
            kind = KINDS.get(key.tag.rpartition(":")[2], "something else than text")
            yield key, f"the key {key.value} is read as {kind}: put it in quotes"


def line_of(node: yaml.Node) -> int:
    return node.start_mark.line + 1
