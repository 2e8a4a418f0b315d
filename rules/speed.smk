"""How fast each stage is on this machine, and by how much the plain way of doing the same is slower.

Inputs: none; models are made of random weights. Output: results/speed.csv, anew each time it is asked for.
"""


rule speed:
    log:
        "results/logs/speed.log",
    conda:
        "../envs/train.yaml"
    threads: 1024  # all there are: nothing else shall run
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
