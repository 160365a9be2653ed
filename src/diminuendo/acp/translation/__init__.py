"""What Podium says in the words of ACP, and the other way round. No I/O, no clock."""
