"""How fast Diminuendo is."""
