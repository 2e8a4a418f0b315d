"""From the judgments of pilots to the decision of a race, the tables and the page."""

import json
import re

import numpy as np
import polars as pl
import pytest

from scripts.pilots import choose_pilots, race_pilots, tabulate_pilots, take_sample, write_pilots
from scripts.pilots.pilot_settings import steps_of, warmup_of
from scripts.tables.files import read_csv, write_table

SETTINGS = {"score": "quiz.accuracy", "target": 2000, "p_best": 0.9, "sizes": [100, 200, 400], "seeds": 2}
FINETUNE = {"epochs": 2, "batch_size": 32, "warmup_steps": 100}
# the share of right answers at each size; weak <b> leaves the race after 200 examples
SHARES = {"strong": (0.5, 0.6, 0.66), "near": (0.49, 0.59, 0.65), "weak <b>": (0.2, 0.25)}


def run(script, monkeypatch, **given):
    words = [word for name, values in given.items() for word in (f"--{name}", *map(str, values))]
    monkeypatch.setattr("sys.argv", ["x", *words])
    script.main()


@pytest.fixture
def judged(tmp_path):
    """Judgments and scores of the pilots of one base: each prompt is right if it is easier than the student is good."""
    rng, prompts, found = np.random.default_rng(0), 400, {}
    difficulty = (np.arange(prompts) + 0.5) / prompts
    for teacher, shares in SHARES.items():
        for size, share in zip(SETTINGS["sizes"], shares, strict=False):
            for seed in range(2):
                right = difficulty + 0.1 * rng.normal(size=prompts) < share + 0.01 * rng.normal()
                names = {"benchmark": "quiz", "base": "b", "teacher": f"{teacher}@n{size}s{seed}"}
                path = tmp_path / f"{len(found)}.parquet"
                rows = pl.DataFrame({"id": [str(i) for i in range(prompts)], "correct": right})
                write_table(rows.with_columns(**{key: pl.lit(value) for key, value in names.items()}), path)
                path.with_suffix(".json").write_text(json.dumps(names), encoding="utf-8")
                found[teacher, size, seed] = path, right
    return found


def files_of(judged, largest=400):
    paths = [path for (_, size, _), (path, _) in judged.items() if size <= largest]
    return {"judgments": paths, "scores": [path.with_suffix(".json") for path in paths]}


def test_a_race_drops_who_is_far_behind_and_decides_the_same_again(judged, tmp_path, monkeypatch):
    given = {"base": ["b"], "score": [SETTINGS["score"]], "target": [SETTINGS["target"]], **files_of(judged, 200)}
    texts = []
    for name in ("first.json", "again.json"):
        run(race_pilots, monkeypatch, size=[200], output=[tmp_path / name], **given)
        texts.append((tmp_path / name).read_text(encoding="utf-8"))
    decision = json.loads(texts[0])
    assert texts[0] == texts[1]
    assert (decision["running"], decision["left"]) == (["near", "strong"], ["weak <b>"])
    run(race_pilots, monkeypatch, size=[100], output=[tmp_path / "one.json"], **given | files_of(judged, 100))
    assert json.loads((tmp_path / "one.json").read_text(encoding="utf-8"))["left"] == []


def tabulate(files, tmp_path, monkeypatch):
    tables = {name: tmp_path / f"{name}.csv" for name in ("pilots", "curves", "findings")}
    outputs = {f"output-{name}": [path] for name, path in tables.items()}
    settings = {"pilots": [json.dumps(SETTINGS)], "finetune": [json.dumps(FINETUNE)]}
    run(tabulate_pilots, monkeypatch, **settings, **files, **outputs)
    return tables


def test_the_table_the_words_and_the_page_agree(judged, tmp_path, monkeypatch):
    tables = tabulate(files_of(judged), tmp_path, monkeypatch)
    pilots = read_csv(tables["pilots"])
    (row,) = pilots.filter(teacher="near", n=200).to_dicts()
    values = [100 * judged["near", 200, seed][1].mean() for seed in range(2)]
    assert row["score"] == pytest.approx(np.mean(values)) and row["runs"] == 2
    assert row["low"] < row["score"] < row["high"]
    predicted = {row["teacher"]: row for row in pilots.filter(kind="predicted").to_dicts()}
    assert {row["n"] for row in predicted.values()} == {2000}
    assert sum(row["p_best"] for row in predicted.values()) == pytest.approx(1)
    means = [pilots.filter(teacher="strong", n=n)["score"].item() for n in SETTINGS["sizes"]]
    line = np.polyval(np.polyfit(np.log(SETTINGS["sizes"]), means, 1), np.log(2000))
    assert predicted["strong"]["line"] == pytest.approx(line) and predicted["strong"]["level"] == means[-1]

    findings = read_csv(tables["findings"])["finding"].to_list()
    text = "\n".join(findings)
    chance = predicted["strong"]["p_best"]
    assert (
        f"Not settled: at 2,000 examples the best teacher is strong with probability {chance:.2f} (needed: 0.9)" in text
    )
    assert "Not trained at larger sizes: weak <b> up to 200 examples." in text
    assert re.search(r"2 runs with [\d,]+ examples for each of strong, near \((set|add)", text)
    assert "100 examples 8 (1); 200 examples 14 (1); 400 examples 26 (3); the student 2,000 examples 126 (100)." in text

    settings = [json.dumps({key: SETTINGS[key] for key in ("score", "target", "seeds")})]
    given = {name: [path] for name, path in tables.items()}
    run(write_pilots, monkeypatch, study=["s"], settings=settings, output=[tmp_path / "p.html"], **given)
    page = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert "<svg" in page and "weak &lt;b&gt;" in page and "weak <b>" not in page
    assert f'<data value="{chance!r}">{chance:.2f}</data>' in page


def test_a_pilot_without_a_score_is_left_out_and_named(judged, tmp_path, monkeypatch):
    lost = judged["near", 200, 1][0].with_suffix(".json")
    names = json.loads(lost.read_text(encoding="utf-8"))
    lost.write_text(json.dumps(names | {"reason": "not_trained"}), encoding="utf-8")
    tables = tabulate(files_of(judged), tmp_path, monkeypatch)
    assert read_csv(tables["pilots"]).filter(teacher="near", n=200)["runs"].item() == 1
    assert "left out: near@n200s1 (not_trained)." in tables["findings"].read_text(encoding="utf-8")


def test_a_sample_is_the_start_of_the_instructions(tmp_path, monkeypatch):
    write_table(pl.DataFrame({"id": list("cab"), "instruction": list("xyz")}), tmp_path / "all.parquet")
    given = {"instructions": [tmp_path / "all.parquet"], "output": [tmp_path / "two.parquet"]}
    run(take_sample, monkeypatch, size=[2], **given)
    assert pl.read_parquet(tmp_path / "two.parquet")["id"].to_list() == ["c", "a"]
    with pytest.raises(SystemExit, match=r"pilots.sizes: 4 examples, and the study has 3 instructions: raise"):
        run(take_sample, monkeypatch, size=[4], **given)


def test_the_first_teachers_by_car_have_pilots(tmp_path, monkeypatch):
    rows = {"base": ["b"] * 4 + ["other"], "teacher": [*"pqrst"], "rank": [2, 1, None, 3, 1]}
    pl.DataFrame(rows).write_csv(tmp_path / "teachers.csv")
    given = {"teachers": [tmp_path / "teachers.csv"], "output": [tmp_path / "chosen.json"]}
    run(choose_pilots, monkeypatch, base=["b"], n=[2], **given)
    assert json.loads((tmp_path / "chosen.json").read_text(encoding="utf-8"))["teachers"] == ["p", "q"]


def test_a_warm_up_is_at_most_a_tenth_of_the_steps():
    assert [steps_of(n, FINETUNE) for n in (250, 256, 257, 50_000)] == [16, 16, 18, 3126]
    assert [warmup_of(n, FINETUNE) for n in (250, 4000, 50_000)] == [2, 25, 100]
    assert steps_of(3, FINETUNE | {"epochs": 0.5}) == 1
