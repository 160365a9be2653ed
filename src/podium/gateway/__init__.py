"""The stateless daemon clients reach: authenticates, places, proxies, uploads."""
