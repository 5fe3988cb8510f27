"""Values that implementations are held to."""
