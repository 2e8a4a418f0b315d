"""The models and data of the miniature study, which needs no downloads. They are built from config/miniature/world.yaml.

Outputs: results/world/instructions.jsonl, results/world/held_out.jsonl, results/world/tokenizer.json, and a model
folder results/world/<name>/ for each teacher, base model, reward model and judge. Any config may use these paths; no other rule depends on them.
"""

import yaml

with open(f"{workflow.basedir}/config/miniature/world.yaml", encoding="utf-8") as file:
    WORLD = yaml.safe_load(file)

# those of each family: a family with other ones fails when it is trained
POINTS = sorted({point for runs in WORLD["teachers"].values() for run in runs for point in run["points"]})


rule write_miniature_instructions:
    output:
        instructions="results/world/instructions.jsonl",
        held_out="results/world/held_out.jsonl",
    log:
        "results/world/logs/write_miniature_instructions.log",
    benchmark:
        "results/world/timings/write_miniature_instructions.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        versions=versions_of("scripts.miniature.write_miniature_instructions"),
        seed=WORLD["seed"],
        n=WORLD["instructions"],
        n_held_out=WORLD["held_out"],
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.miniature.write_miniature_instructions \
            --seed {params.seed} \
            --instructions {output.instructions:q} \
            --n {params.n} \
            --held-out {output.held_out:q} \
            --n-held-out {params.n_held_out} &>{log:q}
        """


rule train_miniature_tokenizer:
    output:
        "results/world/tokenizer.json",
    log:
        "results/world/logs/train_miniature_tokenizer.log",
    benchmark:
        "results/world/timings/train_miniature_tokenizer.tsv"
    priority: 20
    conda:
        "../envs/train.yaml"
    params:
        versions=versions_of("scripts.miniature.train_miniature_tokenizer"),
        seed=WORLD["seed"],
        notes=WORLD["tokenizer"]["notes"],
        merges=WORLD["tokenizer"]["merges"],
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.miniature.train_miniature_tokenizer \
            --seed {params.seed} \
            --notes {params.notes} \
            --merges {params.merges} \
            --output {output:q} &>{log:q}
        """


rule train_miniature_teachers:
    input:
        tokenizer="results/world/tokenizer.json",
        chat_template="config/miniature/chat.jinja",
    output:
        manifests=[f"results/world/{{family}}-{point}/manifest.json" for point in POINTS],
    log:
        "results/world/logs/train_miniature_teachers/{family}.log",
    benchmark:
        "results/world/timings/train_miniature_teachers/{family}.tsv"
    wildcard_constraints:
        family="|".join(sorted(WORLD["teachers"])),
    priority: 10
    conda:
        "../envs/train.yaml"
    params:
        versions=versions_of("scripts.miniature.train_miniature_teachers"),
        runs=lambda wildcards: [json.dumps(run, sort_keys=True) for run in WORLD["teachers"][wildcards.family]],
        seed=WORLD["seed"],
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.miniature.train_miniature_teachers \
            --family {wildcards.family} \
            --runs {params.runs:q} \
            --seed {params.seed} \
            --tokenizer {input.tokenizer:q} \
            --chat-template {input.chat_template:q} \
            --manifests {output.manifests:q} &>{log:q}
        """


rule train_miniature_bases:
    input:
        tokenizer="results/world/tokenizer.json",
    output:
        manifests=[f"results/world/{base}/manifest.json" for base in sorted(WORLD["bases"])],
    log:
        "results/world/logs/train_miniature_bases.log",
    benchmark:
        "results/world/timings/train_miniature_bases.tsv"
    priority: 20
    conda:
        "../envs/train.yaml"
    params:
        versions=versions_of("scripts.miniature.train_miniature_bases"),
        bases=json.dumps(WORLD["bases"], sort_keys=True),
        seed=WORLD["seed"],
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.miniature.train_miniature_bases \
            --bases {params.bases:q} \
            --seed {params.seed} \
            --tokenizer {input.tokenizer:q} \
            --manifests {output.manifests:q} &>{log:q}
        """


rule train_miniature_reward_model:
    input:
        start=lambda wildcards: f"results/world/{WORLD['reward_models'][wildcards.reward_model]['start']}/manifest.json",
    output:
        manifest="results/world/{reward_model}/manifest.json",
    log:
        "results/world/logs/train_miniature_reward_model/{reward_model}.log",
    benchmark:
        "results/world/timings/train_miniature_reward_model/{reward_model}.tsv"
    wildcard_constraints:
        reward_model="|".join(sorted(WORLD["reward_models"])),
    priority: 10
    conda:
        "../envs/train.yaml"
    params:
        versions=versions_of("scripts.miniature.train_miniature_reward_model"),
        size=lambda wildcards: json.dumps(WORLD["reward_models"][wildcards.reward_model], sort_keys=True),
        seed=WORLD["seed"],
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.miniature.train_miniature_reward_model \
            --size {params.size:q} \
            --start {input.start:q} \
            --seed {params.seed} \
            --manifest {output.manifest:q} &>{log:q}
        """


rule train_miniature_judge:
    input:
        start=lambda wildcards: f"results/world/{WORLD['judges'][wildcards.judge]['start']}/manifest.json",
        alpaca_eval="config/miniature/judge_alpaca_eval.txt",
        arena_hard="config/miniature/judge_arena_hard.txt",
    output:
        manifest="results/world/{judge}/manifest.json",
    log:
        "results/world/logs/train_miniature_judge/{judge}.log",
    benchmark:
        "results/world/timings/train_miniature_judge/{judge}.tsv"
    wildcard_constraints:
        judge="|".join(sorted(WORLD["judges"])),
    priority: 10
    conda:
        "../envs/train.yaml"
    params:
        versions=versions_of("scripts.miniature.train_miniature_judge"),
        size=lambda wildcards: json.dumps(WORLD["judges"][wildcards.judge], sort_keys=True),
        seed=WORLD["seed"],
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.miniature.train_miniature_judge \
            --size {params.size:q} \
            --start {input.start:q} \
            --seed {params.seed} \
            --alpaca-eval {input.alpaca_eval:q} \
            --arena-hard {input.arena_hard:q} \
            --manifest {output.manifest:q} &>{log:q}
        """
