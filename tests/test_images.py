"""Images: every kind of file gives the pixels that it stores, upright; what is broken is named."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from dslc.language.diagnostics import DataError
from dslc.runtime.data.datasets import load_dataset
from dslc.runtime.data.examples import DataNote, Dataset, Reading
from dslc.runtime.data.pixels import read_pixels
from dslc.runtime.data.scaling import scaled

Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def color(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (6, 4, 3), np.uint8)


def read(path: Path, **how: object) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataNote)
        return load_dataset(str(path), None, Reading(**how))  # type: ignore[arg-type]


def folder(tmp_path: Path, images: dict[str, np.ndarray]) -> Path:
    """Images by their paths below a folder."""
    for name, pixels in images.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / name)
    return tmp_path


def test_grey_and_color(tmp_path: Path, color: np.ndarray) -> None:
    Image.fromarray(color).save(tmp_path / "rgb.png")
    Image.fromarray(color[..., 0]).save(tmp_path / "grey.png")
    Image.fromarray(color[..., 0] > 99).save(tmp_path / "bits.png")
    assert (read_pixels(tmp_path / "rgb.png", Reading())[0] == color).all()
    assert (read_pixels(tmp_path / "grey.png", Reading())[0] == color[..., :1]).all()
    assert (read_pixels(tmp_path / "bits.png", Reading())[0] == 255 * (color[..., :1] > 99)).all()


def test_palette_and_cmyk(tmp_path: Path) -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 200, 100, 0])
    palette.putdata([1, 0])
    palette.save(tmp_path / "p.png")
    assert read_pixels(tmp_path / "p.png", Reading())[0].tolist() == [[[200, 100, 0], [10, 20, 30]]]
    Image.new("CMYK", (1, 1), (0, 255, 255, 0)).save(tmp_path / "c.tif")
    assert read_pixels(tmp_path / "c.tif", Reading())[0].tolist() == [[[255, 0, 0]]]


@pytest.mark.parametrize("background", [(255, 255, 255), (0, 0, 0), (10, 200, 90)])
def test_alpha_lies_on_the_background(background: tuple[int, int, int], tmp_path: Path, color: np.ndarray) -> None:
    """c = a * color + (1 - a) * background, rounded by Pillow to a neighbour at most."""
    alpha = np.linspace(0, 255, 24).astype(np.uint8).reshape(6, 4, 1)
    Image.fromarray(np.concatenate([color, alpha], axis=2)).save(tmp_path / "a.png")
    found = read_pixels(tmp_path / "a.png", Reading(background=background))[0].astype(float)
    share = alpha / 255
    assert abs(found - (share * color + (1 - share) * np.array(background))).max() <= 1


def test_sixteen_bits_are_scaled_by_their_depth(tmp_path: Path) -> None:
    grey = np.array([[0, 1, 257], [32768, 65534, 65535]], np.uint16)
    Image.fromarray(grey).save(tmp_path / "g.png")
    found, _ = read_pixels(tmp_path / "g.png", Reading())
    assert (found[..., 0] == grey).all()
    np.testing.assert_allclose(scaled(found, np.float64)[..., 0], grey / 65535, rtol=1e-15)


def test_eight_and_sixteen_bits_together(tmp_path: Path) -> None:
    """The same share of white in both."""
    path = folder(tmp_path, {"a/8.png": np.array([[0, 7, 255]], np.uint8), "b/16.png": np.full((1, 3), 999, np.uint16)})
    x = scaled(read(path).train.x, np.float64)
    np.testing.assert_allclose(x[0, 0, :, 0], np.array([0, 7, 255]) / 255, rtol=1e-15)
    np.testing.assert_allclose(x[1], 999 / 65535, rtol=1e-15)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif(orientation: int, tmp_path: Path, color: np.ndarray) -> None:
    """What is stored, turned as the table of the standard says: 1 as it is, 2 mirrored, 3 by 180 degrees, 4 upside
    down, 5 transposed, 6 by 90 degrees clockwise, 7 transposed about the other diagonal, 8 counter-clockwise."""
    turned = [
        color, color[:, ::-1], color[::-1, ::-1], color[::-1], color.swapaxes(0, 1), np.rot90(color, -1),
        color[::-1, ::-1].swapaxes(0, 1), np.rot90(color),
    ][orientation - 1]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(color).save(tmp_path / "e.png", exif=exif)
    found, _ = read_pixels(tmp_path / "e.png", Reading())
    assert found.shape == turned.shape and (found == turned).all()


def test_sizes(tmp_path: Path, color: np.ndarray) -> None:
    path = folder(tmp_path, {"a/1.png": color, "a/2.png": np.full((3, 8, 3), 100, np.uint8)})
    with pytest.raises(DataError, match=r"2\.png is 3x8, .*1\.png is 6x4 .*--resize 6x4"):
        read(path)
    for fit in ("stretch", "crop", "pad"):
        assert read(path, resize=(6, 4), fit=fit).train.x.shape == (2, 6, 4, 3)
    padded = read(path, resize=(6, 4), fit="pad", background=(1, 2, 3)).train.x
    assert (padded[0] == color).all()
    rows = (padded[1] == (100, 100, 100)).all(axis=(1, 2))
    assert rows.sum() == 2 and (padded[1][~rows] == (1, 2, 3)).all(), "8x3 fits 4 columns as 1.5 rows, in the middle"
    assert (read(path, resize=(6, 4), fit="crop").train.x[1] == 100).all()


def test_channels_are_those_of_the_network(tmp_path: Path, color: np.ndarray) -> None:
    """Brightness by ITU-R 601-2, and grey as three equal channels; both are noted."""
    path = folder(tmp_path, {"a/1.png": color, "a/2.png": color[..., 0]})
    with pytest.warns(DataNote, match="1 images of color are grey now"):
        grey = load_dataset(str(path), how=Reading(channels=1)).train.x
    bright = color @ np.array([0.299, 0.587, 0.114])
    assert (
        grey.shape == (2, 6, 4, 1)
        and abs(grey[0, ..., 0] - bright).max() <= 0.5
        and (grey[1, ..., 0] == color[..., 0]).all()
    )
    with pytest.warns(DataNote, match="1 grey images have three equal channels now"):
        three = load_dataset(str(path), how=Reading(channels=3)).train.x
    assert (three[0] == color).all() and (three[1] == color[..., :1]).all()


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_sixteen_bits_keep_their_depth_when_resized(fit: str, tmp_path: Path) -> None:
    path = folder(tmp_path, {"a/1.png": np.full((4, 4), 40001, np.uint16)})
    x = read(path, resize=(2, 2), fit=fit).train.x
    assert x.dtype == np.uint16 and (x == 40001).all()


def test_classes_by_number_and_parts(tmp_path: Path) -> None:
    images = {f"{part}/{k}/{part}{i}.png": np.full((2, 2), k, np.uint8) for part in ("train", "val", "test") for k in
              (0, 2, 10, 11) for i in range(2)}  # fmt: skip
    found = read(folder(tmp_path, images))
    assert found.dev is not None and found.test is not None
    for part in found.parts.values():
        assert (part.y.astype(int) == part.x[:, 0, 0, 0]).all() and len(part.x) == 8
        assert all(str(int(label)) == Path(str(part.origin(i))).parent.name for i, label in enumerate(part.y))


def test_junk_is_skipped_with_a_note(tmp_path: Path, color: np.ndarray) -> None:
    path = folder(tmp_path, {"cat/1.png": color, "dog/2.png": color})
    for junk in ("cat/Thumbs.db", "cat/._1.png", ".DS_Store", "dog/desktop.ini"):
        (path / junk).write_bytes(b"junk")
    (path / ".ipynb_checkpoints").mkdir()
    (path / "__MACOSX").mkdir()
    (path / "read me.txt").write_text("about")
    (path / "empty").mkdir()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = load_dataset(str(path))
    assert found.train.y.tolist() == ["cat", "dog"]
    text = "\n".join(str(note.message) for note in told)
    for word in (
        "Thumbs.db",
        "._1.png",
        ".DS_Store",
        "desktop.ini",
        ".ipynb_checkpoints",
        "read me.txt",
        "empty holds no",
    ):
        assert word in text, word


def test_broken_files_are_named(tmp_path: Path, rng: np.random.Generator) -> None:
    large = rng.integers(0, 256, (64, 64, 3), np.uint8)
    path = folder(tmp_path, {"a/1.png": large, "b/2.jpg": large, "b/3.png": large})
    (path / "b" / "2.jpg").write_bytes((path / "b" / "2.jpg").read_bytes()[:900])
    (path / "b" / "4.png").write_bytes(b"")
    for broken in ("2.jpg", "4.png"):
        with pytest.raises(DataError, match=rf"cannot read the image .*{broken}.*--skip-broken"):
            read(path)
        with pytest.warns(DataNote, match=rf"left out: .*{broken}"):
            assert len(load_dataset(str(path), how=Reading(skip_broken=True)).train.x) == 2
        (path / "b" / broken).unlink()
    assert len(read(path).train.x) == 2


def test_what_pillow_warns_of_is_told_with_the_file(tmp_path: Path, color: np.ndarray) -> None:
    Image.fromarray(color).save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pixels, note = read_pixels(tmp_path / "a.jpg", Reading())
    assert pixels.shape == color.shape and note.startswith(f"{tmp_path / 'a.jpg'}: ") and "EXIF" in note.upper()


def test_what_lies_beside_the_parts_is_noted(tmp_path: Path, color: np.ndarray) -> None:
    path = folder(tmp_path, {"train/a/1.png": color, "train/b/1.png": color, "test/a/1.png": 255 - color})
    (path / "labels").mkdir()
    (path / "README").write_text("")
    (path / ".git").mkdir()
    found = read(path)
    assert found.train.y.tolist() == ["a", "b"] and found.test is not None and (found.test.x == 255 - color).all()
    assert [note.split(": ", 1)[1] for note in found.notes] == [
        "skipped .git",
        "not looked at, for it is no part of the data: labels",
        "not looked at, for it is in no class: README",
    ]
    (path / "val" / "a").mkdir(parents=True)
    (path / "valid" / "a").mkdir(parents=True)
    with pytest.raises(DataError, match=r"val and .*valid both stand for the dev set"):
        read(path)


def test_a_class_may_be_called_train(tmp_path: Path, color: np.ndarray) -> None:
    path = folder(tmp_path, {"train/1.png": color, "bus/1.png": color, "test/1.png": color})
    assert read(path).train.y.tolist() == ["bus", "test", "train"]


def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, color: np.ndarray) -> None:
    path = folder(tmp_path, {"a/1.png": color})
    for most in (23, 11):  # Pillow warns beyond its limit, and refuses beyond twice of it
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
        with pytest.raises(DataError, match=rf"1\.png: it has more than {most} pixels"):
            read(path)


def test_list_of_files(tmp_path: Path, color: np.ndarray) -> None:
    pytest.importorskip("polars")
    path = folder(tmp_path, {"in/1.png": color, "in/2.png": 255 - color})
    (path / "l.csv").write_text("file,angle\nin/2.png,1.5\nin/1.png,-2\n")
    found = read(path / "l.csv", numbers=True)
    assert found.train.y.tolist() == [1.5, -2] and (found.train.x == [255 - color, color]).all()
    (path / "l.csv").write_text("file,kind\nin/2.png,a\nin/9.png,b\n")
    with pytest.raises(DataError, match=r"l\.csv:3, column 'file': there is no file .*9\.png"):
        read(path / "l.csv")


def test_images_without_classes_can_be_predicted(tmp_path: Path, color: np.ndarray) -> None:
    path = folder(tmp_path, {"1.png": color, "2.png": color})
    found = read(path, labelled=False)
    assert len(found.train.x) == 2 and not found.labelled and str(found.train.origin(1)).endswith("2.png")
    with pytest.raises(DataError, match="a folder of images a class"):
        read(path)
