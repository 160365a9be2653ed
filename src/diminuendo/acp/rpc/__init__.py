"""JSON-RPC 2.0 with requests both ways: messages as values, and the peer that exchanges them."""
