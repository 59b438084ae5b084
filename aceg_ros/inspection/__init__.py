"""What can be said of posed images before a map is fitted to them; mathematics, no printing."""
