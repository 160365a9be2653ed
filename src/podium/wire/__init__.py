"""Every message and record as a type; ids, codec, limits, errors. No I/O, no clock, no randomness.

Import from the modules: `ids`, `refs`, `units`, `status`, `errors`, `close`, `limits`, `envelope`, `events`,
`commands`, `link`, `manifest`, `patch`, `rest`.
"""
