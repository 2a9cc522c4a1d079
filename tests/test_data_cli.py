"""Data on the command line: a run knows the names, columns and scaling of its data, and says them."""

from __future__ import annotations

import csv
import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

import dslc
import dslc.cli.main
from dslc.language.diagnostics import DataError
from dslc.runtime.data.examples import DataNote

pytest.importorskip("polars")
Image = pytest.importorskip("PIL.Image")
THREE = """net Three {
  input x: 2
  standardize -> dense(3) -> softmax
}
train {
  loss cross_entropy
  optimizer adam(lr=0.1)
  batch 8
  epochs 12
  metrics confusion
}
"""
STRIPES = """net Stripes {
  input image: 12x12x1
  flatten -> dense(12) -> softmax
}
train {
  loss cross_entropy
  optimizer adam(lr=0.02)
  batch 16
  epochs 12
}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: object) -> int:
    return dslc.cli.main.run([str(a) for a in arguments])


def scores(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, float]:
    """What `dslc evaluate` prints before its tables."""
    capsys.readouterr()
    assert run("evaluate", *arguments) == 0
    lines = capsys.readouterr().out.split("\n\n")[0].splitlines()
    return {name: float(value) for name, value in (line.split() for line in lines)}


def rows_of(path: str) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def write(path: str, names: list[str], rows: list[tuple[object, ...]]) -> None:
    Path(path).write_text("\n".join(",".join(map(str, row)) for row in [names, *rows]) + "\n")


@pytest.fixture
def trees(here: Path, rng: np.random.Generator) -> list[tuple[object, ...]]:
    """A run `t`, trained on trees.csv: size, age, kind."""
    x = rng.normal(size=(60, 2)).round(3)
    kinds = np.array(["ash", "elm", "oak"])[np.digitize(x[:, 0], [-0.4, 0.4])]
    rows = [(*row, kind) for row, kind in zip(x.tolist(), kinds, strict=True)]
    write("trees.csv", ["size", "age", "kind"], rows)
    Path("three.net").write_text(THREE)
    assert run("train", "three.net", "--data", "trees.csv", "--target", "kind", "--run", "t", "--progress", "none") == 0
    return rows


def test_a_run_knows_its_table(trees: list[tuple[object, ...]], capsys: pytest.CaptureFixture[str]) -> None:
    """Without one of the classes, and with columns in another order, each example is judged as before."""
    assert run("predict", "t", "--data", "trees.csv", "-o", "p.csv") == 0
    said = rows_of("p.csv")
    assert list(said[0]) == ["class", "ash", "elm", "oak"]
    for row in said:
        assert row["class"] == max(("ash", "elm", "oak"), key=lambda kind: float(row[kind]))
    right = np.array([row["class"] == tree[2] for row, tree in zip(said, trees, strict=True)])
    some = np.array([tree[2] != "ash" for tree in trees])
    write("no_ash.csv", ["size", "age", "kind"], [tree for tree, keep in zip(trees, some, strict=True) if keep])
    found = scores(capsys, "t", "--data", "no_ash.csv")
    assert found["accuracy"] == pytest.approx(right[some].mean(), abs=1e-5)
    write("turned.csv", ["age", "kind", "size"], [(age, kind, size) for size, age, kind in trees])
    assert scores(capsys, "t", "--data", "turned.csv") == scores(capsys, "t", "--data", "trees.csv")
    write("new.csv", ["age", "size"], [(age, size) for size, age, _ in trees])
    assert run("predict", "t", "--data", "new.csv", "-o", "new.out.csv") == 0
    assert rows_of("new.out.csv") == said
    assert run("evaluate", "t", "--data", "new.csv") == 1
    assert "--target" in capsys.readouterr().err


@pytest.mark.parametrize("how", ["--resume", "--weights"])
def test_training_that_goes_on_finds_columns_by_name(
    how: str, trees: list[tuple[object, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    """A table with its columns in another order trains the same bits."""
    write("turned.csv", ["age", "kind", "size"], [(age, kind, size) for size, age, kind in trees])
    models = []
    for data in ("trees.csv", "turned.csv"):
        shutil.copytree("t", data[:-4])
        start = [data[:-4]] if how == "--resume" else ["t/weights.safetensors", "--run", f"{data}.run"]
        given = ["--data", data, "--target", "kind", "--epochs", 2, "--progress", "none"]
        assert run("train", "three.net", *given, how, *start) == 0
        models.append(dslc.load("three.net"))
        models[-1].load_weights(f"{data[:-4] if how == '--resume' else data + '.run'}/weights.safetensors")
    for name, view in models[0].parameters.items():
        assert (view.numpy() == models[1].parameters[name].numpy()).all(), name
    assert models[0].feature_names == models[1].feature_names == ("size", "age")


def test_training_that_goes_on_reads_images_alike(here: Path, rng: np.random.Generator) -> None:
    """What was not scaled is not scaled later."""
    Path("stripes.net").write_text(STRIPES)
    np.savez("d.npz", x=rng.integers(0, 256, (48, 12, 12, 1), dtype=np.uint8), y=np.tile(np.arange(12), 4))
    given = ["train", "stripes.net", "--data", "d.npz", "--progress", "none"]
    assert run(*given, "--scale", "off", "--epochs", 3, "--run", "whole") == 0
    assert run(*given, "--scale", "off", "--epochs", 2, "--run", "some") == 0
    assert run(*given, "--resume", "some", "--epochs", 1) == 0
    models = [dslc.load("stripes.net"), dslc.load("stripes.net")]
    for model, name in zip(models, ("whole", "some"), strict=True):
        model.load_weights(f"{name}/weights.safetensors")
    for name, view in models[0].parameters.items():
        assert (view.numpy() == models[1].parameters[name].numpy()).all(), name


def test_names_everywhere(trees: list[tuple[object, ...]], capsys: pytest.CaptureFixture[str]) -> None:
    """In the confusion matrix, the report, run.json and the table of errors, with lines there."""
    capsys.readouterr()
    assert run("evaluate", "t", "--data", "trees.csv") == 0
    assert {"ash", "elm", "oak"} <= set(capsys.readouterr().out.split())
    assert all(f"<th>{kind}</th>" in Path("t/report.html").read_text() for kind in ("ash", "elm", "oak"))
    about = json.loads(Path("t/run.json").read_text())["schema"]
    assert about["classes"]["output"]["labels"] == ["ash", "elm", "oak"] and about["features"]["x"] == ["size", "age"]
    write("odd.csv", ["size", "age", "kind"], [(5, 0, "ash"), (-5, 0, "ash"), (5, 0, "oak")])
    assert run("errors", "t", "--data", "odd.csv", "--part", "train") == 0
    (wrong,) = rows_of("t/errors/errors.csv")
    assert (wrong["true"], wrong["predicted"], wrong["file"]) == ("ash", "oak", "odd.csv:2")


def test_top(trees: list[tuple[object, ...]], capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["-o", "p.csv"], ["-o", "top.csv", "--top", 2]):
        assert run("predict", "t", "--data", "trees.csv", *arguments) == 0
    for all_of, top in zip(rows_of("p.csv"), rows_of("top.csv"), strict=True):
        order = sorted(("ash", "elm", "oak"), key=lambda kind: -float(all_of[kind]))
        assert [top["class_1"], top["class_2"]] == order[:2] and list(top)[-1] == "probability_2"
        assert top["probability_2"] == all_of[order[1]]
    assert run("predict", "t", "--data", "trees.csv", "--top", 2, "-o", "p.npy") == 2
    assert "CSV" in capsys.readouterr().err
    assert run("predict", "t", "--data", "trees.csv", "-o", "p.json") == 2 and not Path("p.json").exists()
    assert "written as .csv or .npy" in capsys.readouterr().err


def test_training_that_goes_on_with_other_data_says_so(
    trees: list[tuple[object, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree("t", "same"), shutil.copytree("t", "other")
    write("more.csv", ["size", "age", "kind"], [*trees, *trees[:10]])
    given = ["--target", "kind", "--epochs", 1, "--progress", "none"]
    assert run("train", "three.net", "--data", "trees.csv", *given, "--resume", "same") == 0
    assert "other data" not in capsys.readouterr().err
    assert run("train", "three.net", "--data", "more.csv", *given, "--resume", "other") == 0
    assert "other was trained on other data" in capsys.readouterr().err


def test_classes_called_like_columns(here: Path, rng: np.random.Generator) -> None:
    """`class` and `file` as names of classes take no column away."""
    x, names = rng.normal(size=(30, 2)), np.array(["class", "elm", "file"])
    write("d.csv", ["size", "age", "kind"], [(*row, names[i % 3]) for i, row in enumerate(x.tolist())])
    Path("three.net").write_text(THREE)
    assert run("train", "three.net", "--data", "d.csv", "--target", "kind", "--run", "t", "--progress", "none") == 0
    assert run("predict", "t", "--data", "d.csv", "-o", "p.csv") == 0
    said = rows_of("p.csv")
    assert list(said[0]) == ["class", "probability_class", "elm", "probability_file"]
    assert all(row["class"] in names for row in said)


def test_words_under_mse(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("r.net").write_text(THREE.replace("dense(3) -> softmax", "dense(1)").replace("cross_entropy", "mse")
                             .replace("  metrics confusion\n", ""))  # fmt: skip
    for loss in ("mse", "mae", "huber"):
        Path("r.net").write_text(Path("r.net").read_text().replace("mse", loss))
        write("d.csv", ["a", "b", "y"], [(1, 2, 3.5), (2, 1, "tall"), (0, 1, 2)])
        assert run("train", "r.net", "--data", "d.csv", "--target", "y") == 1
        assert "d.csv:3, column 'y': the network predicts numbers, and 'tall' is none" in capsys.readouterr().err


def test_folders_by_number(here: Path, rng: np.random.Generator, capsys: pytest.CaptureFixture[str]) -> None:
    """Twelve folders 0 to 11, then one of them gone: the numbers of the others stay, by the count of what is right."""
    pixels = rng.integers(0, 60, (12, 12, 12, 12), np.uint8)
    for k in range(12):
        pixels[k, :, k] += 150
        for part, i in [("train", i) for i in range(8)] + [("new", i) for i in range(8, 12)]:
            Path(part, str(k)).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels[k, i]).save(Path(part, str(k), f"{i}.png"))
    Path("s.net").write_text(STRIPES)
    assert run("train", "s.net", "--data", "train", "--run", "t", "--progress", "none") == 0
    np.savez("new.npz", x=pixels[:, 8:].reshape(48, 12, 12), y=np.repeat(np.arange(12), 4))
    np.savez("float.npz", x=pixels[:, 8:].reshape(48, 12, 12) / 255, y=np.repeat(np.arange(12), 4))
    found = [scores(capsys, "t", "--data", data) for data in ("new", "new.npz", "float.npz")]
    assert found[0] == found[1] and found[0]["accuracy"] > 0.9
    assert found[0]["loss"] == pytest.approx(found[2]["loss"], rel=1e-5)
    assert run("predict", "t", "--data", "new", "-o", "p.csv") == 0
    said = rows_of("p.csv")
    assert np.mean([Path(row["file"]).parent.name == row["class"] for row in said]) == pytest.approx(
        found[0]["accuracy"]
    )
    for i in range(8, 12):
        Path(f"new/2/{i}.png").unlink()
    left = [row for row in said if Path(row["file"]).parent.name != "2"]
    right = np.mean([Path(row["file"]).parent.name == row["class"] for row in left])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataNote)
        assert scores(capsys, "t", "--data", "new")["accuracy"] == pytest.approx(right, abs=1e-5)


def test_one_rule_for_all_files(here: Path, rng: np.random.Generator, capsys: pytest.CaptureFixture[str]) -> None:
    """The same 8-bit images as IDX, PNG, .npz and .npy leave the same weights, and others with --scale off."""
    x, y = rng.integers(0, 256, (24, 12, 12), np.uint8), np.repeat(np.arange(3, dtype=np.uint8), 8)
    np.savez("a.npz", x=x, y=y)
    for folder in ("npy", "idx"):
        Path(folder).mkdir()
    for name, array in (("x", x), ("y", y)):
        np.save(f"npy/{name}.npy", array)
    for name, array in (("images-idx3", x), ("labels-idx1", y)):
        head = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
        Path(f"idx/train-{name}-ubyte").write_bytes(head + array.tobytes())
    for i, k in enumerate(y):
        Path("png", str(k)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(x[i]).save(f"png/{k}/{i:02d}.png")
    np.savez("f.npz", x=x.astype(np.float32), y=y)
    Path("s.net").write_text(STRIPES.replace("epochs 12", "epochs 2"))
    for data, more in [(d, ()) for d in ("a.npz", "npy", "idx", "png")] + [("f.npz", ()), ("npy", ("--scale", "off"))]:
        run_ = f"run-{data}{''.join(more)}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataNote)
            assert run("train", "s.net", "--data", data, "--run", run_, "--progress", "none", *more) == 0
    found = {path.parent.name: path.read_text() for path in Path().glob("run-*/history.csv")}
    losses = {name: [row.split(",")[1] for row in text.splitlines()[1:]] for name, text in found.items()}
    assert losses["run-a.npz"] == losses["run-npy"] == losses["run-idx"] == losses["run-png"] != losses["run-f.npz"]
    assert losses["run-f.npz"] == losses["run-npy--scaleoff"]
    assert scores(capsys, "run-npy--scaleoff", "--data", "a.npz") == scores(
        capsys, "run-npy--scaleoff", "--data", "f.npz"
    )


def test_a_table_is_shown(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write("d.csv", ["id", "kind", "y"], [(i + 5, "ab"[i % 2], i % 2) for i in range(30)])
    assert run("data", "d.csv", "--target", "y") == 0
    shown = capsys.readouterr().out
    assert "5 to 34" in shown and "identifier" in shown and "a leak?" in shown and "30 rows, 3 columns" in shown
    assert run("data", "d.csv", "--target", "z") == 1
    write("codes.csv", ["code", "y"], [(["01", "1", "2"][i % 3], ["01", "1", "2"][i % 3]) for i in range(30)])
    assert run("data", "codes.csv", "--target", "y") == 0
    shown = capsys.readouterr().out
    assert "target; as classes '01' and '1' are two" in shown and "tells the target: a leak?" in shown
    assert run("data", "nothing.csv") == 1


@pytest.mark.parametrize(
    ("arguments", "words"), [(("--resize", "0x3"), "--resize"), (("--background", "blue"), "--background")]
)
def test_bad_options(arguments: tuple[str, ...], words: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("three.net").write_text(THREE)
    assert run("train", "three.net", "--data", "d.csv", *arguments) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("place", [3, 31, 58])
def test_an_example_is_named_as_it_stands_in_the_file(
    place: int, trees: list[tuple[object, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Whichever part it was drawn into: by its number in an .npz, by its line in a table."""
    x, y = np.array([row[:2] for row in trees], float), np.array([row[2] for row in trees])
    x[place, 1] = np.nan
    np.savez("d.npz", x=x, y=y)
    capsys.readouterr()
    assert run("train", "three.net", "--data", "d.npz", "--progress", "none") == 1
    assert f"not finite (NaN or infinite) in example {place} (counted from 0)" in capsys.readouterr().err
    write(
        "d.csv", ["size", "age", "kind"], [(*row[:2], "fir" if i == place else row[2]) for i, row in enumerate(trees)]
    )
    assert run("evaluate", "t", "--data", "d.csv") == 1
    assert f"d.csv:{place + 2} is of the class 'fir'; the model knows ash, elm, oak" in capsys.readouterr().err


TWO_HEADS = """net Two {
  input x: 6
  h = dense(8) -> relu
  output kind = h -> dense(3) -> softmax
  output size = h -> dense(2)
  output aside = h -> dense(3) -> softmax train_only
}
train {
  loss kind: cross_entropy
  loss size: mse
  loss aside: cross_entropy
  optimizer adam(0.01)
  metrics accuracy
  batch 16
  epochs 2
}
"""


def test_targets_of_several_heads(here: Path, rng: np.random.Generator, capsys: pytest.CaptureFixture[str]) -> None:
    """By their names; what the command line trains is what Python trains, and all that follows takes them too."""
    Path("s.net").write_text(TWO_HEADS)
    x, size = rng.normal(size=(120, 6)), rng.normal(size=(120, 2))
    kind = np.array(["a", "b", "c"])[(x[:, 0] > 0) + (x[:, 1] > 0).astype(int)]
    arrays = {"x": x, "kind": kind, "size": size, "x_val": x[:50], "kind_val": kind[:50], "size_val": size[:50]}
    np.savez("d.npz", **arrays)
    assert run("train", "s.net", "--data", "d.npz", "--run", "r", "--progress", "none") == 0
    model = dslc.load("s.net")
    y, dev = {"kind": kind, "size": size}, {"kind": kind[:50], "size": size[:50]}
    model.fit(x, y, dev=(x[:50], dev), progress="none")
    found = dslc.load("r").evaluate(x, y)
    assert found == model.evaluate(x, y) and set(found) == {"loss", "kind_loss", "kind_accuracy", "size_loss"}
    capsys.readouterr()
    assert scores(capsys, "r", "--data", "d.npz") == pytest.approx(model.evaluate(x[:50], dev), rel=1e-5)
    more = {name: np.concatenate([arrays[name], arrays[name][::-1]]) for name in ("kind", "size")}
    for twice, count in ((x[::-1], 16), (rng.normal(size=x.shape), 16), (None, 0)):
        new = rng.normal(size=(240, 6)) if twice is None else np.concatenate([twice, x])
        np.savez("more.npz", x=new.astype(np.float32), **more)
        assert run("evaluate", "r", "--data", "more.npz") == 0
        assert (f"of 16 examples that the run was trained on, {count} are in all of it" in capsys.readouterr().err) == (
            count > 0
        )
    assert run("quantize", "r") == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("dense")]
    assert len(rows) == 3 and all(np.isfinite(float(row[5])) for row in rows)
    for wrong, said in (
        ({"x": x, "kind": kind}, "d.npz holds kind, and lacks size"),
        ({**arrays, "y": kind}, "d.npz holds targets called kind, size and y besides, which is those of no output"),
        ({**arrays, "y_val": kind[:50]}, "d.npz holds targets called kind_dev, size_dev and y_dev besides"),
        ({"x": x, "y": kind}, "d.npz must hold x and targets called kind, size; it holds x, y"),
        ({**arrays, "size": size[:9]}, "as many targets for each head"),
    ):
        np.savez("d.npz", **wrong)
        assert run("train", "s.net", "--data", "d.npz") == 1
        assert said in capsys.readouterr().err.replace("\n", " ")
    for wrong, said in (
        ({**y, "y": kind}, "expected a dict with the targets kind, size: leave out y"),
        ({"kind": kind, "other": size}, "the targets kind, size: it lacks size; leave out other"),
    ):
        with pytest.raises(DataError, match=said):
            model.evaluate(x, wrong)
