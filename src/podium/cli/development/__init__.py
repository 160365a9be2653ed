"""`podium dev`: an agent that restarts at every save and keeps what it knows."""
