"""Reads pictures' containers without decoding them: the markers of JPEG, the chunks of PNG and WebP, the blocks of GIF,
the boxes of AVIF.

Each format has a walker: a state machine that is fed the file in chunks of any size, takes time in proportion to their
bytes and memory that does not grow with them. A walker reports the facts that the container states, raises as soon as
a limit is known to be exceeded, and raises nothing but our own errors, whatever the bytes are. No pixel is decoded here
and no metadata is inflated.

- `inflow`: the bytes that have come and are not yet consumed.
- `contents`: what a walker finds.
- `edits`: what a walker would change so that the decoder sees only what it needs.
- `walker`: the common interface.
- `exif`, `icc`: the one number that is read from each.
- `jpeg`, `png`, `webp`, `gif`, `avif`: the walkers.
"""
