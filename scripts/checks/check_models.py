"""Check models before a GPU is used: one line per problem, all problems at once.

python -m scripts.checks.check_models \
    --models '{"bases": {"alpha": {"model": "results/world/alpha", "chat_template": "config/templates/plain.jinja"}}}' \
    --output results/miniature/checks/bases/alpha.json

For each model: whether it exists and may be read, its commit, architecture, quantization, tokenizer, chat template and
special tokens, its context length compared with a teacher's longest response, and the size of its weights. For an
endpoint: whether the environment variable of its key is set. An unreachable hub is not a problem: the model is then
`not checked`.
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

from scripts.checks.check_heads import wrong_head
from scripts.checks.check_templates import refused_templates, unread_settings, wrong_template
from scripts.checks.checked_models import models_of
from scripts.configuration.config_engines import engine_module, is_endpoint
from scripts.models.chat import user
from scripts.models.loadable import quantization_of, unloadable
from scripts.models.loading import load_chat, load_config, pretrained
from scripts.models.tokenizers import load_tokenizer
from scripts.models.weights import wrong_weights
from scripts.tables.digests import digest
from scripts.tables.text_files import write_json

VERSION = 3
GATED = "{model} is gated: accept its license at https://huggingface.co/{model} and set HF_TOKEN"
MARKUP = re.compile(r"<\|[^\s|]+\|>|</?[a-z]+(?:_[a-z]+)+>|\[/?INST\]")


def main():
    args = parse_args()
    facts, problems = {section: {} for section in args.models}, []
    for section, models in args.models.items():
        for name, entry in models.items():
            facts[section][name], wrong = check_safely(section, entry)
            problems += [f"{section}.{name}: {problem}" for problem in wrong]
    if problems:
        raise SystemExit("\n".join(problems))
    write_json(facts, args.output)
    print(json.dumps(facts, indent=2))


def check_safely(section: str, entry: dict) -> tuple[dict, list[str]]:
    """check_model and check_settings; an error in foreign files is a problem of this model and hides no other."""
    try:
        facts, problems = check_model(section, entry)
        return facts, problems + check_settings(entry)
    except Exception as error:
        return {}, [f"its files cannot be read: {type(error).__name__}: {first_line(error)}"]


def check_model(section: str, entry: dict) -> tuple[dict, list[str]]:
    """Facts about one model of a section of the config, and what is wrong with it."""
    if is_endpoint(entry):
        return {"model": entry["model"]}, []
    facts, problems = find_weights(entry)
    if problems or "not checked" in facts:
        return facts, problems
    try:
        config = load_config(**pretrained(entry))
    except (OSError, ValueError, ImportError) as error:
        gated = GATED.format(model=entry["model"])  # the hub lists a gated model's files to anyone
        return facts, [gated if "gated repo" in str(error) else f"its config cannot be read: {first_line(error)}"]
    facts["context_length"] = getattr(config.get_text_config(), "max_position_embeddings", None)
    problems = wrong_lengths(entry, facts["context_length"] or 10**9)
    if entry.get("output") == "logits" and config.num_labels != 1:
        problems.append(f"it has {config.num_labels} outputs; a reward model has one")
    problems += wrong_config(section, entry, config)
    try:
        found, wrong = check_tokenizer(section, entry, config.get_text_config().vocab_size)
    except (OSError, ValueError, ImportError) as error:
        return facts, [*problems, f"its tokenizer cannot be read: {first_line(error)}"]
    return facts | found, problems + wrong


def check_settings(entry: dict) -> list[str]:
    """What the engine of a model entry says is wrong with it; nothing for an entry without an engine."""
    return import_module(engine_module(entry["engine"])).check(entry) if "engine" in entry else []


def find_weights(entry: dict) -> tuple[dict, list[str]]:
    """model, commit and weight_bytes of a folder or a hub name; or why there are none, or why it was not checked."""
    model, folder = entry["model"], Path(entry["model"])
    if folder.is_dir():
        if problems := wrong_weights(folder):
            return {}, problems
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
            return {}, [f"no model {model} on the hub, or no access to it{near_models(model)}"]
        except HFValidationError:
            return {}, [f"{model} is not a name on the hub (organization/model); write a folder as ./folder"]
        except (OSError, httpx2.HTTPError) as error:  # offline, or the hub is down
            return {"model": model, "not checked": first_line(error)}, []
        sizes, commit = {file.rfilename: file.size or 0 for file in info.siblings}, info.sha
    weights = sum(size for name, size in sizes.items() if name.endswith(".safetensors"))
    facts = {"model": model, "commit": commit, "weight_bytes": weights}
    return facts, [] if weights else [f"{model} has no weights in *.safetensors; pickled weights are not loaded"]


def near_models(model: str) -> str:
    """The most similar names of the same organization, for a message."""
    try:
        names = [found.id for found in HfApi().list_models(author=model.partition("/")[0], limit=500)]
    except (OSError, httpx2.HTTPError):
        return ""
    near = difflib.get_close_matches(model, names, n=3)
    return f" (did you mean {' or '.join(near)}?)" if near else ""


def wrong_lengths(entry: dict, context: int) -> list[str]:
    """Whether a teacher's longest response leaves room for a prompt. Other lengths are cut where they are used."""
    n = entry["sampling"]["max_new_tokens"] if "sampling" in entry else 0
    wrong = f"sampling.max_new_tokens ({n}) leaves no room for a prompt in the context of {context} tokens"
    return [wrong] if n >= context else []


def wrong_config(section: str, entry: dict, config) -> list[str]:
    """Why the engine of an entry, or the script that loads it, cannot use a model of this config."""
    if "engine" in entry and section != "bases":
        return import_module(engine_module(entry["engine"])).check_config(config)
    if "output" in entry:
        return unloadable(config, "AutoModelForSequenceClassification")
    quantization = quantization_of(config)
    if quantization and section == "bases":
        method = quantization["quant_method"]
        return [f"its weights are quantized ({method}) and cannot be trained: use the model that they were made from"]
    problems = unloadable(config, "AutoModelForCausalLM")
    return problems or wrong_head(config, entry.get("trust_remote_code", False))


def check_tokenizer(section: str, entry: dict, vocabulary: int) -> tuple[dict, list[str]]:
    """Hash of the chat template, and the end of a turn; or what is wrong with the template or with its tokens."""
    try:
        if section == "reference_models":
            tokenizer = load_tokenizer(**pretrained(entry))
            return {}, [] if len(tokenizer) <= vocabulary else ["its tokenizer has more tokens than its vocabulary"]
        chat = load_chat(entry)
        if unread := unread_settings(entry, chat):
            return {}, [unread]
        rendered = chat.template.render([user("-")], add_generation_prompt=True)
    except SystemExit as problem:
        return {}, [str(problem)]
    tokenizer = chat.tokenizer
    split = [mark for mark in sorted(set(MARKUP.findall(rendered))) if mark not in tokenizer.get_vocab()]
    problems = [f"its chat template writes {mark}, which is not a token of its tokenizer" for mark in split]
    if max(chat.prompt("-") + chat.end) >= vocabulary:
        problems.append("its chat template uses a token beyond the model's vocabulary")
    if not problems:
        problems += wrong_template(section, entry, chat) + refused_templates(entry, chat)
    return {"chat_template": digest(tokenizer.chat_template), "end_of_turn": tokenizer.decode(chat.end)}, problems


def first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:300]


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=models_of, required=True, help="section to name to config entry, as JSON")
    parser.add_argument("--output", type=Path, required=True, help="JSON of facts, written if nothing is wrong")
    return parser.parse_args()


if __name__ == "__main__":
    main()
