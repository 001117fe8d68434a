"""How the schema came to be, one file per change. Files that were released are never edited."""
