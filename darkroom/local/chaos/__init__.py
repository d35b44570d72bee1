"""Chaos: faults that are drawn from a seed and inflicted on a running stack, and the reckoning of what they did.

`plan` draws and decides, and is pure. `deliveries` and `processes` inflict, `account` keeps what became of each event,
`run` puts a run together, and `routes` offers it to `darkroom chaos` through the admin API. While nobody runs chaos,
nothing of this is in the way of a delivery (`eventing/interposition.py`).
"""
