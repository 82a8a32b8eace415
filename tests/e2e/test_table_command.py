"""`goe table` and `goe compare` on runs whose results are written here, nothing trained."""

import json
from typing import Any

import numpy as np
import pytest
from lab import Lab

from goe.core.config import complete
from goe.core.records import EvalResult
from goe.core.rundir import RunDir, write_json

AUROC = {"base": (0.5, 0.52, 0.54), "goe": (0.8, 0.83, 0.86)}


def put(lab: Lab, experiment: str, seed: int, auroc: float, protocol: str = "digits") -> RunDir:
    raw = {"experiment": experiment, "seed": seed, "method": "goe" if experiment == "goe" else "baseline"}
    config = complete(raw, lambda path, finding: pytest.fail(f"{path}: {finding}"))
    assert config is not None
    run = RunDir.create(lab.runs, config)
    result = EvalResult(
        run_id=run.run_id,
        checkpoint="last",
        epoch=1,
        weights_sha256="00",
        score="msp",
        protocol=protocol,
        id_dataset="digits",
        classification={"accuracy": 0.95},
        detection={"far": {"auroc": auroc, "fpr95": 1 - auroc}},
        sizes={},
        created=0.0,
    )
    path = run.eval / f"last-msp-{protocol}.json"
    write_json(path, result)
    scores = {"correct": np.array([True, True]), "score/digits": np.array([0.9, 0.5]), "score/far": np.array([0.5])}
    np.savez_compressed(path.with_suffix(".npz"), **scores)
    return run


@pytest.fixture
def tested(lab: Lab) -> Lab:
    for experiment, values in AUROC.items():
        for seed, value in enumerate(values, 1):
            put(lab, experiment, seed, value)
    return lab


def table(lab: Lab, *options: str) -> str:
    done = lab.goe("table", *options)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_marks_metrics_and_a_filter(tested: Lab) -> None:
    text = table(tested, "--metrics", "auroc", "--sets", "far", "--rows", "method", "--against", "base")
    assert [line.split() for line in text.splitlines()[1:4]] == [
        ["method", "seeds", "AUROC", "%", "↑"],
        ["baseline", "3/3", "_52.00", "±", "2.00"],
        ["goe", "3/3", "*83.00", "±", "3.00†"],
    ]
    assert "†: differs from base under the same score with p < 0.05" in text
    assert "*: best; _: second best." in text
    only = table(tested, "--where", "method=g*", "--metrics", "auroc", "--format", "md")
    assert "| goe | 3/3 | 83.00 ± 3.00 |" in only
    assert "base" not in only


def test_other_conventions_come_from_the_raw_scores(tested: Lab) -> None:
    found = json.loads(table(tested, "--ties", "against-id", "--metrics", "auroc", "--sets", "far", "--format", "json"))
    assert [(one["mean"], one["n"], one["ties"]) for one in found] == [(0.5, 3, "against-id")] * 2  # a pair of two
    file = next(tested.runs.glob("base-s2-*/eval/*.npz"))
    file.unlink()
    done = tested.goe("table", "--ties", "against-id", "--metrics", "auroc", "--sets", "far")
    assert done.returncode == 0
    assert "50.00 ± 0.00 (2/3)" in done.stdout
    assert done.stderr.startswith(f"warning: runs/{file.parent.parent.name}/eval/{file.name}: raw scores are missing; ")


def test_protocols_are_not_mixed_unasked(tested: Lab) -> None:
    put(tested, "goe", 1, 0.9, protocol="scood")
    done = tested.goe("table")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: digits: results of 2 protocols, digits, scood, which don't compare; "
        "choose one with --where protocol=NAME, or print a block for each with --mixed\n"
    )
    assert "protocol scood" not in table(tested, "--where", "protocol=digits")
    mixed = table(tested, "--mixed")
    assert "protocol scood" in mixed
    assert "90.00 (1/3)" in mixed


def test_planned_experiments_without_results_are_named(tested: Lab) -> None:
    tested.queue('[[experiment]]\nname = "later"\nseeds = [1, 2]\n')
    done = tested.goe("table")
    assert (done.returncode, done.stderr) == (0, "without a result: later (0/2)\n")
    assert tested.goe("table", "--where", "experiment=goe").stderr == ""


def test_the_papers_layout_and_figures_fit_all_forms(tested: Lab) -> None:
    for form in ("text", "md", "latex", "html", "csv", "json"):
        text = table(tested, "--preset", "paper", "--compare", "paper", "--format", form)
        assert "83.00 ± 3.00" in text or "83.00 $\\pm$ 3.00" in text
    assert "G-OE" in table(tested, "--preset", "paper")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ("--format", "htm"),
            '--format: "htm" is unknown (did you mean "html"?); known: text, md, csv, json, latex, html',
        ),
        (("--rows", "metod"), '--rows: "metod" is unknown (did you mean "method"?)'),
        (("--sets", "fra"), '--sets: "fra" is unknown (did you mean "far"?); known: far, average'),
        (
            ("--where", "method=geo"),
            '--where: no result has method "geo" (did you mean "goe"?); there are: baseline, goe',
        ),
        (("--preset", "papr"), '--preset: "papr" is unknown (did you mean "paper"?); known: paper'),
        (("--against", "bas"), '"bas": no results of such an experiment (did you mean "base"?); there are: base, goe'),
    ],
)
def test_words_nobody_knows(options: tuple[str, str], said: str, tested: Lab) -> None:
    done = tested.goe("table", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {said}")


def compared(lab: Lab, *options: str) -> Any:
    done = lab.goe("compare", "goe", "base", *options)
    assert done.returncode == 0, done.stderr
    return done


def test_two_experiments_are_compared_seed_by_seed(tested: Lab) -> None:
    put(tested, "goe", 4, 0.9)
    done = compared(tested)
    # 0.30, 0.31, 0.32 apart: t = 31 √3 ≈ 53.7, two degrees of freedom
    assert "far       AUROC % ↑  83.00  52.00  +31.00 ± 1.00  [+30.00, +32.00]  < 0.001  3" in done.stdout
    assert "digits    ACC % ↑    95.00  95.00  +0.00 ± 0.00" in done.stdout
    assert done.stderr == "seed 4 of goe left out: base has no value for it\n"
    record = next(one for one in json.loads(compared(tested, "--json").stdout) if one["metric"] == "auroc")
    assert (record["seeds"], record["only_a"], record["difference"]["n"]) == ([1, 2, 3], [4], 3)
    wrong = tested.goe("compare", "goe", "bse")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith('error: "bse": no results of such an experiment (did you mean "base"?)')
