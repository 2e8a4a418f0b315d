"""The card of a data set: what its files contain, how to train on them, and what differs from the study."""

CARD = """\
---
configs:
- config_name: default
  data_files: train.parquet
- config_name: tokens
  data_files: tokens.parquet
---

# Training data for {base} from {teacher}

Responses of **{teacher}**, the first teacher by CAR ({car:.4g}) for the base model `{model}` ({pinned}) in the study
`{study}`. {compared} CAR = r / (1 + beta L),
where r is the reward of the responses and L the loss of the base model on them. {note}Only fine-tuning shows whether
CAR finds the best teacher: see `tables/` of the study.

| file | rows | content |
|---|---|---|
| `tokens.parquet` | {n_examples} | `input_ids`, `attention_mask`, `labels`: what the study fine-tunes this base on |
| `train.parquet` | {n_conversations} | `id`, `prompt`, `completion`, and both as `messages`: for any model |

## Train this base

```python
from datasets import load_dataset
from transformers import AutoTokenizer
from trl import SFTConfig, SFTTrainer

folder = {folder!r}
options = {options!r}
tokenizer = AutoTokenizer.from_pretrained({model!r}, **options)
tokenizer.chat_template = open(f"{{folder}}/chat_template.jinja", encoding="utf-8").read()
trainer = SFTTrainer(
    model={model!r},
    args=SFTConfig(output_dir="checkpoint", max_length=None, eos_token={end!r}, model_init_kwargs=options),
    train_dataset=load_dataset("parquet", data_files=f"{{folder}}/tokens.parquet", split="train"),
    processing_class=tokenizer,
)
trainer.train()
```

TRL takes the ids and labels of `tokens.parquet` as they are. A row is the prompt as `chat_template.jinja` renders it,
the response, and the end of turn, which ends in `{end}`; nothing follows. The prompt has no labels (-100). A control
token inside a text is plain characters. A row has at most {max_length} tokens (rows cut there: {n_truncated}). A row
that is cut has no end of turn, and neither has a response that was cut at max_new_tokens. {not_trained}

Load the file as above: `load_dataset(folder)` may return what it has stored of another data set of the same name.
axolotl reads `tokens.parquet` with an empty `type:`; LLaMA-Factory reads as its `tokenized_path` what
`load_dataset("parquet", data_files=...).save_to_disk(...)` writes.

This code uses TRL's default epochs, learning rate and batch size. Those of the study are in its `config.yaml`, under
`finetune`.

## Train another model

`train.parquet` has the format of TRL's SFTTrainer for conversations in `prompt` and `completion`, and that of axolotl,
LLaMA-Factory, torchtune and open-instruct in `messages`. {left_out} A trainer makes its own ids of these
texts and adds an end of turn, so responses that were cut at max_new_tokens are not among them. {rendered}

## Source

The responses were written by the teacher, so its license applies to their use.

```json
{source}
```
"""


def counted(start: str, counts: dict[str, int], otherwise: str) -> str:
    """A sentence that lists how many rows there are of each kind, without those that do not occur."""
    kinds = [f"{n} {kind}" for kind, n in counts.items() if n]
    return f"{start}: {', '.join(kinds)}." if kinds else otherwise


def as_rendered(same: int, total: int, differences: dict[str, int]) -> str:
    """How many conversations SFTTrainer would read exactly as the study does, and why it reads the others otherwise."""
    start = (
        f"For {same} of {total} conversations SFTTrainer makes the ids and labels of the study, with the tokenizer of "
        "this base and `chat_template.jinja`"
    )
    return counted(f"{start}. Of the others", differences, f"{start}.")
