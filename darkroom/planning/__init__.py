"""What a load needs: CPU, pods, memory, disk, requests, bytes and money, by arithmetic from measured costs.

Pure: values in, values out. The costs are data (`costs.json`), written by benchmarks/costs.py with the machine they
were measured on; no number of them is written by hand. Choices, such as how full a worker may be, are in `policy`. What
the manifests set is passed in by the command line, since the application does not read them.

- `workload`: what is asked: jobs per day, pictures, how long they are kept.
- `costs`: what one job costs, as measured.
- `demand`: what the workload costs per second, per day and at rest.
- `sizing`: pods, max-scale, maxAckPending and BROKER_WINDOW.
- `deployment`: what there is now, and which part of it is too small first.
- `prices`: what it costs a month.
- `cells`: into how many installations a load is divided, once one is too small.
"""
