"""Input from outside is data: weights run no code, templates run in a sandbox, ids are never used as paths."""

import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from transformers import AutoModelForCausalLM

from scripts.configuration.config_files import wrong_folder
from scripts.models.chat import Chat
from scripts.models.loading import load_model
from scripts.models.tokenizers import load_tokenizer
from scripts.tables.files import read_table, write_table


class Program:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.write_text, (self.path, "a program ran")


def test_pickled_weights_are_refused_and_never_run(tiny, tmp_path):
    pickle.loads(pickle.dumps(Program(tmp_path / "works")))
    assert (tmp_path / "works").exists()  # the program works
    folder = Path(shutil.copytree(tiny, tmp_path / "pickled"))
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": Program(tmp_path / "ran")}))
    (line,) = wrong_folder("teachers.t.model", str(folder))
    assert line.endswith("is not a model folder: it needs config.json and weights in *.safetensors")
    with pytest.raises(OSError, match="safetensors"):
        load_model(AutoModelForCausalLM, str(folder))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}{{ eos_token }}",
        "{{ cycler.__init__.__globals__.os.system('touch ran') }}{{ eos_token }}",
        "{% for i in range(10 ** 9) %}x{% endfor %}{{ eos_token }}",
        "{% if %}",
    ],
)
def test_a_template_cannot_run_code_or_touch_files(tiny, tmp_path, template, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hostile.jinja").write_text(template)
    with pytest.raises(SystemExit, match="the chat template cannot be used: "):
        Chat(load_tokenizer(str(tiny), chat_template=str(tmp_path / "hostile.jinja"))).prompt("-")
    assert not (tmp_path / "ran").exists()


def test_an_id_that_looks_like_a_path_stays_an_id(tmp_path):
    ids = ["../../outside", "/etc/passwd", "a\\b", "CON", "x" * 5000]
    (tmp_path / "work").mkdir()
    frame = pl.DataFrame({"id": ids, "teacher": "t", "response": ids}).with_columns(reason=pl.lit(None, pl.String))
    write_table(frame, tmp_path / "work/responses.parquet")
    command = [sys.executable, "-m", "scripts.ranking.measure_diversity", "--teachers", "t"]
    command += ["--responses", "responses.parquet"]
    subprocess.run([*command, "--outputs", "diversity.parquet"], cwd=tmp_path / "work", check=True, capture_output=True)
    assert read_table(tmp_path / "work/diversity.parquet")["id"].to_list() == ids
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["diversity.parquet", "responses.parquet", "work"]
