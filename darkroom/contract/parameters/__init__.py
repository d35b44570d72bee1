"""What may be asked for: one module per kind of job, and what they share.

`values` and `gravity` hold the values that fields take, `output` the fields that every kind has, `parsing` turns what
callers send into a model and lists every mistake. What depends on the picture (a crop outside of it, say) is not judged
here but by `darkroom.imaging`. Which kinds there are is written in `darkroom.contract.job_types`.
"""
