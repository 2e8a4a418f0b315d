"""Full disks, damaged files and invalid text: a one-line error, no incomplete file, and no lost results."""

import errno
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest

from conftest import snakemake
from scripts.tables.files import read_table, write_table
from scripts.tables.row_store import RowStore
from scripts.tables.text_files import exit_if_unwritable, write_json


@contextmanager
def small_disk(folder, size):
    """Mount a separate file system of `size` at `folder`."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


needs_mount = pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a file system")


@needs_mount
@pytest.mark.fault(4)
@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.jsonl", "t.json"])
def test_a_full_disk_keeps_the_old_file_and_the_error_names_path_and_size(tmp_path, name):
    rows = [os.urandom(30).hex() for _ in range(8000)]
    with small_disk(tmp_path / "disk", "256k") as disk:
        old, new = ("old", rows) if name == "t.json" else (pl.DataFrame({"a": ["old"]}), pl.DataFrame({"a": rows}))
        write = write_json if name == "t.json" else write_table
        write(old, disk / name)
        before = (disk / name).read_bytes()
        with pytest.raises(SystemExit, match=rf"disk/.{name}.tmp: no space left on the disk .0.\d MB free, up to 0.\d"):
            write(new, disk / name)
        assert os.listdir(disk) == [name] and (disk / name).read_bytes() == before


@needs_mount
@pytest.mark.fault(4)
def test_a_disk_without_inodes_says_so(tmp_path):
    with small_disk(tmp_path / "disk", "1m,nr_inodes=3") as disk:
        for name in "ab":
            (disk / name).touch()
        with pytest.raises(SystemExit, match=r"disk/.t.json.tmp: no more files fit on the disk .no free inodes.:"):
            write_json({}, disk / "t.json")


@pytest.mark.fault(4)
@pytest.mark.parametrize(
    "number, line",
    [
        (errno.EDQUOT, "your disk quota of bytes or files is used up"),
        (errno.EROFS, "the file system is read-only"),
        (errno.EACCES, "no right to write into {folder} of user {uid}: get it, or run in a folder of your own"),
    ],
)
def test_a_quota_or_right_that_forbids_to_write_is_one_line(tmp_path, number, line):
    line = line.format(folder=tmp_path, uid=tmp_path.stat().st_uid)
    expected = pytest.raises(SystemExit, match=f"^{re.escape(f'{tmp_path}/t.json: {line}')}")
    with expected, exit_if_unwritable(tmp_path / "t.json", 0):
        raise OSError(number, os.strerror(number))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("path", ["run.lock", "a/rows"])
def test_a_run_of_another_user_in_this_folder_is_refused_in_one_line(tmp_path, path):
    code = "import os, sys; from pathlib import Path; from scripts.jobs.run_lock import hold_run_lock\n"
    code += "from scripts.tables.row_store import RowStore; os.chdir(sys.argv[1]); os.seteuid(65534)\n"
    code += {"run.lock": "hold_run_lock(Path('run.lock'))", "a/rows": "RowStore(Path('a/rows'), {}, 1)"}[path]
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    for parent in (folder, *folder.parents[:3]):
        parent.chmod(0o755)
    (folder / "run.lock").touch()
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True)
    line = rf"[^\n]*{path}[^\n]*: no right to write into [^\n]* of user 0: get it, or run in a folder of your own\n"
    assert re.fullmatch(line, done.stderr), done.stderr


@needs_mount
@pytest.mark.fault(4)
def test_a_full_disk_keeps_stored_rows_and_the_next_run_computes_the_rest(tmp_path):
    computed = []

    def compute(rows):
        computed.extend(row["id"] for row in rows)
        return [{"text": random.Random(row["id"]).randbytes(3000).hex()} for row in rows]

    rows = [{"id": i} for i in range(120)]
    with small_disk(tmp_path / "disk", "300k") as disk:
        store = RowStore(disk / "rows", {"model": "a"}, 1)
        with pytest.raises(SystemExit, match=r"no space left.*finished work is kept"):
            store.fill(rows, lambda: compute, block=40)
        store.lock.close()
        assert computed == list(range(120)) or computed == list(range(80))
        stored = sum(pl.read_parquet(path).height for path in disk.glob("rows/*/*.parquet"))
        shutil.copytree(disk / "rows", tmp_path / "rows")  # a larger disk
    computed.clear()
    results = RowStore(tmp_path / "rows", {"model": "a"}, 1).fill(rows, lambda: compute, block=40)
    assert stored in (40, 80) and computed == list(range(stored, 120)) and len(results) == 120


FRAME = pl.DataFrame(
    {
        "id": [str(i) for i in range(500)],
        "text": [f"response {i}" for i in range(500)],
        "nll": [i / 7 for i in range(500)],
    }
)


@pytest.mark.fault(5)
@pytest.mark.parametrize(
    "damage", [lambda b: b"", lambda b: b[:-1], lambda b: b[: len(b) // 2], lambda b: b[:4] + b[8:]]
)
def test_the_error_for_a_truncated_table_names_it_and_says_what_to_do(tmp_path, damage):
    path = tmp_path / "t.parquet"
    write_table(FRAME, path)
    assert read_table(path).equals(FRAME) and read_table(path, ["nll"]).equals(FRAME.select("nll"))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(SystemExit, match=r"t\.parquet is damaged \(.*\): delete it and run again to rebuild it"):
        read_table(path)


@pytest.mark.fault(5)
def test_a_flipped_bit_never_changes_a_value_silently(tmp_path):
    path, rng, found = tmp_path / "t.parquet", random.Random(0), 0
    write_table(FRAME, path)
    intact = path.read_bytes()
    for _ in range(300):
        at = rng.randrange(len(intact))
        path.write_bytes(intact[:at] + bytes([intact[at] ^ 1 << rng.randrange(8)]) + intact[at + 1 :])
        try:
            assert read_table(path).equals(FRAME)  # a bit that is not read
        except SystemExit as error:
            assert "is damaged" in str(error)
            found += 1
    assert found > 250


@pytest.mark.study
@pytest.mark.fault(5)
def test_a_damaged_response_file_stops_its_readers_and_only_it_is_rebuilt(study_copy):
    path = study_copy / "results/miniature/responses/terse-small.parquet"
    before = path.read_bytes()
    path.write_bytes(before[: len(before) // 2])
    target = "results/miniature/checkpoints/alpha/terse-small/manifest.json"
    done = snakemake("--cores", "1", "--", target, cwd=study_copy)
    assert done.returncode and "terse-small.parquet is damaged" in done.stdout, done.stdout[-2000:]
    path.unlink()
    done = snakemake("--cores", "1", "--", target, cwd=study_copy)
    assert done.returncode == 0 and path.read_bytes() == before
    assert "2 of 2 steps" in done.stdout  # the responses, from the row store, and the job that reads them
    assert (
        "320 of 320 rows found"
        in (study_copy / "results/miniature/logs/generate_responses/terse-small.log").read_text()
    )


def prepare(folder, *lines):
    (folder / "mine.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    spec = {"path": str(folder / "mine.jsonl"), "columns": {"instruction": "prompt"}, "n": None, "seed": 0}
    command = [
        sys.executable,
        "-m",
        "scripts.instructions.prepare_instructions",
        "--spec",
        json.dumps(spec | {"max_characters": 99}),
    ]
    command += ["--output", folder / "kept.parquet", "--set-aside", folder / "aside.parquet"]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.fault(8)
def test_line_separators_and_nul_are_kept_in_an_instruction(tmp_path):
    done = prepare(tmp_path, '{"prompt": "one\u2028two"}', '{"prompt": "nul \\u0000 inside"}')
    assert done.returncode == 0, done.stderr
    assert sorted(read_table(tmp_path / "kept.parquet")["instruction"]) == ["nul \0 inside", "one\u2028two"]


@pytest.mark.fault(8)
def test_a_row_with_a_lone_surrogate_is_set_aside_with_a_reason(tmp_path):
    done = prepare(tmp_path, '{"prompt": "good"}', '{"prompt": "broken \\ud800 pair"}')
    assert done.returncode == 0, done.stderr
    assert read_table(tmp_path / "kept.parquet")["instruction"].to_list() == ["good"]
    assert read_table(tmp_path / "aside.parquet").select("row", "reason").rows() == [(2, "undecodable")]


@pytest.mark.fault(8)
def test_generated_text_with_incomplete_utf8_is_flagged():
    from scripts.engines.results import with_text

    assert with_text("half an emoji \ufffd", "stop", 5)["reason"] == "undecodable"
    assert with_text("a line\u2028separator", "stop", 5)["reason"] is None
