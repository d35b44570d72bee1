"""Questions that are answered with many simulations: which of these settings, at what price, how well does it predict.

Pure, like the simulator. Files, prices and pages are the command's.
"""
