"""The command that installs a side: pip's settings for packages are kept, those for the place are not."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from jacobench.bench.gate.installation.installer import (
    INSTALL,
    REQUIRE,
    install_command,
    install_variables,
    pip_configuration,
    pip_variables,
    requirement_template,
    run_install,
)
from jacobench.graphs.errors import BadInput, UnsuitableEnvironment

REDIRECT = ("USER", "TARGET", "PREFIX", "ROOT", "PYTHON", "REQUIRE_HASHES", "DRY_RUN", "CONSTRAINT", "PLATFORM")


@pytest.mark.parametrize("name", REDIRECT)
def test_a_variable_or_setting_that_redirects_or_blocks_is_removed(name):
    made = pip_variables({"PATH": "/bin", f"PIP_{name}": "1", f"pip_{name.lower()}": "1"}, {name: "1"})
    assert made == {"PATH": "/bin", "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def test_where_packages_come_from_is_kept_and_a_variable_precedes_a_file():
    made = pip_variables({"PIP_INDEX_URL": "mine"}, {"INDEX_URL": "other", "PROXY": "proxy"})
    assert (made["PIP_INDEX_URL"], made["PIP_PROXY"]) == ("mine", "proxy")


def test_constraints_are_kept_for_the_users_own_command(monkeypatch):
    monkeypatch.setenv("PIP_CONSTRAINT", "versions.txt")
    monkeypatch.setenv("PIP_TARGET", "elsewhere")
    ours, theirs = (install_variables(Path("no-such-python"), each) for each in (INSTALL, "pip install {python} {dir}"))
    assert "PIP_CONSTRAINT" not in ours
    assert theirs["PIP_CONSTRAINT"] == "versions.txt"
    assert "PIP_TARGET" not in theirs


def test_settings_of_uv_that_redirect_are_removed(monkeypatch):
    for name in ("UV_SYSTEM_PYTHON", "UV_PYTHON", "UV_PROJECT_ENVIRONMENT", "UV_INDEX_URL"):
        monkeypatch.setenv(name, "1")
    made = install_variables(Path("no-such-python"), "uv pip install --python {python} {dir}")
    assert "UV_INDEX_URL" in made
    assert not {"UV_SYSTEM_PYTHON", "UV_PYTHON", "UV_PROJECT_ENVIRONMENT"} & made.keys()


def test_a_folder_may_have_a_name_with_spaces_and_quotes():
    command = install_command("{python} -m pip install {dir}", "/p y/python", Path("/it's here"))
    assert command == ["/p y/python", "-m", "pip", "install", "/it's here"]


def test_the_files_of_pip_are_read(tmp_path):
    (tmp_path / "pip.conf").write_text("[global]\nuser = true\nextra-index-url =\n  a\n  b\n[install]\nproxy = p\n")
    found = pip_configuration(sys.executable, os.environ | {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf")})
    assert found["USER"] == "true"
    assert found["EXTRA_INDEX_URL"].split() == ["a", "b"]
    assert found["PROXY"] == "p"
    assert pip_configuration("no-such-python", os.environ) == {}


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (
            '{python} -c \'import sys; print("ERROR: no such thing"); print("more"); sys.exit(3)\' {dir}',
            "ERROR: no such thing",
        ),
        ("{python} -c 'import sys; print(\"the last line\"); sys.exit(3)' {dir}", "the last line"),
        ("no-such-command {python} {dir}", "no-such-command: No such file"),
    ],
)
def test_what_cannot_be_installed_is_one_line_with_the_side(template, said, tmp_path):
    with pytest.raises(BadInput, match=rf"^head \(1a2b3c\) cannot be installed: {said}"):
        run_install("head (1a2b3c)", install_command(template, sys.executable, tmp_path), tmp_path, os.environ)


def test_requirements_replace_the_folder_in_the_command_of_the_user_where_they_can():
    own = "uv pip install --python {python} {dir}"
    assert requirement_template(own) == own
    assert install_command(own, "/python", "jax==1", "numpy<3")[-3:] == ["/python", "jax==1", "numpy<3"]
    for template in (INSTALL, "pip --python {python} install -e {dir}", "pip --python {python} install {dir}[test]"):
        assert requirement_template(template) == REQUIRE


RETRYING = """WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by 'NewConnectionError('<pip._vendor.urllib3.connection.HTTPConnection object at 0x7f3>: Failed to establish a new connection: [Errno 111] Connection refused')': /simple/jax/
"""

NONE = """ERROR: Could not find a version that satisfies the requirement jax=={} (from versions: {})
ERROR: No matching distribution found for jax=={}
"""

PIP_SAID = {
    "no connection": (
        RETRYING + NONE.format("1.2", "none", "1.2"),
        r"the package index cannot be reached \(\[Errno 111\] Connection refused\); check",
    ),
    "no such name": (NONE.format("1.2", "none", "1.2"), "the package index has no release of jax==1.2 for this Python"),
    "no such version": (
        RETRYING + NONE.format("0.4.39", "0.1, 0.4.35, 0.4.38, 0.5.0", "0.4.39"),
        "no release satisfies jax==0.4.39: expected one .* such as 0.4.38, 0.4.35, 0.5.0",
    ),
    "conflict": (
        "ERROR: Cannot install a and b because x.\nERROR: ResolutionImpossible: for help visit https://x",
        "ERROR: Cannot install a and b because x$",
    ),
    "git": (
        "fatal: unable to access 'x': refused\nerror: subprocess-exited-with-error\nexit code: 128",
        "fatal: unable",
    ),
    "compiler": (
        "core.c:3:10: fatal error: x.h: No such file\ncore.c:9:1: error: y\nerror: command '/usr/bin/gcc' failed with exit code 1",
        "core.c:3:10: fatal error: x.h: No such file$",
    ),
    "meson": (
        "../meson.build:3:0: ERROR: Dependency 'x' not found\nA full log\nerror: metadata-generation-failed",
        "../meson.build:3:0: ERROR: Dependency 'x' not found$",
    ),
    "meson-python": (
        "meson-python: error: The package requires Python >=3.12\nerror: metadata-generation-failed",
        "meson-python: error: The package requires Python >=3.12$",
    ),
    "cmake": (
        "CMake Error at CMakeLists.txt:2 (find_package):\n  Could not find Python\n\n*** CMake configuration failed\n",
        r"CMake Error at CMakeLists.txt:2 \(find_package\): Could not find Python$",
    ),
    "uv": (
        "error: Request failed\n  cause: Failed to fetch: http://x\n  cause: tcp\n  cause: Connection refused",
        "error: Request failed: Failed to fetch: http://x: Connection refused",
    ),
    "wheel": ("error: invalid command 'bdist_wheel'", "error: invalid command 'bdist_wheel'; .* run pip install wheel"),
    "tags": ("LookupError: setuptools-scm was unable to detect version for /x", "LookupError: .* run git fetch --tags"),
}


OF_ENVIRONMENT = {
    "pip": (PIP_SAID["no connection"][0], True),
    "uv": ("error: Failed to fetch: `http://x/`\n  Caused by: error sending request for url (http://x/)", True),
    "disk": ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", True),
    "quota": ("cp: error writing 'x': Disk quota exceeded", True),
    "no such name": (PIP_SAID["no such name"][0], False),
    "no such version": (PIP_SAID["no such version"][0], False),
    "not found": ("error: Failed to fetch: `http://x/`\n  Caused by: HTTP status client error (404 Not Found)", False),
    "retried": (RETRYING + PIP_SAID["compiler"][0], False),
}


@pytest.mark.parametrize("name", OF_ENVIRONMENT)
def test_a_full_disk_or_an_unreachable_index_is_not_the_fault_of_what_is_installed(name, tmp_path):
    output, expected = OF_ENVIRONMENT[name]
    command = [sys.executable, "-c", f"import sys; print({output!r}); sys.exit(1)"]
    with pytest.raises(BadInput) as raised:
        run_install("base", command, tmp_path, os.environ)
    assert isinstance(raised.value, UnsuitableEnvironment) is expected


@pytest.mark.parametrize("name", PIP_SAID)
def test_the_cause_is_named_in_one_line_with_the_fix(name, tmp_path):
    output, said = PIP_SAID[name]
    command = [sys.executable, "-c", f"import sys; print({output!r}); sys.exit(1)"]
    with pytest.raises(BadInput, match=rf"^base cannot be installed: {said}") as error:
        run_install("base", command, tmp_path, os.environ)
    assert "\n" not in str(error.value)
