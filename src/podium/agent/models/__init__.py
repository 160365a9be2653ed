"""Names under which the models of the SDK may be imported too."""
