"""The smallest limit counts: of the machine, of a control group or one above it, or of the process."""

import resource
import subprocess
import sys

import pytest

from jacobench.bench.machine.machine_record import total_memory
from jacobench.bench.machine.memory_limits import memory_limit

MIB = 2**20


def tree(root, group, limits):
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(group + "\n")
    for path, limit in limits.items():
        file = root / "sys/fs/cgroup" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{limit}\n")
    return root


@pytest.mark.parametrize(
    ("group", "limits", "expected"),
    [
        ("0::/a/b", {"a/b/memory.max": 64 * MIB, "a/memory.max": "max"}, 64 * MIB),
        ("0::/a/b", {"a/b/memory.max": "max", "a/memory.max": 32 * MIB}, 32 * MIB),
        ("0::/", {"memory.max": 16 * MIB}, 16 * MIB),
        ("0::/host/path", {"memory.max": 16 * MIB}, 16 * MIB),
        ("4:cpu,memory:/a/b\n1:name=systemd:/", {"memory/a/memory.limit_in_bytes": 8 * MIB}, 8 * MIB),
        ("4:memory:/a", {"memory/a/memory.limit_in_bytes": 2**63 - 4096}, None),
        ("0::/a", {"b/memory.max": 16 * MIB}, None),
        ("4:cpu:/a", {"memory/a/memory.limit_in_bytes": 16 * MIB}, None),
    ],
)
def test_each_group_above_the_process_counts(tmp_path, group, limits, expected):
    assert memory_limit(tree(tmp_path, group, limits)) == (expected or memory_limit(tmp_path / "none"))


@pytest.mark.skipif(sys.platform != "linux", reason="there are no such limits")
@pytest.mark.parametrize("name", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_limits_of_the_process_count(name):
    limit = min(total_memory() - MIB, 2**33)
    code = f"""
import resource
from jacobench.bench.machine.memory_limits import memory_limit
resource.setrlimit(resource.{name}, ({limit}, resource.getrlimit(resource.{name})[1]))
print(memory_limit())
"""
    assert hasattr(resource, name)
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) <= limit
