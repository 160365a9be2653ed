"""What the gateway acts through."""
