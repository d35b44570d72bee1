"""Measuring tools shared by several benchmarks: CPU time by process, closed loops, the machine's description.

The benchmarks themselves are one folder up. Nothing here knows what is compared.
"""
