"""`maint demo`: the sandbox, the bot, and a little shop to look after, in one process."""
