"""Which teacher should this base model learn from?

snakemake rank    rewards and likelihoods of each teacher's responses, CAR, a ranking of teachers for each base model
snakemake all     also fine-tunes and judges every pair, and tells how well each metric predicted the scores

Both read config/config.yaml, or the file given with --configfile in its place.
"""

import sys

if not workflow.overwrite_configfiles:

    # a file given on the command line replaces the default study; Snakemake alone would merge the two
    configfile: "config/config.yaml"


sys.path.append(f"{workflow.basedir}/scripts")


include: "rules/config.smk"


RESULTS = f"results/{config['study']}"


pathvars:
    results=RESULTS,


resource_scopes:
    gpu="local",


wildcard_constraints:
    teacher="|".join(map(re.escape, sorted(config["teachers"]))),
    base="|".join(map(re.escape, sorted(config["bases"]))),
    reward_model="|".join(map(re.escape, sorted(config["reward_models"]))),
    benchmark="|".join(map(re.escape, sorted(config["benchmarks"]))),


include: "rules/miniature.smk"
include: "rules/instructions.smk"
include: "rules/responses.smk"
include: "rules/rewards.smk"
include: "rules/likelihoods.smk"
include: "rules/finetune.smk"
include: "rules/answers.smk"
include: "rules/judgments.smk"
include: "rules/tables.smk"


localrules:
    all,
    rank,


rule all:
    default_target: True
    input:
        "<results>/tables/teachers.csv",
        "<results>/tables/performance.csv",
        "<results>/tables/correlations.csv",


rule rank:
    input:
        "<results>/tables/teachers.csv",
