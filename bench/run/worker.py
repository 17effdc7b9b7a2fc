"""Start of a worker: a process that ends with its parent, also while it imports what it needs, which takes seconds.

Its argument is the process id of the parent. `worker_job` describes what it does.
"""

from __future__ import annotations

import os
import sys

from jacobench.bench.cell.process_limits import die_with_parent

if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))
    from jacobench.bench.run.worker_job import main

    status = main()
    sys.stderr.flush()
    # sys.exit would wait for threads that a strategy has left and run the exit handlers of its library.
    os._exit(status)
