"""The instructions that an import brings to a comparison of data sets with different instructions."""

OF_RESPONSES = ("response", "finish_reason", "reasoning")


def own_instructions(imported: dict, sample: dict) -> dict:
    """The source of an import's own instructions: its table without the responses.

    imported: the entry of an import; sample: n, seed and max_characters of the section `instructions`.
    """
    source = {key: value for key, value in imported.items() if key != "rewards"}
    columns = {name: column for name, column in imported["columns"].items() if name not in OF_RESPONSES}
    return sample | source | {"columns": columns}
