"""EXIF, XMP and IPTC of strangers' pictures: what is kept, and how it gets into the result.

libvips would write EXIF anew from texts meant for display, which changes bytes that are not ASCII, and knows nothing of
tags that described the old pixels. So the raw blocks are read, filtered and written here. All input is hostile: every
reader is bounded, keeps what is valid, and drops the rest without an exception.

- `exif`, `xmp`, `iptc`: one filter per kind of block.
- `blocks`: which of them a result gets.
- `embed`: writes blocks into an encoded picture.
"""
