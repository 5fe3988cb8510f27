"""What the groups of the bench are made of; nothing in here is a group."""
