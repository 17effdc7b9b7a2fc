"""Installation of a side: the command, and its variables, which say where packages come from, not where they go."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
from contextlib import suppress
from difflib import get_close_matches
from typing import TYPE_CHECKING

from jacobench.bench.machine.git_command import MORE_SPACE, NO_SPACE
from jacobench.bench.machine.worker_process import kill_group
from jacobench.graphs.errors import BadInput, UnsuitableEnvironment

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

INSTALL = "{python} -m pip install --quiet --no-deps --no-build-isolation --ignore-installed {dir}"
"""Default command. It needs no network: dependencies and build tools are those of the current environment."""

REQUIRE = "{python} -P -m pip install --quiet {dir}"
"""Default command for requirements, which replace ``{dir}``. What the side sees in a suitable version is kept."""

PLACEHOLDERS = ("{python}", "{dir}")

KEPT = (
    *("INDEX_URL", "EXTRA_INDEX_URL", "NO_INDEX", "FIND_LINKS", "PRE", "PREFER_BINARY"),
    *("PROXY", "CERT", "CLIENT_CERT", "TRUSTED_HOST", "KEYRING_PROVIDER", "TIMEOUT", "DEFAULT_TIMEOUT", "RETRIES"),
    *("CACHE_DIR", "NO_CACHE_DIR", "CONFIG_SETTINGS", "GLOBAL_OPTION", "USE_FEATURE", "LOG", "NO_INPUT"),
)
"""Options of pip that are kept. The others redirect the installation (TARGET, PREFIX, ROOT, USER, PYTHON), block it
(REQUIRE_HASHES, DRY_RUN, PLATFORM), add to it (REQUIREMENT, EDITABLE, GROUP), or do not matter to it."""


CHOICES = ("CONSTRAINT", "BUILD_CONSTRAINT", "NO_BINARY", "ONLY_BINARY", "NO_BUILD_ISOLATION", "IGNORE_REQUIRES_PYTHON")
"""Options that choose among versions. They are kept for the user's own command, which may install dependencies."""

FIXES = {
    NO_SPACE: MORE_SPACE,
    "unable to detect version|cannot describe anything|No tags can describe|is shallow, please": "the version comes from git's "
    "tags; to fetch them, run git fetch --tags, and in a shallow clone git fetch --unshallow --tags",
    "invalid command 'bdist_wheel'": "setuptools before 70.1 needs another package to build: run pip install wheel",
}
"""Pattern of an installer's output → what to do."""

UNREACHABLE = r"error sending request"
"""Pattern of uv's messages about an index that cannot be reached."""

NOT_OFFERED = r"Could not find a version that satisfies the requirement (.+?) \(from versions: (.*)\)"
NAMES_ERROR = r"(\w+\.)*\w*(Error|Exception|Unavailable)\b|ERROR:|([\w-]+: )?error:|fatal:"
LOCATED = r":\d+:(\d+:)? (fatal error|error|ERROR): |^CMake Error at "

USELESS = (
    "ERROR: Failed",
    "ERROR: ResolutionImpossible",
    "error: subprocess",
    "error: metadata",
    "error: failed-wheel",
)
"""Beginnings of lines that name no cause."""

EDITABLE = ("-e", "--editable")

OF_UV = (
    *("UV_SYSTEM_PYTHON", "UV_PYTHON", "UV_MANAGED_PYTHON", "UV_PROJECT_ENVIRONMENT", "UV_PROJECT"),
    *("UV_WORKING_DIR", "UV_WORKING_DIRECTORY", "UV_REQUIRE_HASHES", "UV_NO_SYNC"),
)
"""Variables of uv that redirect or block an installation. They are removed."""


def install_variables(python: Path, template: str) -> dict[str, str]:
    """Return the environment of the command `template`; `python` is an interpreter that has pip."""
    inherited = dict(os.environ)
    kept = KEPT if template == INSTALL else KEPT + CHOICES
    made = pip_variables(inherited, pip_configuration(python, inherited), kept)
    return {name: value for name, value in made.items() if name not in OF_UV}


def pip_variables(
    variables: Mapping[str, str], configuration: Mapping[str, str], kept: Collection[str] = KEPT
) -> dict[str, str]:
    """Return an environment in which pip reads no configuration file, and of its options only those in `kept`.

    variables: the whole environment. configuration: options from pip's files, as `pip_configuration` returns them.
    """
    others = {name: value for name, value in variables.items() if not name.upper().startswith("PIP_")}
    ours = {name: value for name, value in variables.items() if name.upper().removeprefix("PIP_") in kept}
    theirs = {f"PIP_{name}": value for name, value in configuration.items() if name in kept}
    quiet = {"PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    made = others | theirs | {name: value for name, value in ours.items() if name not in others} | quiet
    if made.get("PIP_RETRIES") == "0":
        made["PIP_RETRIES"] = "1"  # pip reports an index that cannot be reached only when it tries again
    return made


def pip_configuration(python: str | Path, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the options in the configuration files that pip of an interpreter reads; {} if it cannot be asked."""
    command = [str(python), "-P", "-m", "pip", "config", "list"]
    found = ""
    with suppress(OSError, subprocess.SubprocessError):
        # With user = true, pip would list only the user's file.
        asked = {**variables, "PIP_USER": "0"}
        found = subprocess.run(command, env=asked, capture_output=True, text=True, check=True, timeout=60).stdout
    return read_configuration(found)


def read_configuration(listed: str) -> dict[str, str]:
    r"""Read what ``pip config list`` prints; a value of ``[install]`` precedes one of ``[global]``.

    >>> read_configuration("global.index-url='https://example.org/simple'\ninstall.user='true'\n:env:.target='/t'")
    {'INDEX_URL': 'https://example.org/simple', 'USER': 'true'}
    """
    lines = re.findall(r"^(global|install)\.([\w-]+)=(['\"].*['\"])$", listed, re.MULTILINE)
    return {name.upper().replace("-", "_"): str(ast.literal_eval(value)) for _, name, value in sorted(lines)}


def _broken_connections(output: str, versions: str) -> list[str]:
    """Return why pip did not reach an index; nothing if it found versions."""
    return re.findall(r"connection broken by .*?([^:'\"()]+)['\")]*: /", output) if versions == "none" else []


def _is_of_environment(output: str) -> bool:
    """Return whether the disk or the network made an installation fail, and not what is installed."""
    broken = (_broken_connections(output, versions) for _, versions in re.findall(NOT_OFFERED, output))
    return bool(re.search(f"{NO_SPACE}|{UNREACHABLE}", output)) or any(broken)


def _not_offered(requirement: str, versions: str, output: str) -> str:
    """Return why pip found no release for a requirement: no connection, another Python, or another version."""
    if broken := _broken_connections(output, versions):
        return f"the package index cannot be reached ({broken[-1].strip()}); check the network and pip's index-url"
    if versions == "none":
        return f"the package index has no release of {requirement} for this Python and platform; check its name"
    names, wanted = versions.split(", "), re.findall(r"[=<>~!]=?\s*([\w.+!-]+)", requirement)
    near = [*get_close_matches(wanted[0] if wanted else "", names, 3, 0.0), names[-1]]
    return (
        f"no release satisfies {requirement}: expected one that the package index has for this Python and platform, such "
        f"as {', '.join(dict.fromkeys(near))}"
    )


def check_template(template: str) -> str:
    """Return the template of a command if it has both placeholders and no others; raise BadInput otherwise."""
    given = set(re.findall(r"\{[^}]*\}", template))
    if given != set(PLACEHOLDERS):
        raise BadInput(
            f"--install {template!r}: expected a command with {' and '.join(PLACEHOLDERS)}, as in {INSTALL!r}"
        )
    try:
        shlex.split(template.format(python="", dir=""))
    except ValueError as error:
        raise BadInput(f"--install {template!r}: {error}; expected a command as in {INSTALL!r}") from None
    return template


def requirement_template(template: str) -> str:
    """Return the command that installs requirements: the user's own, if they can replace its ``{dir}``."""
    words = shlex.split(template)
    own = template != INSTALL and "{dir}" in words and words[words.index("{dir}") - 1] not in EDITABLE
    return template if own else REQUIRE


def install_command(template: str, python: str | Path, *what: str | Path) -> list[str]:
    """Return the words of the command that installs a folder, or requirements; paths may contain spaces and quotes."""
    words: list[str] = []
    for word in shlex.split(template):
        words += map(str, what) if word == "{dir}" else [word.format(python=python, dir=what[0])]
    return words


def run_install(what: str, command: Sequence[str], folder: Path, variables: Mapping[str, str]) -> None:
    """Run a command that installs something, in a folder, without a shell.

    what: for messages, such as the side and its revision. Raises BadInput if the command fails, with the line of its
    output that names the error: UnsuitableEnvironment if the disk is full or an index cannot be reached.
    """
    code, output = _run(command, folder, variables)
    if code:
        kind = UnsuitableEnvironment if _is_of_environment(output) else BadInput
        raise kind(f"{what} cannot be installed: {_error_line(output).rstrip('.')}{_fix(output)}")


def _run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """Run a command; return its exit code and output. On an interrupt, end it and all its children."""
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        return 127, f"{command[0]}: {error.strerror}"
    with process:
        try:
            output, _ = process.communicate()
        except BaseException:
            kill_group(process)
            raise
    return process.returncode, output


def _fix(output: str) -> str:
    """Return what to do about an error, for causes that an installer does not name; empty for others."""
    return next((f"; {fix}" for cause, fix in FIXES.items() if re.search(cause, output)), "")


def _error_line(output: str) -> str:
    """Return the most useful line of an installer's output: the last that names an error, else the last.

    Of compilers and build systems, which name a file, it is the first.
    """
    if found := re.findall(NOT_OFFERED, output):
        return _not_offered(found[-1][0], found[-1][1], output)
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if located := [line for line in lines if re.search(LOCATED, line)]:
        after = lines[lines.index(located[0]) + 1 :] if "CMake" in located[0] else []
        return " ".join([located[0], *after[:1]])[:500]
    errors = [line for line in lines if re.match(NAMES_ERROR, line)]
    named = [line for line in errors if not line.startswith(USELESS)]
    causes = re.findall(r"^\s*(?:cause|Caused by): (.+)$", output, re.MULTILINE)  # of uv: the first is the nearest
    parts = [(named or errors or lines or ["no output"])[-1], *causes[:1], *causes[-1:]]
    return ": ".join(dict.fromkeys(parts))[:500]
