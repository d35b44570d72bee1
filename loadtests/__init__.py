"""Load on a running Darkroom, by locust: its throughput, the autoscaler's reaction, and whether anything was lost.

`shapes` defines how many visitors come when, `stories` what each of them does, `orders` which pictures they bring.
`ledger` records the answers they got, `audit` compares that with what exists, and `report` shows a run on a page.

Nothing here knows how Darkroom works inside: everything goes through its API, its Broker's address and its metrics, so
that the same load runs against a laptop and a cluster. Comparisons with peers are in `benchmarks`.
"""
