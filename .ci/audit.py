"""Known weaknesses of the pinned packages, as pip-audit finds them. Without the network nothing is known: that is said,
and CI goes on."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


def main() -> int:
    """Returns 1 if a pinned package has a known weakness."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = ["--disable-pip", "--require-hashes", "--progress-spinner", "off", "--format", "json"]
        files = [word for name in ("pins.txt", "release.txt") for word in ("--requirement", str(HERE / name))]
        command = [sys.executable, "-m", "pip_audit", *options, *files, "--output", str(report)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not report.exists():
            why = (done.stderr.strip().splitlines() or ["no reason was given"])[-1]
            print(f"note: the packages were not audited: {why}")
            return 0
        found = json.loads(report.read_text())["dependencies"]
    weak = [(package, weakness) for package in found for weakness in package.get("vulns", ())]
    for package, weakness in weak:
        fixed = ", ".join(weakness["fix_versions"]) or "no version yet"
        print(f"{package['name']} {package['version']}: {weakness['id']}, fixed in {fixed}: run `make pins`")
    skipped = [package for package in found if "skip_reason" in package]
    if skipped:
        print(f"note: {len(skipped)} packages were not audited, such as: {skipped[0]['skip_reason']}")
    print(f"{len(found) - len(skipped)} packages were audited")
    return 1 if weak else 0


if __name__ == "__main__":
    sys.exit(main())
