"""The configuration: filled with its defaults, then checked, before any job. Functions give a rule what it reads."""

import json
import os
import re
import sys
from functools import cache
from pathlib import Path

from scripts.checks.checked_endpoints import endpoints_to_ask
from scripts.checks.checked_models import models_as_json, models_to_check
from scripts.checks.checked_sources import sources_to_check
from scripts.configuration.check_config import fill_and_check
from scripts.configuration.command_line import merge_sections
from scripts.configuration.config_engines import engine_module, is_batched
from scripts.configuration.config_files import is_workflow_output, own_files, workflow_files
from scripts.configuration.config_values import is_pool
from scripts.configuration.included import include_files
from scripts.configuration.entries import BASE_KEYS, ENGINE_KEYS, FINETUNE_KEYS, REFERENCE_MODEL_KEYS, REWARD_MODEL_KEYS
from scripts.configuration.protocols import PROTOCOLS, judge_template_of
from scripts.configuration.yaml_keys import wrong_keys_of_files
from scripts.instructions.own_instructions import own_instructions
from scripts.jobs.code import declared, digest_of_code, versions_of
from scripts.models.folder import files_of
from scripts.tables.digests import sha256_of_input
from scripts.tables.source_files import name_of

problems = wrong_keys_of_files(workflow.configfiles if workflow.is_main_process else [])
problems += merge_sections(config, workflow.config_settings.config_args or [])
problems = problems or include_files(config) or fill_and_check(config)
if problems:
    sys.exit("\n".join(["The configuration cannot be used:", *problems]))

RESULTS = f"results/{config['study']}"
TEACHERS = sorted(name for name, teacher in config["teachers"].items() if not is_pool(teacher))
COMPARED = [name for name in TEACHERS if config["teachers"][name]["compare"]]
UNPAIRED = config["compare"] == "unpaired"
BASES = sorted(config["bases"])
# {base}/{teacher}: each base with each teacher, except with a mix for another base
PAIRS = [f"{base}/{name}" for base in BASES for name in TEACHERS if config["teachers"][name].get("base", base) == base]
# {base}/{teacher}{run}: each pair is trained once for each seed; the first run has no suffix, the others have @{seed}
FURTHER_RUNS = [f"@{int(seed)}" for seed in config["finetune"]["seeds"][1:]]
RUNS = [pair + run for run in ("", *FURTHER_RUNS) for pair in PAIRS]


def one_of(names):
    """A constraint for a wildcard: one of these names. Without names it matches nothing."""
    return "|".join(map(re.escape, sorted(names))) or "(?!)"


def as_json(entry, *keys):
    """These keys of a config entry (all when left out) as sorted JSON: a param that changes when one of them does.

    A key without a default that the entry does not have is left out, so that such a key is new to no other entry.
    """
    return json.dumps({key: entry[key] for key in keys or entry if key in entry}, sort_keys=True)


def code_of(script):
    """A param that changes with the code of a script and its modules; a function, so that only needed ones are read."""
    return lambda wildcards: digest_of_code(script)


def digests_of(paths):
    """SHA-256 of the user's own files among these inputs, as a param: another content counts, with any time.

    A function of the wildcards has to give the paths: a param that reads `input` reruns nothing when it changes.
    """
    own = sorted({path for path in paths if not is_workflow_output(path)})
    return json.dumps({path: sha256_of_input(Path(path)) for path in own})


def costly_scripts(jobs):
    """The scripts, and the engines, of those jobs whose results are kept by VERSIONs."""
    scripts = set()
    for job in jobs:
        if versions := job.params.get("versions"):
            scripts.add(re.search(r"run_job .*?(scripts[.][\w.]+)", job.rule.shellcmd, flags=re.DOTALL)[1])
            scripts |= {module for module in json.loads(versions) if module.startswith("scripts.engines.")}
    return sorted(scripts)


def loads_models_often(jobs):
    """Whether so many jobs may load a model that it is worth a process that starts them faster (fork_server.py)."""
    return sum("versions" in job.params.keys() for job in jobs) > 2


# models


def model_inputs(entry):
    """The files of a model that the workflow itself writes: its manifest, its chat template."""
    manifest = [f"{os.path.normpath(entry['model'])}/manifest.json"] if is_workflow_output(entry["model"]) else []
    template = entry.get("chat_template")
    return manifest + ([template] if template and is_workflow_output(template) else [])


def model_files(entry):
    """SHA-256 of a model's other local files, as a param: those that the user has written."""
    own = {
        key: entry[key] for key in ("model", "chat_template") if entry.get(key) and not is_workflow_output(entry[key])
    }
    return digests_of_model(own.get("model", ""), own.get("chat_template"), entry.get("trust_remote_code"))


@cache
def digests_of_model(model, chat_template, trust_remote_code):
    """SHA-256 of the files of a model, as JSON: read once, although many jobs load it."""
    spec = {"model": model, "chat_template": chat_template, "trust_remote_code": trust_remote_code}
    return json.dumps(files_of(spec), sort_keys=True)


def engine_spec(entry):
    """What decides how a model answers, except its sampling: the model and the section of its engine."""
    section = [entry["engine"]] if entry["engine"] in entry else []
    return as_json(entry, *ENGINE_KEYS, *section)


def environment_of(engine):
    """The file under envs/ that an engine runs in with --sdm conda, relative to a rule file."""
    return f"../envs/{declared(engine_module(engine), 'ENVIRONMENT')}.yaml"


def launcher(processes):
    """The command that starts a script in several processes of one machine; torchrun reads no settings of the user."""
    return "" if processes == 1 else f"torchrun --standalone --nproc-per-node {processes} -m"


# teachers


def source_inputs(*sources):
    """The local files of instructions, prompts or responses; none for a dataset of the hub.

    Snakemake compares a touched file by content only up to a size: of a larger one only the digest counts.
    """
    limit = workflow.dag_settings.max_checksum_file_size
    made = [os.path.normpath(path) for source in sources for path in workflow_files(source)]
    own = [os.path.normpath(path) for source in sources for path in own_files(source)]
    return made + [ancient(path) if os.path.getsize(path) > limit else path for path in own]


def teachers_by(key):
    """Names of the teachers whose entry has a key: model, select, import or mix."""
    return [name for name, entry in config["teachers"].items() if key in entry]


def sources_of(mix):
    """The teachers whose responses a mix takes, always in the same order: those it names, or all that are compared."""
    return sorted(config["teachers"][mix]["sources"] or COMPARED)


def paid_for(teacher):
    """The teachers whose responses were generated or imported for this one: a selection's pool, a mix's sources."""
    entry = config["teachers"][teacher]
    if "mix" in entry:
        return sorted({name for source in sources_of(teacher) for name in paid_for(source)})
    return [entry["pool"]] if "select" in entry else [teacher]


def instructions_of(teachers, folder="<results>"):
    """The tables in a folder with the instructions of these teachers: each import's own, or one for all teachers."""
    if UNPAIRED:
        return [f"{folder}/instructions/{teacher}.parquet" for teacher in teachers]
    return [f"{folder}/instructions.parquet"]


def import_spec(teacher, reward_model=None):
    """What decides which responses, or whose rewards, are imported for a teacher."""
    source = {key: value for key, value in config["teachers"][teacher]["import"].items() if key != "rewards"}
    source["candidates"] = config["teachers"][teacher]["candidates"]
    if "reasoning" in config["teachers"][teacher] and not reward_model:
        source["reasoning"] = config["teachers"][teacher]["reasoning"]
    if reward_model:  # rewards are matched to rows without the texts, except to conversations, which have them
        unused = {"finish_reason", "reasoning"} | ({"response"} if "messages" not in source["columns"] else set())
        keys = {name: column for name, column in source["columns"].items() if name not in unused}
        source["columns"] = keys | {"reward": config["teachers"][teacher]["import"]["rewards"][reward_model]}
    return as_json(source)


def deciding_rewards(selection):
    """The rewards of a pool that decide a selection; none for a random one."""
    if selection["select"] == "random":
        return []
    return [f"{RESULTS}/rewards/{selection['reward_model']}/{selection['pool']}.parquet"]


def sampled(section):
    """The tables of scores that are computed on request, for each pair; none if the configuration has no such section."""
    return [f"<results>/{section}/{pair}.parquet" for pair in PAIRS if section in config]


# rewards: imported with the responses, or computed; selections and mixes take those of other teachers

IMPORTED_REWARDS = [
    (reward_model, teacher)
    for teacher in teachers_by("import")
    for reward_model in config["teachers"][teacher]["import"]["rewards"]
]
# teachers and pools without any imported reward: every reward model scores all of them in one job
POOLS = {config["teachers"][teacher]["pool"] for teacher in teachers_by("select")}
SCORED = sorted(
    {*TEACHERS, *POOLS} & {*teachers_by("model"), *teachers_by("import")} - {teacher for _, teacher in IMPORTED_REWARDS}
)
# each reward model also scores the others, except those whose rewards by this model are imported
SCORED_APART = [
    (reward_model, teacher)
    for teacher in teachers_by("import")
    for reward_model in config["reward_models"]
    if teacher not in SCORED and (reward_model, teacher) not in IMPORTED_REWARDS
]
SCORING = sorted(config["reward_models"] if SCORED else {reward_model for reward_model, _ in SCORED_APART})


def only_pairs(pairs):
    """A constraint for {reward_model} in a path with {reward_model}/{teacher}: only these pairs match.

    Snakemake constrains each wildcard separately, so this constraint also looks at the text that follows the name:
    skywork(?=/qwen[.]) matches the name skywork in skywork/qwen.parquet, and nothing in skywork/llama.parquet.
    """
    return "|".join(rf"{re.escape(name)}(?=/{re.escape(teacher)}[.])" for name, teacher in sorted(pairs)) or "(?!)"


# benchmarks: answered here, and judged if they have a protocol; evaluated by lm_eval; or with scores of a table

ANSWERED = sorted(name for name, benchmark in config["benchmarks"].items() if "prompts" in benchmark)
EVALUATED = sorted(name for name, benchmark in config["benchmarks"].items() if "tasks" in benchmark)
TABULATED = sorted(name for name, benchmark in config["benchmarks"].items() if "scores" in benchmark)
UNJUDGED = [name for name in ANSWERED if not config["benchmarks"][name]["protocol"]]
WITH_SCORES = sorted(set(config["benchmarks"]) - set(UNJUDGED))
AP_BENCHMARKS = sorted({name.rpartition(".")[0] for name in config["ap"]})


def treatment_of(base):
    """How a base was trained for its AP: lora, full, or None if only tables give the scores of its pairs."""
    if set(AP_BENCHMARKS) <= set(TABULATED):
        return None
    return "lora" if "lora" in config["bases"][base] else "full"


def baseline_of(benchmark):
    """The entry of the teacher whose answers are a benchmark's baseline."""
    return config["teachers"][config["benchmarks"][benchmark]["baseline"]]


def answering_entry(wildcards):
    """The entry of the model that answers: a base model with the checkpoint of a run, or without it the baseline.

    What a teacher's thinking is to the bases is nothing to a judge: a baseline's answers never have any.
    """
    if "base" not in wildcards.keys():
        return {key: value for key, value in baseline_of(wildcards.benchmark).items() if key != "reasoning"}
    folder = f"{RESULTS}/checkpoints/{wildcards.base}/{wildcards.teacher}{wildcards.run}"
    # the revision and the chat template of the base model are not those of the checkpoint
    return config["bases"][wildcards.base] | {"model": folder, "revision": None, "chat_template": None}


def hyperparameters_of(run):
    """The section finetune as a run reads it: with its seed, and without what does not change the weights."""
    section = {key: value for key, value in config["finetune"].items() if key not in ("seeds", "checkpoint_minutes")}
    return as_json(section | {"seed": int(run.removeprefix("@") or config["finetune"]["seeds"][0])})


def scores_of(benchmarks):
    """The files of the scores of these benchmarks: of each run, or of each pair if a table has them."""
    return [
        f"<results>/scores/{name}/{run}.json" for name in benchmarks for run in (PAIRS if name in TABULATED else RUNS)
    ]


def baseline_name(benchmark):
    """What a benchmark's answers are compared with: the name of a teacher, or of a table of answers."""
    table = config["benchmarks"][benchmark].get("baseline_answers", {})
    return config["benchmarks"][benchmark].get("baseline") or table.get("file") or name_of(table)


def judged_by(script):
    """Names of the benchmarks whose protocol judges with this script of scripts/judgments/."""
    protocols = [name for name, protocol in PROTOCOLS.items() if protocol.judged_by == script]
    return [name for name, benchmark in config["benchmarks"].items() if benchmark.get("protocol") in protocols]


def scored_by(script):
    """Names of the benchmarks whose protocol makes its scores with this script of scripts/scores/."""
    protocols = [name for name, protocol in PROTOCOLS.items() if protocol.scored_by == script]
    return [name for name, benchmark in config["benchmarks"].items() if benchmark.get("protocol") in protocols]


def memory_of(model, copies=1):
    """Main memory in MB of a job with copies of a model: `mem_mb` for each GPU, or for each copy without GPUs."""
    return model["mem_mb"] * max(model["gpus"], 1) * copies


def judge_of(benchmark):
    """The entry of a benchmark's judge: a language model, or a reward model."""
    judge = config["judges"][config["benchmarks"][benchmark]["judge"]]
    return judge.get("reward", judge)


def judge_name(benchmark):
    """The judge as the tables name it."""
    name = config["benchmarks"][benchmark].get("judge", "exact")
    return f"reward model {name}" if "reward" in config["judges"].get(name, {}) else name


def strict_option(benchmark):
    """How verdicts are read, for the script that asks again for one and the one that makes the score."""
    return ["--strict-verdicts"] if config["benchmarks"][benchmark]["strict_verdicts"] else []


def unparsed_option(benchmark):
    """How many judgments may be unreadable, as a script's option."""
    return ["--max-unparsed", str(config["benchmarks"][benchmark]["max_unparsed"])]


def length_control_inputs(benchmark):
    """The local files behind a benchmark's difficulties and gamed rows."""
    tables = config["benchmarks"][benchmark]["length_control"]
    return source_inputs(config["benchmarks"][benchmark]["prompts"], tables["difficulty"], tables["gamed"])


def length_control_of(benchmark):
    """The difficulties and gamed rows that a benchmark's scores are computed with, if it has them."""
    if "length_control" not in config["benchmarks"][benchmark]:
        return []
    return [f"{RESULTS}/length_control/{benchmark}/{name}.parquet" for name in ("difficulty", "gamed")]


TASK_KEYS = ("tasks", "include_path", "num_fewshot", "apply_chat_template", "limit", "max_new_tokens", "think_end")
TASK_KEYS += ("batch_size",)


def as_dict(benchmark, *keys):
    """These keys of a benchmark."""
    return {key: config["benchmarks"][benchmark][key] for key in keys}


def task_files(benchmark):
    """The files of a benchmark's own tasks, without those that Python makes of their code."""
    folder = config["benchmarks"][benchmark]["include_path"]
    paths = [path for path in Path(folder).rglob("*") if path.is_file()] if folder else []
    return [str(path) for path in paths if "__pycache__" not in path.parts]


def task_checks():
    """The check of the tasks of lm_eval, if there are any."""
    return ["<results>/checks/tasks.json"] if EVALUATED else []


def pilots_page():
    """The page of the pilots. Exits if the configuration has none."""
    if "pilots" not in config:
        sys.exit("pilots: the configuration has no such section: docs/pilots.md has an example")
    return "<results>/pilots.html"


# checks

SOURCES = sources_to_check(config)
CHECKED = models_to_check(config, scoring=set(SCORING))
# the models that a target loads, by section
CHECKED_BY = {"all": CHECKED, "rank": {section: CHECKED[section] for section in CHECKED if section != "judges"}}
ENDPOINTS = {target: endpoints_to_ask(config, judging=target == "all") for target in CHECKED_BY}


# the compared teachers that must have common instructions, and whose responses are there before a model is loaded
PAIRED_IMPORTS = [] if UNPAIRED else [name for name in COMPARED if "import" in config["teachers"][name]]


def judge_templates_of(entries):
    """The judges' templates that a check fills."""
    return sorted({path for entry in entries for path in entry.get("judge_templates", [])})


def check_of(section, name):
    """The check that a job with this model waits for."""
    return [f"{RESULTS}/checks/{section}/{name}.json"] if name in CHECKED[section] else []


def checks(target):
    """The check of all models that `all` or `rank` loads, if there are any to check."""
    return [f"{RESULTS}/checks/{target}.json"] if any(CHECKED_BY[target].values()) else []


def endpoint_checks(target):
    """What the endpoints answered that `all` or `rank` asks, if there are any."""
    return [f"{RESULTS}/checks/{target}_endpoints.json"] if ENDPOINTS[target] else []


def refuse_more_gpus_than_given(jobs):
    """Exit if a job asks for more GPUs than this run may use: Snakemake would start it with fewer."""
    given = workflow.global_resources.get("gpu")
    if given is None or given.value is None:  # a cluster's own scheduler counts
        return
    asking = [job for job in jobs if "gpu" in job.rule.resources]
    gpus = [(job.rule.resources["gpu"].evaluate(job.wildcards).value, job) for job in asking]
    too_many = sorted(
        (n, f"{job.rule.name} {' '.join(filter(None, job.wildcards))}") for n, job in gpus if n > given.value
    )
    if too_many:
        n, name = too_many[-1]
        jobs_ask = "1 job asks" if len(too_many) == 1 else f"{len(too_many)} jobs ask"
        sys.exit(
            f"{jobs_ask} for more GPUs than the {given.value} of this run; {name} needs {n}: set --resources gpu={n}"
        )
