-- What an agent has spent is the sum of these; an agent with a budget asks for it each time its databases are opened.
CREATE INDEX event_of_spending ON event (seq) WHERE type = 'usage.update';
