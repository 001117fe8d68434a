"""The first message in #ops: what there is, what to type, and who to be."""

from bot.sandbox import Message, Sandbox
from bot.sandbox.model import Content

_TEXT = """\
Welcome! This workspace is a sandbox on your own machine, and @maint in it is the real bot. It looks after a \
little shop: <{shop}|its front page>.

Type here:
• `/maint health` checks everything that the shop stands on
• `/maint digest post` puts a digest here, as one comes every morning; changes are told in #alerts
• `/maint help` lists what there is, `/maint targets` what is looked after

Then break the shop with <{shop}/switches|its switches>, and ask for `/maint health` again: \
a message in #alerts has that trouble until it is over. Take it on there, or see who is called next.

Roll a new version out, with short soaks: be *sre1* and type
`/maint run deploy-rollout target=shop version=2.1.0 soak=20s every=5s watch=1m watch-every=10s`
and approve it as *sre2*. Release 2.0.1 is broken: its rollout takes itself back. `/maint runbooks` lists \
what else there is.
{database}
You may be anybody: *admin* may do everything, *sre1* and *sre2* may run everything and approve it,{dba} and \
*nobody* has no grants: be that one, and be refused."""
_DATABASE = """
Look after its database: `/maint run backup-daily`, then
`/maint run database-maintenance watch=1m watch-every=15s`
which restores a backup, shows what it would reach, and waits until *sre1* or *sre2* approve it.
"""
_DBA = " *dba* only at the database and the cache,"


def welcome(sandbox: Sandbox, shop: str, *, with_services: bool) -> Message:
    """Writes it, as the workspace's admin."""
    workspace = sandbox.workspace
    admin, ops = workspace.member("admin"), workspace.channel("ops")
    dba, database = (_DBA, _DATABASE) if with_services else ("", "")
    return workspace.post(ops.id, admin.id, Content(_TEXT.format(shop=shop, dba=dba, database=database)))
