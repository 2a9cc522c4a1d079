"""A command that `mpiexec` has started on several ranks: rank 0 speaks, and none is left waiting for one that fails."""

from __future__ import annotations

import io
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from dslc.language.diagnostics import UsageError

if TYPE_CHECKING:
    from dslc.ir import Network
    from dslc.runtime.native.ranks import Ranks

LAUNCHERS = (("PMI_RANK", "PMI_SIZE"), ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"), ("PMIX_RANK", ""))
"""What launchers leave in the environment: hydra (of MPICH, Intel) and Slurm, Open MPI, and others that speak PMIx."""


def launched_rank() -> int | None:
    """The number of this rank; None where no launcher has started several."""
    for rank, size in LAUNCHERS:
        if rank in os.environ and os.environ.get(size, "") != "1":
            return int(os.environ[rank])
    return None


def launch_words() -> str:
    """What stands before a command that this one goes on with on as many ranks: `mpiexec -n 4 `; nothing for one."""
    ranks = communicator()
    return "" if ranks is None else f"mpiexec -n {ranks.size} "


def note_tuning(network: Network, ranks: Ranks, capacity: int) -> None:
    """Tells where `--tune` found what is fastest for a whole mini-batch, which ranks that have a part do not take.
    capacity: the examples of this part."""
    from dslc.planning.tuned import is_tuned

    if ranks.size == 1 or network.training is None or network.training.batch is None:
        return
    if is_tuned(network, None) and not is_tuned(network, capacity):
        print(
            f"note: this network was tuned for one process, not for the part of {ranks.size} ranks: "
            f"`dslc compile SPEC --tune -D batch={capacity} --threads {ranks.cores()}` does that",
            file=sys.stderr,
        )


def communicator() -> Any:
    """All ranks that the launcher has started; None if there are no others.

    Raises:
        UsageError: mpi4py or an MPI library is missing.
    """
    if launched_rank() is None:
        return None
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise UsageError(f"training on several ranks needs MPI: pip install 'dslc[mpi]' ({error})") from None
    return MPI.COMM_WORLD if MPI.COMM_WORLD.size > 1 else None


def only_first_speaks() -> None:
    """Keeps back what the other ranks say: rank 0 says the same, by whole lines, which the launcher mixes as they
    come."""
    if launched_rank():
        sys.stdout, sys.stderr = io.StringIO(), io.StringIO()
    elif launched_rank() == 0:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(line_buffering=True, write_through=False)


def leave(status: int) -> None:
    """Ends all ranks where a command has failed on this one. What another rank than 0 has to say is told if rank 0 has
    not ended them before."""
    rank = launched_rank()
    if rank is None or status not in (1, 2):
        return
    if rank and isinstance(sys.stderr, io.StringIO):
        from dslc.runtime.native.mpi import GRACE_SECONDS

        time.sleep(GRACE_SECONDS)
        print(f"rank {rank}: {sys.stderr.getvalue()}", file=sys.__stderr__, end="", flush=True)
    sys.stderr.flush()
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError):
        return
    MPI.COMM_WORLD.Abort(status)
