"""`python -m tests.benchmarks.peers.enqueue MODULE JOBS`: let a peer's module enqueue, in a process that ends afterwards."""

import importlib
import sys

if __name__ == "__main__":
    importlib.import_module(sys.argv[1]).enqueue(int(sys.argv[2]))
