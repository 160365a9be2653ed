"""Who a client is: API keys and tokens of an identity provider."""
