"""Names of evaluation results, and the command that writes one anew."""

import pytest

from goe.core.evalfile import command, split_stem, stem

NAMES = [
    ("last", "msp", "digits", "--checkpoint last --scores msp"),
    ("epoch-010", "max-logit", "default", "--checkpoint epoch-010 --scores max-logit"),
    ("best", "energy", "scood-as-id", "--checkpoint best --scores energy --protocol scood --ood-mode as-id"),
    ("best", "knn", "all", "--checkpoint best --scores knn --ood all"),
    ("best", "gen", "own-0a1b2c3d", "--checkpoint best --scores gen --ood <the same sets>"),
]


@pytest.mark.parametrize(("checkpoint", "score", "protocol", "options"), NAMES)
def test_a_name_has_three_parts_and_a_command(checkpoint: str, score: str, protocol: str, options: str) -> None:
    name = stem(checkpoint, score, protocol)
    assert split_stem(name) == (checkpoint, score, protocol)
    assert command("x-s1", name) == f"goe eval x-s1 {options} --force"


def test_other_files_have_none() -> None:
    assert split_stem("last-surface") is None
    assert command("x-s1", "copy") == "goe eval x-s1 --force"
