"""What the engine of a config entry declares about itself, read without importing the engine.

An engine is the module scripts/engines/engine_<name>.py. scripts/engines/generation.py says what it declares.
"""

from scripts.jobs.code import declared


def engine_module(engine: str) -> str:
    """The module of an engine, given by its name in the config."""
    return f"scripts.engines.engine_{engine}"


def is_endpoint(entry: dict) -> bool:
    """Whether an endpoint computes the answers of a model entry. False for an entry without an engine."""
    return "engine" in entry and declared(engine_module(entry["engine"]), "ENDPOINT")


def is_batched(entry: dict) -> bool:
    """Whether the rows of a model entry are asked through the Batch API of its endpoint."""
    return is_endpoint(entry) and entry.get(entry["engine"], {}).get("batch", False)


def price_share(entry: dict) -> float:
    """The part of its price that an endpoint takes for the rows of a model entry."""
    return 0.5 if is_batched(entry) else 1


def gpus_setting(entry: dict) -> str | None:
    """The setting of the engine's section that must equal `gpus`; None if the engine has no such setting."""
    return declared(engine_module(entry["engine"]), "GPUS") if "engine" in entry else None
