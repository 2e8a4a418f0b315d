"""Pilots: small trainings with several teachers, sizes and seeds, and what they say of the teachers at the target.

A pilot is a further run of a pair, with the run @n{size}s{seed}: the rules that train, answer, judge and score a pair are
used for it, one job for each pilot. With `race: true`, checkpoints decide which teachers have pilots of the next size.

Inputs: <results>/instructions.parquet, <results>/responses/{teacher}.parquet, the base's folder if it is local; for the
first teachers by CAR also <results>/tables/teachers.csv.
Outputs: <results>/pilots/instructions/{size}.parquet (the samples), <results>/pilots/{base}/teachers.json and
<results>/pilots/{base}/after_{size}.json (who has pilots); checkpoints, answers, judgments and scores like those of a pair;
pilots.csv, pilot_curves.csv and pilot_findings.csv in <results>/tables/; <results>/pilots.html.
"""

from scripts.pilots.pilot_settings import warmup_of

PILOTS = config["pilots"]
PILOT_BENCHMARK = PILOTS["score"].rpartition(".")[0]
PILOT_SIZES = PILOTS["sizes"]
PILOT_RUN = rf"@n({one_of(map(str, PILOT_SIZES))})s\d+"
PILOT_PAGE = "scripts/pilots/pilots.html.jinja"


def size_and_seed(run):
    """The number of examples and the seed of a pilot, from its run @n{size}s{seed}."""
    return tuple(map(int, re.fullmatch(r"@n(\d+)s(\d+)", run).groups()))


def hyperparameters_of_pilot(run):
    """The section finetune as a pilot reads it: as a run of the study, but with a warm-up that fits its steps."""
    size, seed = size_and_seed(run)
    return as_json(
        json.loads(hyperparameters_of("")) | {"seed": seed, "warmup_steps": warmup_of(size, config["finetune"])}
    )


def entrants(base):
    """The teachers that have pilots of the smallest size."""
    if isinstance(PILOTS["teachers"], int):
        with open(checkpoints.choose_pilots.get(base=base).output.teachers, encoding="utf-8") as file:
            return json.load(file)["teachers"]
    names = COMPARED if PILOTS["teachers"] == "all" else sorted(PILOTS["teachers"])
    return [name for name in names if f"{base}/{name}" in PAIRS]


def running(base, size):
    """The teachers that have pilots of a size."""
    place = PILOT_SIZES.index(int(size))
    if not place or not PILOTS["race"]:
        return entrants(base)
    decision = checkpoints.race_pilots.get(base=base, size=PILOT_SIZES[place - 1]).output.decision
    with open(decision, encoding="utf-8") as file:
        return json.load(file)["running"]


def of_pilots(folder, ending, bases, largest):
    """A file for each pilot of these bases, up to a size."""
    return [
        f"{RESULTS}/{folder}/{PILOT_BENCHMARK}/{base}/{teacher}@n{size}s{seed}.{ending}"
        for base in bases
        for size in PILOT_SIZES
        if size <= int(largest)
        for teacher in running(base, size)
        for seed in range(PILOTS["seeds"])
    ]


def of_pilots_if(found):
    """A constraint for {benchmark}: that of the pilots, if it is among these."""
    return one_of({PILOT_BENCHMARK} & set(found))


checkpoint choose_pilots:
    input:
        teachers="<results>/tables/teachers.csv",
    output:
        teachers="<results>/pilots/{base}/teachers.json",
    log:
        "<results>/logs/choose_pilots/{base}.log",
    benchmark:
        "<results>/timings/choose_pilots/{base}.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        code=code_of("scripts.pilots.choose_pilots"),
        n=PILOTS["teachers"],
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.pilots.choose_pilots \
            --base {wildcards.base} \
            --n {params.n} \
            --teachers {input.teachers:q} \
            --output {output.teachers:q} &>{log:q}
        """


rule take_sample:
    input:
        instructions="<results>/instructions.parquet",
    output:
        instructions="<results>/pilots/instructions/{size}.parquet",
    log:
        "<results>/logs/take_sample/{size}.log",
    benchmark:
        "<results>/timings/take_sample/{size}.tsv"
    wildcard_constraints:
        size=one_of(map(str, PILOT_SIZES)),
    conda:
        "../envs/analysis.yaml"
    params:
        code=code_of("scripts.pilots.take_sample"),
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.pilots.take_sample \
            --size {wildcards.size} \
            --instructions {input.instructions:q} \
            --output {output.instructions:q} &>{log:q}
        """


use rule finetune as finetune_pilot with:
    input:
        check=lambda wildcards: check_of("bases", wildcards.base),
        model=lambda wildcards: model_inputs(config["bases"][wildcards.base]),
        instructions=lambda wildcards: f"{RESULTS}/pilots/instructions/{size_and_seed(wildcards.run)[0]}.parquet",
        responses="<results>/responses/{teacher}.parquet",
    log:
        "<results>/logs/finetune_pilot/{base}/{teacher}{run}.log",
    benchmark:
        "<results>/timings/finetune_pilot/{base}/{teacher}{run}.tsv"
    wildcard_constraints:
        run=PILOT_RUN,
    params:
        hyperparameters=lambda wildcards: hyperparameters_of_pilot(wildcards.run),


use rule answer_benchmark as answer_pilot with:
    input:
        manifest="<results>/checkpoints/{base}/{teacher}{run}/manifest.json",
        prompts=f"<results>/prompts/{PILOT_BENCHMARK}.parquet",
    output:
        answers=f"<results>/answers/{PILOT_BENCHMARK}/{{base}}/{{teacher}}{{run}}.parquet",
    log:
        "<results>/logs/answer_pilot/{base}/{teacher}{run}.log",
    benchmark:
        "<results>/timings/answer_pilot/{base}/{teacher}{run}.tsv"
    wildcard_constraints:
        run=PILOT_RUN,
    params:
        benchmarks=PILOT_BENCHMARK,
        samplings=as_json(config["benchmarks"][PILOT_BENCHMARK]["sampling"]),
        stores=f"{RESULTS}/rows/answers/{PILOT_BENCHMARK}/{{base}}/{{teacher}}{{run}}",


use rule judge_exact as judge_exact_of_pilot with:
    input:
        prompts="<results>/prompts/{benchmark}.parquet",
        baseline="<results>/baselines/{benchmark}.parquet",
        answers="<results>/answers/{benchmark}/{base}/{teacher}{run}.parquet",
    output:
        judgments="<results>/judgments/{benchmark}/{base}/{teacher}{run}.parquet",
    log:
        "<results>/logs/judge_exact_of_pilot/{benchmark}/{base}/{teacher}{run}.log",
    benchmark:
        "<results>/timings/judge_exact_of_pilot/{benchmark}/{base}/{teacher}{run}.tsv"
    wildcard_constraints:
        run=PILOT_RUN,
        benchmark=of_pilots_if(judged_by("judge_exact")),


use rule judge_reward as judge_reward_of_pilot with:
    input:
        model=lambda wildcards: model_inputs(judge_of(wildcards.benchmark)),
        check=lambda wildcards: check_of("judges", config["benchmarks"][wildcards.benchmark]["judge"]),
        prompts="<results>/prompts/{benchmark}.parquet",
        baseline="<results>/baselines/{benchmark}.parquet",
        answers="<results>/answers/{benchmark}/{base}/{teacher}{run}.parquet",
    output:
        judgments="<results>/judgments/{benchmark}/{base}/{teacher}{run}.parquet",
    log:
        "<results>/logs/judge_reward_of_pilot/{benchmark}/{base}/{teacher}{run}.log",
    benchmark:
        "<results>/timings/judge_reward_of_pilot/{benchmark}/{base}/{teacher}{run}.tsv"
    wildcard_constraints:
        run=PILOT_RUN,
        benchmark=of_pilots_if(judged_by("judge_reward")),
    resources:
        gpu=lambda wildcards: judge_of(wildcards.benchmark)["gpus"],
        mem_mb=lambda wildcards: memory_of(judge_of(wildcards.benchmark)),
        replicas=1,
    params:
        pairs="{base}/{teacher}{run}",


use rule judge_grades as judge_grades_of_pilot with:
    input:
        model=lambda wildcards: model_inputs(judge_of(wildcards.benchmark)),
        check=lambda wildcards: check_of("judges", config["benchmarks"][wildcards.benchmark]["judge"]),
        template=lambda wildcards: judge_template_of(config["benchmarks"][wildcards.benchmark]),
        prompts="<results>/prompts/{benchmark}.parquet",
        answers="<results>/answers/{benchmark}/{base}/{teacher}{run}.parquet",
    output:
        judgments="<results>/judgments/{benchmark}/{base}/{teacher}{run}.parquet",
    log:
        "<results>/logs/judge_grades_of_pilot/{benchmark}/{base}/{teacher}{run}.log",
    benchmark:
        "<results>/timings/judge_grades_of_pilot/{benchmark}/{base}/{teacher}{run}.tsv"
    wildcard_constraints:
        run=PILOT_RUN,
        benchmark=of_pilots_if(judged_by("judge_grades")),
    resources:
        gpu=lambda wildcards: judge_of(wildcards.benchmark)["gpus"],
        mem_mb=lambda wildcards: memory_of(judge_of(wildcards.benchmark)),
        replicas=1,
    params:
        pairs="{base}/{teacher}{run}",


use rule score_judgments as score_judgments_of_pilot with:
    input:
        judgments="<results>/judgments/{benchmark}/{base}/{teacher}{run}.parquet",
    output:
        scores="<results>/scores/{benchmark}/{base}/{teacher}{run}.json",
    log:
        "<results>/logs/score_judgments_of_pilot/{benchmark}/{base}/{teacher}{run}.log",
    benchmark:
        "<results>/timings/score_judgments_of_pilot/{benchmark}/{base}/{teacher}{run}.tsv"
    wildcard_constraints:
        run=PILOT_RUN,
        benchmark=of_pilots_if(scored_by("score_judgments")),
    params:
        pairs="{base}/{teacher}{run}",


use rule score_grade as score_grade_of_pilot with:
    input:
        judgments="<results>/judgments/{benchmark}/{base}/{teacher}{run}.parquet",
    output:
        scores="<results>/scores/{benchmark}/{base}/{teacher}{run}.json",
    log:
        "<results>/logs/score_grade_of_pilot/{benchmark}/{base}/{teacher}{run}.log",
    benchmark:
        "<results>/timings/score_grade_of_pilot/{benchmark}/{base}/{teacher}{run}.tsv"
    wildcard_constraints:
        run=PILOT_RUN,
        benchmark=of_pilots_if(scored_by("score_grade")),
    params:
        pairs="{base}/{teacher}{run}",


checkpoint race_pilots:
    input:
        judgments=lambda wildcards: of_pilots("judgments", "parquet", [wildcards.base], wildcards.size),
        scores=lambda wildcards: of_pilots("scores", "json", [wildcards.base], wildcards.size),
    output:
        decision="<results>/pilots/{base}/after_{size}.json",
    log:
        "<results>/logs/race_pilots/{base}/{size}.log",
    benchmark:
        "<results>/timings/race_pilots/{base}/{size}.tsv"
    wildcard_constraints:
        size=one_of(map(str, PILOT_SIZES[:-1])),
    conda:
        "../envs/analysis.yaml"
    params:
        code=code_of("scripts.pilots.race_pilots"),
        score=PILOTS["score"],
        target=PILOTS["target"],
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.pilots.race_pilots \
            --base {wildcards.base} \
            --size {wildcards.size} \
            --score {params.score} \
            --target {params.target} \
            --judgments {input.judgments:q} \
            --scores {input.scores:q} \
            --output {output.decision:q} &>{log:q}
        """


rule tabulate_pilots:
    input:
        judgments=lambda wildcards: of_pilots("judgments", "parquet", BASES, PILOT_SIZES[-1]),
        scores=lambda wildcards: of_pilots("scores", "json", BASES, PILOT_SIZES[-1]),
    output:
        pilots=report("<results>/tables/pilots.csv", caption="captions/pilots.rst", category="Tables"),
        curves="<results>/tables/pilot_curves.csv",
        findings="<results>/tables/pilot_findings.csv",
    log:
        "<results>/logs/tabulate_pilots.log",
    benchmark:
        "<results>/timings/tabulate_pilots.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        code=code_of("scripts.pilots.tabulate_pilots"),
        pilots=as_json(PILOTS, "score", "target", "p_best", "sizes", "seeds"),
        finetune=as_json(config["finetune"], "epochs", "batch_size", "warmup_steps"),
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.pilots.tabulate_pilots \
            --pilots {params.pilots:q} \
            --finetune {params.finetune:q} \
            --judgments {input.judgments:q} \
            --scores {input.scores:q} \
            --output-pilots {output.pilots:q} \
            --output-curves {output.curves:q} \
            --output-findings {output.findings:q} &>{log:q}
        """


rule write_pilots:
    input:
        pilots="<results>/tables/pilots.csv",
        curves="<results>/tables/pilot_curves.csv",
        findings="<results>/tables/pilot_findings.csv",
        template=PILOT_PAGE,
        macros=MACROS,
        style=STYLE,
    output:
        page=report("<results>/pilots.html", caption="captions/pilots.rst", category="Report"),
    log:
        "<results>/logs/write_pilots.log",
    conda:
        "../envs/analysis.yaml"
    params:
        code=code_of("scripts.pilots.write_pilots"),
        digests=lambda wildcards: digests_of([PILOT_PAGE, MACROS, STYLE]),
        study=config["study"],
        pilots=as_json(PILOTS, "score", "target", "seeds"),
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.pilots.write_pilots \
            --study {params.study} \
            --settings {params.pilots:q} \
            --pilots {input.pilots:q} \
            --curves {input.curves:q} \
            --findings {input.findings:q} \
            --output {output.page:q} &>{log:q}
        """
