"""What a model shows of itself: a table of its layers and its memory, as text and for notebooks."""

from __future__ import annotations

from dslc.diagram.boxes import diagram_of
from dslc.diagram.svg import to_svg
from dslc.html_pieces import data_url
from dslc.ir import LAYER_COLUMNS, Network
from dslc.plan import MemoryMap


def as_text(network: Network, memory_map: MemoryMap | None) -> str:
    """The layers with their sizes in columns, the sums, and the bytes of memory as they are allocated."""
    rows = [LAYER_COLUMNS, *network.rows(), _total(network)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(LAYER_COLUMNS))]
    lines = [
        f"{name:{widths[0]}}  {size:{widths[1]}}  {parameters:>{widths[2]}}  {work:>{widths[3]}}"
        for name, size, parameters, work in rows
    ]
    return "\n".join([network.title, *lines, memory(network, memory_map)])


def _total(network: Network) -> tuple[str, str, str, str]:
    parameters = sum(p.elements for p in network.parameters if p.trained)
    work = sum(node.layer.multiply_adds(node.input_shapes) for node in network.nodes)
    return "total", "", f"{parameters:,}", f"{work:,}"


def memory(network: Network, memory_map: MemoryMap | None) -> str:
    """The bytes of the arena at the largest mini-batch; of a network that is compiled once there are data, none."""
    if memory_map is None:
        return "columns are learned from the training set: then the network is compiled"
    training = f", {memory_map.arena_bytes(True):,} for training" if network.training is not None else ""
    return f"{memory_map.arena_bytes(False):,} bytes for prediction{training}, at a batch of {memory_map.step_batch}"


def as_html(network: Network, memory_map: MemoryMap | None) -> str:
    """The diagram, and the table beside it."""
    source = data_url(to_svg(diagram_of(network)))
    picture = f'<img style="max-height: 30em; background: #fff" alt="diagram" src="{source}">'
    table = f"{network._repr_html_()}<p>{memory(network, memory_map)}</p>"
    return f'<div style="display: flex; flex-wrap: wrap; gap: 2em">{picture}<div>{table}</div></div>'
