"""What several benchmarks measure with: processor time by process, closed loops, the machine's description, charts.

The benchmarks themselves are one folder up. Nothing here knows what is compared.
"""
