"""Look at models before a GPU is touched: what is wrong with each, one line a problem, all problems at once.

python -m scripts.checks.check_models --models '{"bases": {"alpha": {"model": ..., "chat_template": ...}}}' \
    --output results/miniature/checks/bases/alpha.json

Of each model: that it is there and may be read, its commit, tokenizer, chat template and special tokens, its context
against a teacher's longest answer, its weights' size; of an endpoint, that the variable of its key is set. A hub that
cannot be reached is no problem: what it would say is `not checked`.
"""

import argparse
import difflib
import json
import re
from importlib import import_module
from pathlib import Path

import httpx2
from huggingface_hub import HfApi
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from transformers import AutoConfig, AutoTokenizer

from scripts.configuration.config_engines import engine_module, is_endpoint
from scripts.models.chat import Chat, load_tokenizer, user
from scripts.tables.digests import digest
from scripts.tables.files import write_json

VERSION = 1
GATED = "{model} is gated: accept its licence at https://huggingface.co/{model} and set HF_TOKEN"
MARKUP = re.compile(r"<\|[^\s|]+\|>|</?[a-z]+(?:_[a-z]+)+>|\[/?INST\]")


def main():
    args = parse_args()
    facts, problems = {section: {} for section in args.models}, []
    for section, models in args.models.items():
        for name, entry in models.items():
            found, wrong = check_model(section, entry)
            facts[section][name] = found
            problems += [f"{section}.{name}: {problem}" for problem in wrong + check_settings(entry)]
    if problems:
        raise SystemExit("\n".join(problems))
    write_json(facts, args.output)
    print(json.dumps(facts, indent=2))


def check_model(section: str, entry: dict) -> tuple[dict, list[str]]:
    """Facts about one model of a section of the config, and what is wrong with it."""
    if is_endpoint(entry):
        return {"model": entry["model"]}, []
    facts, problems = find_weights(entry)
    if problems or "not checked" in facts:
        return facts, problems
    names = {"revision": entry["revision"], "trust_remote_code": entry.get("trust_remote_code", False)}
    try:
        config = AutoConfig.from_pretrained(entry["model"], **names)
    except (OSError, ValueError, ImportError) as error:
        gated = GATED.format(model=entry["model"])  # the hub lists a gated model's files to anyone
        return facts, [gated if "gated repo" in str(error) else f"its config cannot be read: {first_line(error)}"]
    facts["context_length"] = getattr(config.get_text_config(), "max_position_embeddings", None)
    problems = wrong_lengths(entry, facts["context_length"] or 10**9)
    if entry.get("output") == "logits" and config.num_labels != 1:
        problems.append(f"it has {config.num_labels} outputs; a reward model has one")
    try:
        found, wrong = check_tokenizer(section, entry, names, config.get_text_config().vocab_size)
    except (OSError, ValueError, ImportError) as error:
        return facts, [*problems, f"its tokenizer cannot be read: {first_line(error)}"]
    return facts | found, problems + wrong


def check_settings(entry: dict) -> list[str]:
    """What the engine of a model entry says is wrong with it; nothing for an entry without an engine."""
    return import_module(engine_module(entry["engine"])).check(entry) if "engine" in entry else []


def find_weights(entry: dict) -> tuple[dict, list[str]]:
    """model, commit and weight_bytes of a folder or a hub id; or why it cannot be had; or that it was not checked."""
    model, folder = entry["model"], Path(entry["model"])
    if folder.is_dir():
        sizes = {file.name: file.stat().st_size for file in folder.iterdir() if file.is_file()}
        commit = None
    else:
        try:
            info = HfApi().model_info(model, revision=entry["revision"], files_metadata=True)
        except GatedRepoError:
            return {}, [GATED.format(model=model)]
        except RevisionNotFoundError:
            return {}, [f"{model} has no revision {entry['revision']}"]
        except RepositoryNotFoundError:
            return {}, [f"no model {model} on the hub, or no right to see it{near_models(model)}"]
        except HFValidationError:
            return {}, [f"{model} can be no name on the hub (organisation/model): a folder is written ./folder"]
        except (OSError, httpx2.HTTPError) as error:  # offline, or the hub is down
            return {"model": model, "not checked": first_line(error)}, []
        sizes, commit = {file.rfilename: file.size or 0 for file in info.siblings}, info.sha
    weights = sum(size for name, size in sizes.items() if name.endswith(".safetensors"))
    facts = {"model": model, "commit": commit, "weight_bytes": weights}
    return facts, [] if weights else [f"{model} has no weights in *.safetensors; pickled weights are not loaded"]


def near_models(model: str) -> str:
    """The nearest names of the same organisation, for a message."""
    try:
        names = [found.id for found in HfApi().list_models(author=model.partition("/")[0], limit=500)]
    except (OSError, httpx2.HTTPError):
        return ""
    near = difflib.get_close_matches(model, names, n=3)
    return f" (did you mean {' or '.join(near)}?)" if near else ""


def wrong_lengths(entry: dict, context: int) -> list[str]:
    """Whether a teacher's longest answer leaves room for a prompt; other lengths are cut to the context where used."""
    n = entry.get("sampling", {}).get("max_new_tokens", 0)
    return [f"sampling.max_new_tokens {n} fills its context of {context} tokens"] if n >= context else []


def check_tokenizer(section: str, entry: dict, names: dict, vocabulary: int) -> tuple[dict, list[str]]:
    """Hash of the chat template and end of turn; templates that do not work or whose tokens the model does not have."""
    if section == "reference_models":
        tokenizer = AutoTokenizer.from_pretrained(entry["model"], **names)
        return {}, [] if len(tokenizer) <= vocabulary else ["its tokenizer has more tokens than its vocabulary"]
    try:
        chat = Chat(load_tokenizer(entry["model"], chat_template=entry["chat_template"], **names))
    except SystemExit as problem:
        return {}, [str(problem)]
    tokenizer = chat.tokenizer
    rendered = tokenizer.apply_chat_template([user("-")], tokenize=False, add_generation_prompt=True)
    split = [mark for mark in sorted(set(MARKUP.findall(rendered))) if mark not in tokenizer.get_vocab()]
    problems = [f"its chat template writes {mark}, which is no token of its tokenizer" for mark in split]
    if max(chat.prompt("-") + chat.end) >= vocabulary:
        problems.append("its chat template uses a token beyond the model's vocabulary")
    return {"chat_template": digest(tokenizer.chat_template), "end_of_turn": tokenizer.decode(chat.end)}, problems


def first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:300]


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=json.loads, required=True, help="section to name to config entry, as JSON")
    parser.add_argument("--output", type=Path, required=True, help="JSON of facts, written if nothing is wrong")
    return parser.parse_args()


if __name__ == "__main__":
    main()
