"""The console: pages that show what runs, what waits, and why, for anybody's project.

A Starlette application in a process of its own, so that nobody pays for it who does not look, and so that it cannot
stall the gateway. It learns everything from the runtime's admin API. An application adds its own pages (`extension`).
In a cluster there is no such runtime, and the console has the application's pages alone.

It imports nothing of the application and nothing of `darkroom.local`, which starts it.
"""
