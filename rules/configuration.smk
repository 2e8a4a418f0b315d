"""The configuration, checked before any job: config/schema.yaml and what a schema cannot say.

The functions give each rule exactly what it reads of it.
"""

import json
import os
import re

from scripts.configuration.check_config import find_problems
from scripts.configuration.config_engines import engine_module, is_endpoint
from scripts.configuration.config_files import made_here
from scripts.configuration.config_references import default_ap
from scripts.models.folder import files_of
from snakemake.utils import validate

if problems := find_problems(config, f"{workflow.basedir}/config/schema.yaml"):
    sys.exit("\n".join(["The configuration cannot be used:", *problems]))

validate(config, "../config/schema.yaml")  # fills in the defaults

config["ap"] = config["ap"] or default_ap(config)

# a pool is not itself a teacher of anyone
TEACHERS = sorted(name for name, teacher in config["teachers"].items() if teacher.get("candidates", 1) == 1)
COMPARED = [name for name in TEACHERS if config["teachers"][name]["compare"]]
BASES = sorted(config["bases"])
# {base}/{teacher}: each teacher of each base, and a mix of its own base alone
PAIRS = [f"{base}/{name}" for base in BASES for name in TEACHERS if config["teachers"][name].get("base", base) == base]


def as_json(entry, *keys):
    """The named keys of a config entry (all without names) as sorted JSON: a param that changes when one of them does."""
    return json.dumps({key: entry[key] for key in keys or entry}, sort_keys=True)


def model_inputs(entry):
    """The files of a model that this workflow itself makes: its manifest, its chat template."""
    made = [f"{os.path.normpath(entry['model'])}/manifest.json"] if made_here(entry["model"]) else []
    return made + [path for path in [entry.get("chat_template")] if path and made_here(path)]


def model_files(entry):
    """SHA-256 of the local files of a model that this workflow does not make, and of its template, as a param."""
    theirs = {key: entry[key] for key in ("model", "chat_template") if entry.get(key) and not made_here(entry[key])}
    return json.dumps(
        files_of({"model": "", "trust_remote_code": entry.get("trust_remote_code"), **theirs}), sort_keys=True
    )


def source_inputs(source):
    """The local file of instructions, prompts or responses; nothing for a dataset of the hub."""
    return [os.path.normpath(source["path"])] if "path" in source else []


def engine_spec(entry):
    """What decides how a model answers, apart from its sampling: the model and the section of its engine."""
    section = [entry["engine"]] if entry["engine"] in entry else []
    return as_json(entry, "engine", "model", "revision", "chat_template", "trust_remote_code", *section)


def code_of(script):
    """A param that changes with the code of a script and its modules; computed for the jobs that are looked at alone."""
    return lambda wildcards: digest_of_code(script)


def costly_scripts(jobs):
    """The scripts, and the engines, of those jobs whose results are kept by VERSIONs."""
    found = set()
    for job in jobs:
        if versions := job.params.get("versions"):
            found.add(re.search(r"run_job .*?(scripts[.][\w.]+)", job.rule.shellcmd)[1])
            found |= {module for module in json.loads(versions) if module.startswith("scripts.engines.")}
    return sorted(found)


def environment_of(engine):
    """The file under envs/ that an engine runs in with --sdm conda, relative to a rule file."""
    return f"../envs/{declared(engine_module(engine), 'ENVIRONMENT')}.yaml"


def baseline_of(benchmark):
    """The entry of the teacher whose answers are a benchmark's baseline."""
    return config["teachers"][config["benchmarks"][benchmark]["baseline"]]


def answering_entry(wildcards):
    """The entry of the model that answers: a base model with the checkpoint of a pair, or without it the baseline."""
    if "base" not in wildcards.keys():
        return baseline_of(wildcards.benchmark)
    folder = f"{RESULTS}/checkpoints/{wildcards.base}/{wildcards.teacher}"
    # the revision and the chat template of the base model are not those of the checkpoint
    return config["bases"][wildcards.base] | {"model": folder, "revision": None, "chat_template": None}


def baseline_name(benchmark):
    """Whose answers a benchmark's are held against: a teacher, or the table they come from."""
    table = config["benchmarks"][benchmark].get("baseline_answers", {})
    return config["benchmarks"][benchmark].get("baseline") or table.get("file") or table.get("path") or table["dataset"]


def judged_by(*protocols):
    """Names of the benchmarks with one of these protocols."""
    return [name for name, benchmark in config["benchmarks"].items() if benchmark["protocol"] in protocols]


def judge_of(benchmark):
    """The entry of a benchmark's judge: a language model, or a reward model."""
    judge = config["judges"][config["benchmarks"][benchmark]["judge"]]
    return judge.get("reward", judge)


def judge_name(benchmark):
    """The judge as the tables name it."""
    name = config["benchmarks"][benchmark].get("judge", "exact")
    return f"reward model {name}" if "reward" in config["judges"].get(name, {}) else name


def judge_template_of(benchmark):
    """The file of what a benchmark's judge is asked."""
    entry = config["benchmarks"][benchmark]
    return entry.get("judge_template", f"config/judges/{entry['protocol']}.txt")


def length_control_inputs(benchmark):
    """The local files behind a benchmark's difficulties and gamed rows."""
    tables = config["benchmarks"][benchmark]["length_control"]
    return [
        path
        for source in (config["benchmarks"][benchmark]["prompts"], tables["difficulty"], tables["gamed"])
        for path in source_inputs(source)
    ]


def length_control_of(benchmark):
    """The difficulties and gamed rows that a benchmark's scores are made with, if it has them."""
    if "length_control" not in config["benchmarks"][benchmark]:
        return []
    return [f"{RESULTS}/length_control/{benchmark}/{name}.parquet" for name in ("difficulty", "gamed")]


def one_of(names):
    """A wildcard's constraint to names of the config; it matches nothing where there are none."""
    return "|".join(map(re.escape, sorted(names))) or "(?!)"


def teachers_by(key):
    """Names of the teachers whose entry has a key: model, select, import or mix."""
    return [name for name, entry in config["teachers"].items() if key in entry]


def sources_of(mix):
    """The teachers whose responses a mix takes, in one order: those of the config, or all that are compared."""
    return sorted(config["teachers"][mix]["sources"] or COMPARED)


def import_spec(teacher, reward_model=None):
    """What decides which responses, or whose rewards, are imported for a teacher."""
    source = {key: value for key, value in config["teachers"][teacher]["import"].items() if key != "rewards"}
    if reward_model:  # the texts are not needed to match rewards to rows
        keys = {name: way for name, way in source["columns"].items() if name in ("id", "instruction")}
        source["columns"] = keys | {"reward": config["teachers"][teacher]["import"]["rewards"][reward_model]}
    return as_json(source)


def deciding_rewards(selection):
    """The rewards of a pool by which a selection is made; none for a random one."""
    if selection["select"] == "random":
        return []
    return [f"{RESULTS}/rewards/{selection['reward_model']}/{selection['pool']}.parquet"]


def imported_and_scored(reward_model):
    """Teachers whose rewards by a reward model are imported, and those whose responses it has to score."""
    imported = [t for t in teachers_by("import") if reward_model in config["teachers"][t]["import"]["rewards"]]
    return imported, [t for t in (*teachers_by("model"), *teachers_by("import")) if t not in imported]


def reward_pairs(imported):
    """A constraint for {reward_model} by the teacher behind it: pairs whose rewards are imported, or the others.

    A wildcard is constrained by itself; which teachers a reward model's rewards are imported for is a matter of pairs.
    """
    alternatives = []
    for name in sorted(config["reward_models"]):
        having, others = imported_and_scored(name)
        alternatives.append(rf"{re.escape(name)}(?=/(?:{one_of(having if imported else others)})[.])")
    return "|".join(alternatives)


def outside(section):
    """The entries of a section whose models are loaded and come from a folder or the hub, not from a rule here."""
    entries = {name: entry.get("reward", entry) for name, entry in config[section].items()}
    entries = {name: entry for name, entry in entries.items() if "model" in entry}
    if section == "reward_models":
        entries = {name: entry for name, entry in entries.items() if imported_and_scored(name)[1]}
    return {name: entry for name, entry in entries.items() if not made_here(entry["model"])}


def check_of(section, name):
    """The check that a job with this model waits for."""
    return [f"{RESULTS}/checks/{section}/{name}.json"] if name in CHECKED[section] else []


def checks(scope):
    """The check of all models that `all` or `rank` needs, where there are any to check."""
    return [f"{RESULTS}/checks/{scope}.json"] if any(CHECKED[section] for section in ASKED_BY[scope]) else []


def models_as_json(section, name):
    """What decides whether one model can be loaded; another length or price must not check, and run, it again."""
    return json.dumps({section: {name: looked_at(CHECKED[section][name])}}, sort_keys=True)


def looked_at(entry, *more):
    """The keys of a model's entry that a check reads."""
    address = [entry["engine"]] if is_endpoint(entry) else []
    keys = ("model", "revision", "chat_template", "trust_remote_code", "engine", "output", *address, *more)
    return {key: entry[key] for key in keys if key in entry}


def launcher(processes):
    """What runs a script in several processes of one machine; torchrun, since it reads no user's settings."""
    return "" if processes == 1 else f"torchrun --standalone --nproc-per-node {processes} -m"


def refuse_more_gpus_than_given(jobs):
    """Exit naming jobs that ask for more GPUs than this run may use: Snakemake would start them with fewer."""
    given = workflow.global_resources.get("gpu")
    if given is None or given.value is None:  # a cluster's own scheduler counts
        return
    asking = [job for job in jobs if "gpu" in job.rule.resources]
    asked = [(job.rule.resources["gpu"].evaluate(job.wildcards).value, job) for job in asking]
    wanting = sorted((n, f"{job.rule.name} {' '.join(job.wildcards)}") for n, job in asked if n > given.value)
    if wanting:
        most, name = wanting[-1]
        sys.exit(
            f"{len(wanting)} jobs ask for more GPUs than the {given.value} of this run, {name} for {most}: "
            f"say --resources gpu={most}"
        )
