"""A network as files: the whole export, from the plan to the bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.codegen.summary import version
from dslc.codegen.text import in_comment
from dslc.export.arithmetic import Arithmetic
from dslc.export.companions import companions
from dslc.export.interface import header, interface_of
from dslc.export.network import EMBEDDED_BELOW, Trained, Wishes
from dslc.export.prediction import Prediction, plan_prediction
from dslc.export.prepared import constants_image
from dslc.export.source import offsets_of, source
from dslc.export.weights import fingerprint_of, weights_file
from dslc.target import Target


@dataclass(frozen=True)
class Exported:
    """The files by their names, and the target that they are for. `memory_bytes` is what the caller gives,
    `constant_bytes` what the weights take; `embedded`: the C holds them."""

    files: Mapping[str, bytes]
    target: Target
    memory_bytes: int
    constant_bytes: int
    embedded: bool


def export_c(trained: Trained, wishes: Wishes) -> Exported:
    """The C of a network that predicts, its weights, an example and a README."""
    prediction = plan_prediction(trained.network, wishes.target, wishes.batch, wishes.small)
    plan, prefix = prediction.plan, trained.prefix
    image = constants_image(prediction, trained.parameters, Arithmetic(plan.itemsize, plan.target.fuses))
    embeds = image.nbytes < EMBEDDED_BELOW if wishes.embed is None else wishes.embed
    fingerprint = fingerprint_of(prediction.constants, plan.itemsize)
    interface = interface_of(trained, plan.itemsize)
    shared = {
        "title": in_comment(trained.network.name),
        "version": version(),
        "about": _about(prediction, wishes),
        "upper": prefix.upper(),
        "prefix": prefix,
        "batch": plan.batch,
        "alignment": plan.target.lanes(plan.itemsize) * plan.itemsize,
    }
    in_header = {
        **shared,
        "fields": [f"{interface.real} *memory", f"const {interface.real} *weights", "int max_batch"],
        "trains": False,
        "weights_note": "Takes weights where they lie: data must stay as they are while the network predicts."
        + (" Those in the C are taken by init." if embeds else ""),
        "init_note": "for_training is 0, and seed without effect.",
    }
    narrow = wishes.small and max(prediction.constant_bytes, prediction.workspace_bytes) < 2**31
    code = source(prediction, interface, shared, fingerprint, image if embeds else None, narrow)
    files = {
        f"{prefix}.h": header(interface, in_header).encode(),
        f"{prefix}.c": code.encode(),
        f"{prefix}.weights": weights_file(image, fingerprint),
        **companions(interface, shared, plan.target, embeds, wishes.small),
    }
    _, memory_bytes = offsets_of(prediction, interface)
    return Exported(files, plan.target, memory_bytes, prediction.constant_bytes, embeds)


def _about(prediction: Prediction, wishes: Wishes) -> list[str]:
    """Size, memory and vectors, a line each."""
    plan = prediction.plan
    network, lanes = plan.graph.network, plan.target.lanes(plan.itemsize)
    return [
        f"{len(network.nodes)} layers, {sum(p.elements for p in network.parameters):,} parameters, "
        f"{network.precision}, at most {plan.batch} example{'s' * (plan.batch > 1)} in a call.",
        f"{prediction.constant_bytes:,} bytes of constants, {prediction.workspace_bytes:,} of memory.",
        f"Vectors of {lanes} numbers ({plan.target.name})." if lanes > 1 else f"Plain C99 ({plan.target.name}).",
        *(["For the least code and memory."] if wishes.small else []),
    ]
