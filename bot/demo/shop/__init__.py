"""A little shop that the demo looks after: two versions, real logs and metrics, and switches to break it."""
