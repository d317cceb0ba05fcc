"""Two processes against one with the same global batch: same losses, same weights, same temperature."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

WORKER = """
import json, sys
import torch
torch.set_num_threads(1)
from conftest import School, caption_texts, make_tiny_base, random_captions
from glotclip.training.parallel import join_world
from glotclip.training.task_data import TaskDataLoader
from glotclip.training.task_module import TaskModule
from glotclip.training.trainer import Trainer
world = join_world()
school = School(make_tiny_base(), {"de": random_captions(caption_texts("de"))})
curriculum = school.curriculum(("de",), **json.loads(sys.argv[1]))
task = curriculum.prepare(school.base, None, ("de",), school.captions)
loader = TaskDataLoader(task, school.captions, curriculum.train, 6, device=school.base.device, world=world)
module = TaskModule(school.base, task, curriculum.method_settings, "fp32")
lines = []
Trainer(module, loader, 6, curriculum.train, world=world, log=lines.append).fit()
rows = task.groups[0].parameters[0].detach().tolist()
print(json.dumps({"rank": world.rank, "losses": [line["loss"] for line in lines], "rows": rows,
                  "temperature": float(module.alignment.temperature.detach())}))
"""


def run(size: int, settings: dict[str, Any]) -> list[dict[str, Any]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    common = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(size)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, json.dumps(settings)],
            env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1],
        )
        for rank in range(size)
    ]  # fmt: skip
    outputs = [process.communicate(timeout=200)[0] for process in processes]
    assert all(process.returncode == 0 for process in processes)
    return [json.loads(output.splitlines()[-1]) for output in outputs]


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [8, 7])
def test_two_processes_train_as_one(batch_size: int) -> None:
    """With a batch of 7 the shares are 3 and 4 rows. The contrastive loss needs the other process's negatives."""
    settings = {"isolation": "shared", "batch_size": batch_size, "steps": 6, "cross_modal": 1.0, "lr": 0.005}
    (alone,) = run(1, settings)
    both = run(2, settings)
    assert [each["rank"] for each in both] == [0, 1]
    for each in both:
        assert each["losses"] == pytest.approx(alone["losses"], abs=1e-5)
        assert each["temperature"] == pytest.approx(alone["temperature"], abs=1e-6)
        for got, expected in zip(each["rows"], alone["rows"], strict=True):
            assert got == pytest.approx(expected, abs=2e-5)
    assert both[0]["rows"] == both[1]["rows"]
    assert alone["temperature"] != pytest.approx(0.07, abs=1e-4)  # it did train
