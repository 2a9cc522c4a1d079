"""Run from an empty folder, in an environment with nothing but the wheel: train, evaluate, predict, verify."""

import csv
import subprocess
from pathlib import Path


def dslc(*arguments: str) -> str:
    """The command's output; a failure stops the run."""
    done = subprocess.run(["dslc", *arguments], capture_output=True, text=True, check=False)
    print(f"$ dslc {' '.join(arguments)}\n{done.stdout}{done.stderr}", flush=True)
    assert done.returncode == 0, done.returncode
    return done.stdout


dslc("check", "lenet5")
dslc("train", "lenet5", "--data", "mnist", "--run", "run")
lines = dict(line.split() for line in dslc("evaluate", "run").splitlines())
assert float(lines["accuracy"]) >= 0.97, lines
dslc("predict", "run", "--data", "mnist", "-o", "predictions.csv")
with Path("predictions.csv").open() as file:
    rows = list(csv.reader(file))
assert len(rows) == 2001 and len(rows[0]) == 10, (len(rows), rows[0])
assert "<html" in Path("run/report.html").read_text()
dslc("export", "run", "--to", "c")
assert "lenet5_predict" in Path("lenet5-c/lenet5.c").read_text()
dslc("new", "digits", "digits")
dslc("check", "digits/digits.net")
dslc("verify", "lenet5")
dslc("gradcheck", "residual", "--entries", "5")
print("1 passed, 0 failed")
