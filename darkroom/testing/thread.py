"""A thread with an event loop in which the runtime works while a test, which is plain synchronous code, waits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from darkroom.local.children.processes import let_this_thread_start_processes

Result = TypeVar("Result")


class RuntimeThread:
    """Lasts for the whole test run, because the kernel ends processes with the thread that started them."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        # A daemon: an interpreter that ends without `stop` must not wait for it.
        self._thread = threading.Thread(target=self._run, name="darkroom-testing", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Result], timeout_s: float | None = None) -> Result:
        """Run a coroutine in the loop, and wait for its result. Raises TimeoutError, with the coroutine cancelled."""
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError("called in the runtime's own thread, which would wait for itself")
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result(timeout_s)
        except BaseException:
            future.cancel()
            raise

    def stop(self) -> None:
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        let_this_thread_start_processes()
        try:
            self.loop.run_forever()
            self.loop.run_until_complete(self._cancel_what_is_left())
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
        finally:
            self.loop.close()

    async def _cancel_what_is_left(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
