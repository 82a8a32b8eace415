"""Real run directories, built through goe.core as worker, supervisor and evaluation would."""

import time
from pathlib import Path

import msgspec

from goe.core.config import RunConfig
from goe.core.process import ProcessId, myself
from goe.core.queuefile import parse_queue
from goe.core.records import CheckpointIndex, EvalResult, Exit, Launch, Metric, Phase, Status, Values
from goe.core.rundir import Attempt, RunDir, write_json

DEAD = ProcessId(pid=1, start="0", boot="none", host=myself().host)


class Lab:
    """A runs folder, a queue file, and hands to fill both."""

    def __init__(self, folder: Path) -> None:
        self.runs = folder / "runs"
        self.queue = folder / "experiments.toml"

    def config(self, name: str = "goe", seed: int = 1, method: str = "goe") -> RunConfig:
        text = f'[[experiment]]\nname = "{name}"\nseeds = [{seed}]\nmethod = "{method}"\nepochs = 10\n'
        return parse_queue(text, Path("x.toml")).runs[0]

    def spiral(self) -> RunDir:
        """A run on the spirals, made but not started."""
        text = '[[experiment]]\nname = "spiral"\ndataset = "spiral"\nmethod = "oe"\n'
        return RunDir.create(self.runs, parse_queue(text, Path("x.toml")).runs[0])

    def queued(self, name: str = "goe", seed: int = 1, method: str = "goe") -> RunDir:
        return RunDir.create(self.runs, self.config(name, seed, method))

    def started(
        self, name: str = "goe", seed: int = 1, method: str = "goe", *, worker: ProcessId | None = None
    ) -> RunDir:
        """A run whose supervisor is this test's process, so that it lives."""
        run = self.queued(name, seed, method)
        number = run.attempt_count() + 1
        assert run.claim(
            Launch(attempt=number, launcher="local", supervisor=myself(), worker=worker, started=time.time() - 60)
        )
        return run

    def status(
        self, run: RunDir, values: Values | None = None, *, phase: Phase = "training", epoch: int = 4, eta: float = 42
    ) -> None:
        status = Status(
            phase=phase, epoch=epoch, epochs=10, step=epoch * 20, values=values or {}, eta_s=eta, updated=time.time()
        )
        write_json(newest(run).status_file, status)

    def running(self, name: str = "goe", seed: int = 1, method: str = "goe", **values: float | None) -> RunDir:
        run = self.started(name, seed, method)
        spelled = {key.replace("__", "/"): value for key, value in values.items()}
        self.status(run, {"loss": 0.5123, "val/accuracy": 0.925, "images_per_s": 1234.0, **spelled})
        return run

    def ended(self, run: RunDir, *, code: int | None = 0, signal: int | None = None) -> None:
        attempt = newest(run)
        launch = msgspec.structs.replace(attempt.launch(), supervisor=DEAD, worker=None)
        write_json(attempt.launch_file, launch)
        write_json(attempt.exit_file, Exit(code=code, signal=signal, started=1000.0, ended=1090.0, peak_memory=1 << 28))

    def done(self, name: str = "goe", seed: int = 1, method: str = "goe") -> RunDir:
        run = self.running(name, seed, method)
        self.status(run, {"loss": 0.25, "val/accuracy": 0.95}, phase="finished", epoch=10, eta=0)
        self.ended(run)
        return run

    def broken(self, name: str = "broken-s1-00000000") -> RunDir:
        run = RunDir(self.runs / name)
        run.path.mkdir(parents=True)
        run.config_file.write_text("{ cut")
        return run

    def metrics(self, run: RunDir, first: int = 1, last: int = 40, *, filtering: bool = True) -> None:
        """Records of steps first … last, an epoch every 10."""
        with run.metrics_file.open("ab") as file:
            for step in range(first, last + 1):
                values: Values = {"loss": 2 / step, "loss/ce": 1 / step, "train/accuracy": 1 - 1 / step}
                if filtering:
                    values |= {"filter/rate": 0.156, "filter/precision": 0.4, "filter/recall": 0.6}
                epoch = (step - 1) // 10 + 1
                file.write(self._line("train", epoch, step, values))
                if step % 10 == 0:
                    file.write(self._line("epoch", epoch, step, {"val/loss": 2.2 / step, "val/accuracy": 1 - 2 / step}))

    def _line(self, kind: str, epoch: int, step: int, values: Values) -> bytes:
        metric = Metric(kind=kind, epoch=epoch, step=step, time=1000.0 + step, values=values)  # type: ignore[arg-type]
        return msgspec.json.encode(metric) + b"\n"

    def checkpoint(self, run: RunDir, name: str, epoch: int = 3) -> None:
        index = CheckpointIndex(
            epoch=epoch,
            step=epoch * 20,
            weights=f"epoch-{epoch:03d}.safetensors",
            weights_sha256="0" * 64,
            state=f"epoch-{epoch:03d}.state.safetensors",
            state_sha256="0" * 64,
            values={"val/accuracy": 0.9, "val/loss": 0.3},
            best_accuracy=0.9,
            saved=1_800_000_000.0,
        )
        (run.checkpoints / index.weights).write_bytes(b"x" * 2_500_000)
        write_json(run.checkpoints / f"{name}.json", index)

    def result(self, run: RunDir, auroc: float) -> None:
        result = EvalResult(
            run_id=run.run_id,
            checkpoint="best",
            epoch=10,
            weights_sha256="0" * 64,
            score="msp",
            protocol="far-ood",
            id_dataset="digits",
            classification={"accuracy": 0.95, "aurc": 0.012},
            detection={"noise": {"fpr95": 1 - auroc, "auroc": auroc, "aupr_in": 0.9, "aupr_out": 0.8}},
            sizes={"digits": 100, "noise": 100},
            created=1000.0,
        )
        write_json(run.eval / "best-msp-far-ood.json", result)


def newest(run: RunDir) -> Attempt:
    attempt = run.attempt()
    assert attempt is not None
    return attempt
