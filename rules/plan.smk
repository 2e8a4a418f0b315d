"""Print the remaining jobs of a study and their estimated cost; nothing is computed.

Inputs: the configuration and existing files in <results>. Output: none, the plan is printed.
"""


rule plan:
    log:
        "<results>/logs/plan.log",
    conda:
        "../envs/train.yaml"
    params:
        config=lambda wildcards: json.dumps(config),
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.plan.plan_study --config {params.config:q} 2>{log:q}
        """
