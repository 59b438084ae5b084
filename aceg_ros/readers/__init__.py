"""Map codes made readable: one reader for each kind of code, behind one protocol."""
