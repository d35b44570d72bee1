"""Load on a running Darkroom, by locust: what it takes, what the autoscaler makes of it, and whether anything was lost.

`shapes` says how many visitors come when, `stories` what each of them does, `orders` which pictures they bring.
`ledger` writes down what they were told, `audit` holds that against what there is, and `report` shows a run on a page.

Nothing here knows how Darkroom works inside: all goes through its API, its Broker's address and what it says of itself,
so that the same load meets a laptop and a cluster. Speed beside peers is benchmarks' business.
"""
