"""What Diminuendo keeps: a registry for each tenant, a database for each session, both SQLite files of the host."""
