"""What the running stack measures of itself, and how Prometheus reads it at the admin port's `/metrics`.

`readings` asks all parts at once; `exposition` writes what they say. Names and buckets are those of
`darkroom.contract.metrics`, and what happens to jobs is counted in Redis, not here.
"""
