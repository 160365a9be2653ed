"""Sessions at work: what a client may do with them, whatever it is connected by."""
