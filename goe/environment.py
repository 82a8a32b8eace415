"""What a run is computed with, written once into `env.json`, and its uncommitted code into `code.patch`."""

import importlib.metadata
import os
import platform
import sys
from pathlib import Path

import torch

from goe.core.code import CodeIdentity, code_patch
from goe.core.provenance import PATCH_LIMIT, Environment
from goe.core.report import size
from goe.core.rundir import RunDir, write_atomic, write_json
from goe.device import pick_compute


def write_environment(run: RunDir, code: CodeIdentity, *, data: Path, processes: int = 1) -> None:
    """Write both unless an earlier attempt did. `code` is what runs now, `data` the folder with the data sets."""
    if run.env_file.exists():
        return
    config = run.config()
    environment = Environment(
        goe=code.version,
        commit=code.commit,
        dirty=code.diff_sha256 is not None if code.commit else None,
        diff_sha256=code.diff_sha256,
        patch=_keep_patch(run) if code.diff_sha256 else "",
        code=code.digest,
        python=platform.python_version(),
        platform=platform.platform(),
        host=platform.node(),
        command=tuple(sys.orig_argv),
        folder=str(Path.cwd()),
        data=os.path.abspath(data),  # noqa: PTH100 -- a link stays a link
        seed=config.seed,
        packages={found.metadata["Name"]: found.version for found in importlib.metadata.distributions()},
        cuda=torch.version.cuda,
        gpus=tuple(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())),
        threads=torch.get_num_threads(),
        processes=processes,
        precision=pick_compute(config).precision,
    )
    write_json(run.env_file, environment)


def _keep_patch(run: RunDir) -> str:
    patch = code_patch()
    if len(patch) > PATCH_LIMIT:
        return f"left out: {size(len(patch))}, more than {size(PATCH_LIMIT)}"
    write_atomic(run.patch_file, patch)
    return run.patch_file.name
