"""Everything between Slack and the commands, put together: the way in, the cards, buttons and forms."""

from collections.abc import Mapping
from functools import partial

from slack_bolt.app.async_app import AsyncApp

from bot.slack.actions import Actions
from bot.slack.board import Board
from bot.slack.client import SlackClient
from bot.slack.forms import Forms
from bot.slack.gateway import Gateway
from bot.slack.pace import Edits
from bot.slack.people import People
from bot.slack.publisher import Publisher
from bot.slack.throttle import Throttle
from commands.alert_card import remedies_of
from commands.command import Services
from commands.dispatch import Dispatcher
from runbooks.access import Grant, Role
from runbooks.records.board import BoardRecords
from runbooks.records.records import Records
from runbooks.scrub import Scrubber

#: Seconds that drawings under way get when everything stops; another replica does the rest.
LAST_DRAWINGS = 3.0


class Edge:
    """The Slack side of one process. `board.nudge` tells it that a card is stale; `people` knows who has
    which role."""

    def __init__(
        self,
        *,
        client: SlackClient,
        records: Records,
        services: Services,
        dispatcher: Dispatcher,
        scrub: Scrubber,
        teams: frozenset[str],
        roles: Mapping[str, Role],
        grants: tuple[Grant, ...],
        commands_per_minute: int,
        workspace_url: str = "",
    ) -> None:
        board_records = BoardRecords(records)
        self.people = people = People(client.web, teams, roles, records.record)
        self.publisher = Publisher(client, records, Edits(board_records))
        self.board = Board(
            client,
            board_records,
            called=people.called,
            channels=services.channels,
            scrub=scrub,
            remedies=partial(remedies_of, services.runbooks),
            silenceable=services.silencer.sources,
        )
        self._forms = Forms(slack=client, services=services)
        self._gateway = Gateway(
            dispatcher=dispatcher,
            people=people,
            publisher=self.publisher,
            throttle=Throttle(commands_per_minute),
            grants=grants,
            channels=services.channels,
            show_form=self._forms.show,
            workspace_url=workspace_url,
        )
        self._actions = Actions(
            gateway=self._gateway,
            publisher=self.publisher,
            slack=client,
            services=services,
            show_form=self._forms.show,
        )

    def listen(self, app: AsyncApp) -> None:
        """Registers what the bot answers to."""
        self._gateway.listen(app)
        self._actions.listen(app)
        self._forms.listen(app, self._gateway)

    def start(self) -> None:
        """Begins to work, in the running event loop."""
        self._gateway.start()
        self.board.start()

    async def drain(self, seconds: float) -> bool:
        """Lets what was acknowledged come to its end; False if that took too long."""
        done = await self._gateway.drain(seconds)
        await self.board.stop(LAST_DRAWINGS)
        return done
