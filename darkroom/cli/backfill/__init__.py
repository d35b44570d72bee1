"""`darkroom backfill`: has presets made of pictures that are in storage already, a whole library at a time.

`plan` decides what a picture lacks, `state` remembers it in a file, `pace` decides when the next one may begin, `run`
speaks with the API, `command` with the user.
"""
