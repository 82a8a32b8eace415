"""The files of evaluation results by name, and the command that writes one anew."""

from goe.core.scorespecs import SCORE_NAMES

_USUAL = {"default", "digits", "spiral"}
"""Protocols that `goe eval` follows unasked."""


def stem(checkpoint: str, score: str, protocol: str) -> str:
    """Of `eval/<stem>.json` and `.npz`."""
    return f"{checkpoint}-{score}-{protocol}"


def split_stem(name: str) -> tuple[str, str, str] | None:
    """Checkpoint, score and protocol of a stem; None if it is none. Each of them may have a `-` in it."""
    found = [score for score in SCORE_NAMES if f"-{score}-" in name]
    if not found:
        return None
    score = max(found, key=len)
    checkpoint, _, protocol = name.partition(f"-{score}-")
    return checkpoint, score, protocol


def command(run_id: str, name: str) -> str:
    """The `goe eval` that writes the result with stem `name`, whatever is there."""
    parts = split_stem(name)
    if parts is None:
        return f"goe eval {run_id} --force"
    checkpoint, score, protocol = parts
    options = f"--checkpoint {checkpoint} --scores {score}"
    if protocol == "all":
        options += " --ood all"
    elif protocol.startswith("own-"):
        options += " --ood <the same sets>"
    elif protocol not in _USUAL:
        base, _, mode = protocol.partition("-")
        options += f" --protocol {base}" + (f" --ood-mode {mode}" if mode else "")
    return f"goe eval {run_id} {options} --force"
