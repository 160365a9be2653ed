"""Diminuendo: the client gateway. Sessions that outlive connections, on top of Podium's public API."""
