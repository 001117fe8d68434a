"""Where something was asked for, as grants speak of it."""

from collections.abc import Mapping

from runbooks.access import Place


def place_of(channel: str, name: str, channels: Mapping[str, str]) -> Place:
    """The channel of that id and of that name in Slack. `channels`: maint.yaml's names to ids."""
    aliases = frozenset(alias for alias, id_ in channels.items() if id_ == channel)
    # A direct message of several people has a channel's id, and this kind of name.
    direct = channel.startswith("D") or name.startswith("mpdm-")
    return Place(id=channel, name=name, aliases=aliases, direct=direct)
