"""How fast each stage is on this machine, compared with a straightforward implementation.

Inputs: none, models have random weights. Output: results/speed.csv, written again by every run.
"""


rule speed:
    log:
        "results/logs/speed.log",
    conda:
        "../envs/train.yaml"
    threads: 1024  # all of the machine: no other job must run
    resources:
        gpu=1,
        mem_mb=32000,
    params:
        table="results/speed.csv",
    shell:
        """
        exec python -m scripts.jobs.run_job --gpus {resources.gpu} scripts.speed.measure_speed \
            --output {params.table:q} 2>{log:q}
        """
