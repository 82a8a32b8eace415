"""`goe` in a hurry: it asks Slurm every second. With a worker, runs are that line of shell and not torch.

python quick.py FOLDER WORKER ARGUMENT…     WORKER: `$run` is the run's folder; empty for the real one
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    folder, worker, *arguments = sys.argv[1:]
    sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT)]
    if worker:
        from noop import use_stub

        use_stub(Path(folder), worker)
    from goe.launch import slurmwatch

    slurmwatch.SOON_S = slurmwatch.SELDOM_S = 1.0
    slurmwatch.SETTLE_S = 5.0
    import cli

    sys.argv[1:] = arguments
    cli.main()


if __name__ == "__main__":
    main()
