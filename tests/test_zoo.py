"""The published networks in specs/zoo: their sizes are the published ones."""

from __future__ import annotations

import pytest

from dslc.codegen.emit import emit
from dslc.compiler import check_file, plan_network
from dslc.language.shipped import shipped, shipped_names
from helpers import REPO

ZOO = REPO / "specs" / "zoo"
PUBLISHED = {
    "darknet19": 20_842_376,  # Darknet's weights
    "dcgan_generator": 3_576_704,  # PyTorch's tutorial
    "densenet121": 7_978_856,  # torchvision, as the next ones
    "efficientnet_b0": 5_288_548,
    "inception_v3": 27_161_264,
    "mobilenet_v2": 3_504_872,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "shufflenet_v2": 2_278_604,
    "squeezenet1_1": 1_235_496,
    "gpt_nano": 146_352,  # GPT-2's 12 L C^2 + 13 L C + (words + steps + 2) C, as in minGPT's gpt-nano L = 3 and C = 48
    "gru_classifier": 61_962,  # PyTorch's GRU and Linear
    "lstm_classifier": 2_758_785,  # Keras' example, with two biases a gate as in PyTorch
    "googlenet": 13_378_280,  # Caffe's bvlc_googlenet
    "mobilenet_v1": 4_231_976,  # Keras
    "tiny_autoencoder": 267_928,  # MLPerf Tiny, without running averages, as the next ones
    "tiny_dscnn": 23_756,
    "tiny_resnet8": 78_186,
    "tiny_vww": 216_322,
    "unet": 7_763_041,  # PyTorch Hub's unet of mateuszbuda
    "vit_tiny": 5_717_032,  # DeiT-Ti's 5,717,416 without the class token and its position
    "wide_resnet16_4": 2_748_890,  # the authors' 2.7 million
    "streaming_wakeword": 45_883,  # of our own
}
"""Trained parameters."""


def test_every_network_is_in_the_list_and_found_by_name() -> None:
    assert {path.stem for path in ZOO.glob("*.net")} == PUBLISHED.keys()
    assert {f"zoo/{name}" for name in PUBLISHED} <= set(shipped_names())
    assert shipped("zoo/resnet18") is not None and shipped("zoo/nothing") is None


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_parameters(name: str) -> None:
    assert sum(p.elements for p in check_file(ZOO / f"{name}.net").parameters if p.trained) == PUBLISHED[name]


def test_the_small_gpt_grows_into_gpt_2() -> None:
    """The 124 million parameters of its smallest model, as the published weights have them."""
    network = check_file(ZOO / "gpt_nano.net", {"words": 50257, "width": 768, "heads": 12, "blocks": 12})
    assert sum(p.elements for p in network.parameters) == 124_439_808


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_the_c_is_short(name: str) -> None:
    """Layers that differ in sizes only share functions, and repeated blocks are loops."""
    assert emit(plan_network(check_file(ZOO / f"{name}.net"), threads=2)).code.count("\n") < 10_000
