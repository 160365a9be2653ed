"""What is kept: contents by their hash (`pool`) and what happened to which path when (`history`)."""
