"""A network as files: the whole export, from the plan to the bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dslc.codegen.summary import version
from dslc.codegen.text import in_comment
from dslc.export.arithmetic import Arithmetic
from dslc.export.companions import companions, runs_on
from dslc.export.interface import Interface, header, interface_of
from dslc.export.network import EMBEDDED_BELOW, Trained, Wishes
from dslc.export.prediction import plan_prediction
from dslc.export.prepared import constants_image
from dslc.export.source import Stored, offsets_of, prediction_source
from dslc.export.training import parameters_image, plan_training, trained_buffers, training_bytes, training_source
from dslc.export.weights import fingerprint_of, weights_file
from dslc.language.diagnostics import CallError
from dslc.numerics import Array
from dslc.plan import Plan
from dslc.target import Target

LARGEST_PLACE = 2**31 - 1


@dataclass(frozen=True)
class Exported:
    """The files by their names, and the target that they are for. `memory_bytes` is what the caller gives,
    `training_bytes` for training too (0 where it only predicts), `constant_bytes` what the weights take; `embedded`:
    the C holds them. `runs_on`: for which machines and compilers it is, in words. `threads`: what shares the work of a
    prediction."""

    files: Mapping[str, bytes]
    target: Target
    memory_bytes: int
    training_bytes: int
    constant_bytes: int
    embedded: bool
    runs_on: str
    threads: str = ""


def export_c(trained: Trained, wishes: Wishes) -> Exported:
    """The C of a network, its weights, an example and a README.

    Raises:
        CallError: it should learn, and its spec has no `train` or averages its parameters; or its input is a table that
            Python encodes; or it needs more memory than C has numbers for here; or threads should share what they
            cannot.
    """
    _require_threads(wishes)
    if trained.network.tables:
        raise CallError("exported C takes numbers, and the columns that this spec declares are encoded in Python")
    return export_numbers(trained, wishes)


def _require_threads(wishes: Wishes) -> None:
    """Threads share predictions, where there are threads."""
    if wishes.threads and wishes.training:
        raise CallError("--threads is for prediction: what --training exports runs on one thread")
    if wishes.threads and (wishes.target.is_microcontroller or wishes.target.machine == "wasm32"):
        raise CallError(f"--threads: {wishes.target.name} has one thread")


def export_numbers(trained: Trained, wishes: Wishes) -> Exported:
    """Like `export_c`, for callers who encode declared columns themselves."""
    network = trained.network
    if network.training is not None:
        if wishes.training and network.training.average is not None:
            raise CallError("--training: exported C keeps no average of the parameters: take `average` out of the spec")
        whole = replace(network.training, average=None, slices=1)  # the caller says how many examples go at once
        trained = replace(trained, network=replace(network, training=whole))
    return _that_trains(trained, wishes) if wishes.training else _that_predicts(trained, wishes)


def _that_predicts(trained: Trained, wishes: Wishes) -> Exported:
    prediction = plan_prediction(trained.network, wishes.target, wishes.batch, wishes.direct, wishes.most_threads)
    plan = prediction.plan
    interface = interface_of(trained, plan.itemsize)
    image = constants_image(prediction, trained.parameters, Arithmetic(plan.itemsize, plan.target.fuses))
    stored = _stored(image, fingerprint_of(prediction.constants, plan.itemsize), wishes)
    end = offsets_of(plan, interface, plan.region("workspace").elements)[1]
    memory_bytes = end * plan.itemsize
    _require_room(memory_bytes, image, wishes)
    alignment = plan.target.lanes(plan.itemsize) * plan.itemsize
    sizes = [f"{image.nbytes:,} bytes of constants, {memory_bytes:,} of memory."]
    shared = _shared(trained, plan, alignment, [*_about(plan, wishes), *sizes])
    narrow = (wishes.small or wishes.target.has_short_registers) and max(image.nbytes, memory_bytes) < 2**31
    code = prediction_source(prediction, interface, shared, stored, narrow, wishes.threads)
    note = "Takes weights where they lie: data must stay as they are while the network predicts."
    files = _files(interface, shared, wishes, image, stored, code, note)
    holds, machines = stored.embedded is not None, runs_on(wishes.target)
    return Exported(files, plan.target, memory_bytes, 0, image.nbytes, holds, machines, wishes.threads)


def _that_trains(trained: Trained, wishes: Wishes) -> Exported:
    if trained.network.training is None:
        raise CallError("--training: this network has no `train` that says how it learns")
    plan = plan_training(trained.network, wishes.target, wishes.batch, wishes.direct)
    interface = interface_of(trained, plan.itemsize)
    image = parameters_image(plan, trained.parameters)
    stored = _stored(image, fingerprint_of(trained_buffers(plan), plan.itemsize), wishes)
    predicting, training = (training_bytes(plan, interface, trains) for trains in (False, True))
    _require_room(training, image, wishes)
    alignment = plan.target.vector_bytes or plan.itemsize
    sizes = [f"{predicting:,} bytes of memory for prediction, {training:,} for training."]
    shared = _shared(trained, plan, alignment, [*_about(plan, wishes), *sizes])
    code = training_source(plan, interface, shared, stored)
    files = _files(interface, shared, wishes, image, stored, code, "Copies weights into memory.")
    holds = stored.embedded is not None
    return Exported(files, plan.target, predicting, training, image.nbytes, holds, runs_on(wishes.target))


def _stored(image: Array, fingerprint: int, wishes: Wishes) -> Stored:
    embeds = image.nbytes < EMBEDDED_BELOW if wishes.embed is None else wishes.embed
    return Stored(image.nbytes, fingerprint, image if embeds else None)


def _require_room(memory_bytes: int, image: Array, wishes: Wishes) -> None:
    """Places are counted in numbers by an int."""
    if max(memory_bytes, image.nbytes) // image.dtype.itemsize > LARGEST_PLACE:
        raise CallError(
            f"--max-batch {wishes.batch} needs {memory_bytes:,} bytes of memory; exported C counts up to "
            f"{LARGEST_PLACE * image.dtype.itemsize:,}"
        )


def _shared(trained: Trained, plan: Plan, alignment: int, about: list[str]) -> dict[str, object]:
    """What header and source have in common."""
    return {
        "title": in_comment(trained.network.name),
        "version": version(),
        "about": about,
        "upper": trained.prefix.upper(),
        "prefix": trained.prefix,
        "batch": plan.batch,
        "alignment": alignment,
    }


def _files(
    interface: Interface,
    shared: Mapping[str, object],
    wishes: Wishes,
    image: Array,
    stored: Stored,
    code: str,
    weights_note: str,
) -> dict[str, bytes]:
    prefix, embedded = interface.prefix, stored.embedded is not None
    note = f"{weights_note} Those in the C are taken by init." if embedded else weights_note
    return {
        f"{prefix}.h": header(interface, shared, wishes.training, note, wishes.threads).encode(),
        f"{prefix}.c": code.encode(),
        f"{prefix}.weights": weights_file(image, stored.fingerprint),
        **companions(interface, shared, wishes, embedded),
    }


def _about(plan: Plan, wishes: Wishes) -> list[str]:
    """Size and vectors, a line each."""
    network, lanes = plan.graph.network, plan.target.lanes(plan.itemsize)
    return [
        f"{len(network.nodes)} layers, {sum(p.elements for p in network.parameters):,} parameters, "
        f"{network.precision}, at most {plan.batch} example{'s' * (plan.batch > 1)} in a call.",
        f"Vectors of {lanes} numbers ({plan.target.name})." if lanes > 1 else f"Plain C99 ({plan.target.name}).",
        *(["For the least code and memory."] if wishes.small else []),
    ]
