"""The number of parameters of a model, without loading it."""

import re
from pathlib import Path

from safetensors import safe_open


def parameters_of(entry: dict) -> float | None:
    """The number from the files of a local folder, else from the config, else from the model's name; None if unknown.

    In a name, a part such as 72B, 0.6b or 360M is the number.
    """
    if files := sorted(Path(entry["model"]).glob("*.safetensors")) if "model" in entry else []:
        return float(sum(map(parameters_in, files)))
    if entry.get("parameters"):
        return entry["parameters"] * 1e9
    found = re.findall(r"(?<![\d.])(\d+(?:\.\d+)?)([bm])(?![a-z\d])", entry.get("model", "").lower())
    return float(found[-1][0]) * {"b": 1e9, "m": 1e6}[found[-1][1]] if found else None


def parameters_in(path: Path) -> int:
    with safe_open(path, framework="numpy") as file:
        shapes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118 (no dict)
    total = 0
    for shape in shapes:
        n = 1
        for side in shape:
            n *= side
        total += n
    return total
