"""A few processes that render results, so that the web process needs neither the memory nor the libraries for it."""

import functools
import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent import futures
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

import structlog

from web import render_child

Returned = TypeVar("Returned")

PROCESSES = 2
LIMIT_SECONDS = 60.0
# A workbook of a million rows takes minutes. One process does them all, so that others are not kept from their pages.
FILE_PROCESSES = 1
FILE_LIMIT_SECONDS = 600.0
# Looking through all datasets takes all cores of its process.
LOOKUP_PROCESSES = 1

log = structlog.get_logger("web.rendering")


class RenderingTooSlowError(RuntimeError):
    """A piece of a result was not rendered in time."""


class RenderPool:
    """A process pool made on first use, and made again when one of its processes dies."""

    def __init__(self, *, processes: int, limit_seconds: float) -> None:
        self._processes = processes
        self._limit_seconds = limit_seconds
        self._lock = threading.Lock()
        self._executor: futures.ProcessPoolExecutor | None = None

    def run(self, function: Callable[..., Returned], *arguments: object) -> Returned:
        """Run a function of `web.render_child` in one of the processes.

        A process that dies takes the others with it; then the pool is made anew and the function is run once more.

        Raises:
            BrokenProcessPool: the process died twice: what it renders is what kills it.
            RenderingTooSlowError: it took too long.
        """
        executor = self._get()
        try:
            return self._run(executor, function, *arguments)
        except BrokenProcessPool:
            log.warning("a rendering process died; trying once more")
            self._drop(executor)
        executor = self._get()
        try:
            return self._run(executor, function, *arguments)
        except BrokenProcessPool:
            self._drop(executor)
            raise

    def close(self) -> None:
        """End the processes; the next use would start new ones."""
        with self._lock:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=True, cancel_futures=True)

    def _run(
        self, executor: futures.ProcessPoolExecutor, function: Callable[..., Returned], *arguments: object
    ) -> Returned:
        future = executor.submit(function, *arguments)
        try:
            return future.result(timeout=self._limit_seconds)
        except TimeoutError as error:
            future.cancel()
            raise RenderingTooSlowError(f"rendering took longer than {self._limit_seconds} s") from error

    def _get(self) -> futures.ProcessPoolExecutor:
        with self._lock:
            if self._executor is None:
                # A fork would copy the threads' locks and the database's sockets; a fresh interpreter has neither.
                self._executor = futures.ProcessPoolExecutor(
                    self._processes, mp_context=multiprocessing.get_context("spawn"), initializer=render_child.prepare
                )
            return self._executor

    def _drop(self, broken: futures.ProcessPoolExecutor) -> None:
        """Forget a broken pool, unless another thread has already replaced it."""
        with self._lock:
            if self._executor is broken:
                self._executor = None
        broken.shutdown(wait=False, cancel_futures=True)


@functools.cache
def _pools_of_process(pid: int) -> tuple[RenderPool, RenderPool, RenderPool]:  # noqa: ARG001 - the pid is the cache's key: a pool does not survive a fork
    return (
        RenderPool(processes=PROCESSES, limit_seconds=LIMIT_SECONDS),
        RenderPool(processes=FILE_PROCESSES, limit_seconds=FILE_LIMIT_SECONDS),
        RenderPool(processes=LOOKUP_PROCESSES, limit_seconds=LIMIT_SECONDS),
    )


def pool() -> RenderPool:
    """Return the pool for what is rendered piece by piece."""
    return _pools_of_process(os.getpid())[0]


def file_pool() -> RenderPool:
    """Return the pool for what is rendered as a whole, and takes longer."""
    return _pools_of_process(os.getpid())[1]


def lookup_pool() -> RenderPool:
    """Return the pool for what is looked up in the lake."""
    return _pools_of_process(os.getpid())[2]


def close_all() -> None:
    """End all rendering processes of this process."""
    for each in _pools_of_process(os.getpid()):
        each.close()
