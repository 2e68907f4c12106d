"""Makes the golden journals of this version: `python -m tests.golden.make`.

Those that are there are replaced: so only before the version is released.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

# As the tests have it: before anything loads MLX.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

HERE = Path(__file__).parent
VERSION = "0.2.0"


def main() -> None:
    """Make the runs in a folder that goes, and keep their journals."""
    from onlinedpo.journal import codec
    from tests.golden.folded import folded
    from tests.golden.runs import all_runs, working_in

    target = HERE / VERSION
    shutil.rmtree(target, ignore_errors=True)
    kinds: set[str] = set()
    with tempfile.TemporaryDirectory() as folder, working_in(Path(folder)):
        for name, run in all_runs().items():
            (target / name).mkdir(parents=True)
            size = 0
            for path in sorted((run / "journal").glob("*.odj")):
                shutil.copyfile(path, target / name / path.name)
                size += path.stat().st_size
            expected = folded(target / name)
            kinds |= set(expected["kinds"])
            text = json.dumps(expected, indent=1, sort_keys=True) + "\n"
            (target / f"{name}.json").write_text(text)
            print(f"{name:<9} {expected['frames']:>4} frames {size:>7} bytes")
    missing = set(codec.KINDS) - kinds
    assert not missing, f"no journal has a {missing}"


if __name__ == "__main__":
    main()
