"""The page in the browser: what one member sees of the workspace, and what that member does in it."""
