"""Check the files of a wheel: ``python .ci/wheel.py FILE.whl``."""

import sys
import zipfile

PACKAGES = ("graphs", "strategies", "bench", "reports")
NEEDED = (
    *(f"jacobench/{package}/__init__.py" for package in PACKAGES),
    *(f"jacobench/bench/suites/{suite}.toml" for suite in ("smoke", "standard", "scaling", "claims", "gate")),
    *(f"jacobench/reports/render/base.{ending}" for ending in ("css", "html.j2", "js")),
    "jacobench/reports/page/run_page.html.j2",
    "jacobench/reports/history/history_page.html.j2",
    "jacobench/__init__.py",
    "jacobench/__init__.pyi",
    "jacobench/commands/__init__.py",
    "jacobench/py.typed",
    "jacobench/bench/run/worker.ini",
    "jacobench/bench/run/test_cells.py",
)

names = zipfile.ZipFile(sys.argv[1]).namelist()
problems = [f"{name} is missing" for name in NEEDED if name not in names]
tops = {name.split("/")[0] for name in names if not name.split("/")[0].endswith(".dist-info")}
problems += [f"{top} would be installed at the top level" for top in sorted(tops - {"jacobench"})]
if problems:
    sys.exit(f"{sys.argv[1]}: {'; '.join(problems)}")
print(f"{sys.argv[1].rpartition('/')[2]}: {len(names)} files, all below jacobench/")
