"""How other processes talk to the one that writes a workspace, and to the supervisor: lines of JSON over a Unix socket.

A request is one line, `{"id": 1, "do": "barrier", …}`. Its answer is one line, `{"id": 1, "ok": …}` or
`{"id": 1, "error": {"code", "message", …}}`; answers come in any order. After `follow`, lines without an id are pushed:
`{"push": "recorded", "iterations": […]}`. Byte strings (paths, names) are base64 in the JSON, because a path may hold any byte.
"""
