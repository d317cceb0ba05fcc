"""Several processes training as one (``torchrun``): same batch, same loss, same gradients.

Each process encodes its share of the global batch; features are gathered, so that every process computes the
loss over *all* negatives. Gradients are averaged by hand once per optimiser step: the trained weights are a few
megabytes, and ``DistributedDataParallel`` would have to wrap a module whose layers change with the language.

Shapes: B this process's share of the batch, R processes.
"""

from __future__ import annotations

import atexit
import gc
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed


@dataclass(frozen=True)
class World:
    """This process's place among all."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """True for the one process that writes files and speaks."""
        return self.rank == 0


def join_world() -> World:
    """Join the processes that ``torchrun`` started; alone, without torchrun, there is nothing to join."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return World()
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        atexit.register(leave_world)
    return World(distributed.get_rank(), distributed.get_world_size())


def leave_world() -> None:
    """End the process group and its threads, while the interpreter is whole.

    The threads need the interpreter to release the tensors of the last exchange. One that asks for it while it shuts
    down is ended in the middle of C++, which aborts a process that has done well. Destroying the group joins them.
    """
    if distributed.is_initialized():
        distributed.destroy_process_group()
        gc.collect()  # a group in a reference cycle would live on, and its threads with it


def any_of(mine: bool, world: World) -> bool:
    """Whether any process says yes; every process gets the same answer."""
    if world.size == 1:
        return mine
    device = torch.device("cuda") if distributed.get_backend() == "nccl" else torch.device("cpu")
    answer = torch.tensor(int(mine), device=device)
    distributed.all_reduce(answer, op=distributed.ReduceOp.MAX)
    return bool(answer)


def wait_for_all(world: World) -> None:
    """Hold until every process is here."""
    if world.size > 1:
        distributed.barrier()


class _Gather(torch.autograd.Function):
    """Concatenate all processes' rows; the gradient of this process's own rows comes back, times R.

    Every process computes the whole loss, so its own rows' gradient is complete without communication. The
    factor R undoes the averaging of the parameters' gradients that follows, where their sum is wanted;
    parameters of the loss itself (the temperature) see equal gradients everywhere and keep the average.
    """

    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, rank: int, size: int) -> torch.Tensor:
        # Shares differ by a row where the batch does not divide evenly, and all_gather wants equal shapes.
        mine = torch.tensor([len(rows)], device=rows.device)
        counts = [torch.empty_like(mine) for _ in range(size)]
        distributed.all_gather(counts, mine)
        lengths = [int(count) for count in counts]
        padded = rows.new_zeros((max(lengths), *rows.shape[1:]))
        padded[: len(rows)] = rows
        pieces = [torch.empty_like(padded) for _ in range(size)]
        distributed.all_gather(pieces, padded)
        start = sum(lengths[:rank])
        ctx.place, ctx.size = slice(start, start + len(rows)), size
        return torch.cat([piece[:length] for piece, length in zip(pieces, lengths, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return gradients[0][ctx.place] * ctx.size, None, None


def gather(rows: torch.Tensor, world: World) -> torch.Tensor:
    """All processes' rows (R·B, …) in the order of their ranks; differentiable in this process's own."""
    if world.size == 1:
        return rows
    if rows.dtype == torch.bool:  # gloo has no booleans
        return gather(rows.to(torch.uint8), world).bool()
    gathered: torch.Tensor = _Gather.apply(rows, world.rank, world.size)  # type: ignore[no-untyped-call]
    return gathered


def average_gradients(parameters: Iterable[torch.nn.Parameter], world: World) -> None:
    """Replace every gradient by its mean over the processes, in one transfer."""
    if world.size == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= world.size
    for gradient, mean in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))
