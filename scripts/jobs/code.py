"""What a script's results depend on: the code of all modules it imports, and the VERSIONs that they declare.

Jobs that cost seconds are rerun when their code changes. Those that cost GPU time or money are rerun when a VERSION
does, so that a refactoring recomputes nothing. Comments, docstrings and the layout of the code are no part of it.

To parse all modules takes a second, and each job of a cluster would do it again. So what is found in a module is kept
beside its bytecode, in __pycache__, for as long as its source is the same.
"""

import ast
import hashlib
import json
import os
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent.parent


@cache
def digest_of_code(script: str) -> str:
    """A digest of the code of a script (scripts.ranking.rank_teachers) and of the modules of scripts/ it imports."""
    digests = [found_in(module)["digest"] for module in modules_of(script)]
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:16]


@cache
def versions_of(*scripts: str) -> str:
    """The VERSIONs declared by the scripts and by the modules of scripts/ they import, as JSON: module to number."""
    modules = sorted({module for script in scripts for module in modules_of(script)})
    found = {module: found_in(module)["version"] for module in modules}
    return json.dumps({module: version for module, version in found.items() if version is not None})


@cache
def modules_of(script: str) -> list[str]:
    """A script and all modules of scripts/ that it imports, directly or through another one, in alphabetical order."""
    found, open_ = set(), [script]
    while open_:
        module = open_.pop()
        if module not in found:
            found.add(module)
            open_ += imports_of(module)
    return sorted(found)


@cache
def imports_of(module: str) -> list[str]:
    """The modules of scripts/ that a module itself imports, at its top or within a function."""
    within = [(whole, f"{whole}.{name}") for whole, name in found_in(module)["imports"]]
    return [module if path_of(module).exists() else whole for whole, module in within]  # a module, or a name in one


@cache
def found_in(module: str) -> dict:
    """What a module itself imports of scripts/, the digest of its code and its VERSION: kept, or else parsed."""
    path = path_of(module)
    depends_on = [Path(__file__).read_bytes(), sys.version.encode(), path.read_bytes()]
    source = hashlib.sha256(b"\0".join(depends_on)).hexdigest()
    kept = path.parent / "__pycache__" / f"{path.stem}.code.json"
    with suppress(OSError, ValueError):
        found = json.loads(kept.read_text(encoding="utf-8"))
        if found["source"] == source:
            return found
    version = declared(module, "VERSION", None)
    found = {"source": source, "imports": names_in(module), "version": version, "digest": digest_of_module(module)}
    with suppress(OSError):  # the folder of an installation can be read-only
        kept.parent.mkdir(exist_ok=True)
        temporary = kept.with_suffix(f".{os.getpid()}")  # several jobs may write the same file
        temporary.write_text(json.dumps(found), encoding="utf-8")
        os.replace(temporary, kept)
    return found


def names_in(module: str) -> list[tuple[str, str]]:
    """What a module imports from scripts/, at its top or within a function: from where, and a name there."""
    nodes = [node for node in ast.walk(parse(module)) if isinstance(node, ast.ImportFrom)]
    named = [(node.module, name.name) for node in nodes for name in node.names]
    return [(whole, name) for whole, name in named if (whole or "").startswith("scripts.")]


@cache
def declared(module: str, name: str, *default):
    """The literal that a module assigns to a name at its top level; the module is not imported.

    Raises KeyError where there is none and no default.
    """
    for node in parse(module).body:
        if isinstance(node, ast.Assign) and [getattr(target, "id", None) for target in node.targets] == [name]:
            return ast.literal_eval(node.value)
    if default:
        return default[0]
    raise KeyError(f"{module} declares no {name}")


def digest_of_module(module: str) -> str:
    """SHA-256 of a module's code without comments, docstrings and layout."""
    tree = parse(module)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node, clean=False
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()


@cache
def parse(module: str) -> ast.Module:
    return ast.parse(path_of(module).read_text(encoding="utf-8"), path_of(module))


def path_of(module: str) -> Path:
    return FOLDER.joinpath(*module.split(".")[1:]).with_suffix(".py")
