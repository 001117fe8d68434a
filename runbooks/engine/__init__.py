"""What runs steps, and how."""
