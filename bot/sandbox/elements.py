"""Block Kit's composition objects and elements, with the numbers of docs.slack.dev and @slack/types."""

from collections.abc import Iterator
from typing import Any

from bot.sandbox.shapes import Bool, Flaw, Many, Num, Obj, OneOf, Rule, Shape, Str, Word, exactly_one


def plain(most: int = 3000) -> OneOf:
    """A plain_text object."""
    return OneOf({"plain_text": Obj({"text": Str(most)}, {"emoji": Bool()})}, outlined=False)


def words(most: int = 3000) -> OneOf:
    """A plain_text or mrkdwn object."""
    return OneOf(
        {
            "plain_text": Obj({"text": Str(most)}, {"emoji": Bool()}),
            "mrkdwn": Obj({"text": Str(most)}, {"verbatim": Bool()}),
        },
        outlined=True,
    )


ACTION_ID = Str(255)
URL = Str(3000, pattern=r"[a-zA-Z][a-zA-Z0-9+.-]*:.+", says="must provide a valid URL")
STYLE = Word(("primary", "danger"))
DATE = Str(pattern=r"\d{4}-\d\d-\d\d", says="must be a valid date in the format YYYY-MM-DD")
TIME = Str(pattern=r"\d\d:\d\d", says="must be a valid time in the format HH:mm")

CONFIRM = Obj(
    {"title": plain(100), "text": words(300), "confirm": plain(30), "deny": plain(30)}, {"style": STYLE}
)
OPTION = Obj({"text": plain(75), "value": Str(150)}, {"description": plain(75)})
RICH_OPTION = Obj({"text": words(75), "value": Str(150)}, {"description": words(75)})  # checkboxes and radios
LINK_OPTION = Obj({"text": plain(75), "value": Str(150)}, {"description": plain(75), "url": URL})  # overflow
OPTION_GROUP = Obj({"label": plain(75), "options": Many(OPTION, 100)})
SLACK_FILE = Obj(may={"id": Str(), "url": Str(3000)}, rules=(exactly_one("id", "url"),))
DISPATCH = Obj(may={"trigger_actions_on": Many(Word(("on_enter_pressed", "on_character_entered")), 2)})
FILTER = Obj(
    may={
        "include": Many(Word(("im", "mpim", "private", "public")), 4),
        "exclude_external_shared_channels": Bool(),
        "exclude_bot_users": Bool(),
    }
)


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _offered(value: dict[str, Any]) -> list[Any]:
    grouped = [
        option for group in _objects(value.get("option_groups")) for option in _objects(group.get("options"))
    ]
    return [option.get("value") for option in [*_objects(value.get("options")), *grouped]]


def initial_is_offered(value: dict[str, Any], at: str) -> Iterator[Flaw]:
    """What is chosen at first must be among the options."""
    for name in ("initial_option", "initial_options"):
        chosen = value.get(name, [])
        for option in chosen if isinstance(chosen, list) else [chosen]:
            if isinstance(option, dict) and option.get("value") not in _offered(value):
                yield Flaw(f"{at}/{name}", "must match exactly one of the provided options")


def length_in_order(value: dict[str, Any], at: str) -> Iterator[Flaw]:
    """A minimum above the maximum can never be met."""
    least, most = value.get("min_length"), value.get("max_length")
    if isinstance(least, int) and isinstance(most, int) and least > most:
        yield Flaw(f"{at}/min_length", "must be less than or equal to `max_length`")


def element(must: dict[str, Shape] | None = None, may: dict[str, Shape] | None = None, *rules: Rule) -> Obj:
    """An element that people use: what it adds to the action_id and the focus."""
    return Obj(must or {}, {"action_id": ACTION_ID, "focus_on_load": Bool(), **(may or {})}, rules)


PLACEHOLDER: dict[str, Shape] = {"placeholder": plain(150)}
CONFIRMED: dict[str, Shape] = {"confirm": CONFIRM}
CHOICES: dict[str, Shape] = {"options": Many(OPTION, 100), "option_groups": Many(OPTION_GROUP, 100)}
AT_MOST: dict[str, Shape] = {"max_selected_items": Num(1)}
TYPED: dict[str, Shape] = {**PLACEHOLDER, "dispatch_action_config": DISPATCH}
SELECTED: dict[str, Shape] = {**PLACEHOLDER, **CONFIRMED}

BUTTON = Obj(
    {"text": plain(75)},
    {
        "action_id": ACTION_ID,
        "url": URL,
        "value": Str(2000),
        "style": STYLE,
        "confirm": CONFIRM,
        "accessibility_label": Str(75),
    },
)
IMAGE = Obj(
    {"alt_text": Str(2000)},
    {"image_url": URL, "slack_file": SLACK_FILE},
    (exactly_one("image_url", "slack_file"),),
)
OVERFLOW = Obj({"options": Many(LINK_OPTION, 5)}, {"action_id": ACTION_ID, **CONFIRMED})
FEEDBACK = Obj({"text": plain(75), "value": Str(2000)}, {"accessibility_label": Str(75)})

SELECTS: dict[str, Shape] = {
    "static_select": element(
        {},
        {**SELECTED, **CHOICES, "initial_option": OPTION},
        exactly_one("options", "option_groups"),
        initial_is_offered,
    ),
    "external_select": element({}, {**SELECTED, "initial_option": OPTION, "min_query_length": Num(0)}),
    "users_select": element({}, {**SELECTED, "initial_user": Str()}),
    "channels_select": element({}, {**SELECTED, "initial_channel": Str(), "response_url_enabled": Bool()}),
    "conversations_select": element(
        {},
        {
            **SELECTED,
            "initial_conversation": Str(),
            "default_to_current_conversation": Bool(),
            "response_url_enabled": Bool(),
            "filter": FILTER,
        },
    ),
    "multi_static_select": element(
        {},
        {**SELECTED, **CHOICES, **AT_MOST, "initial_options": Many(OPTION, 100)},
        exactly_one("options", "option_groups"),
        initial_is_offered,
    ),
    "multi_external_select": element(
        {}, {**SELECTED, **AT_MOST, "initial_options": Many(OPTION, 100), "min_query_length": Num(0)}
    ),
    "multi_users_select": element({}, {**SELECTED, **AT_MOST, "initial_users": Many(Str(), 100)}),
    "multi_channels_select": element({}, {**SELECTED, **AT_MOST, "initial_channels": Many(Str(), 100)}),
    "multi_conversations_select": element(
        {},
        {
            **SELECTED,
            **AT_MOST,
            "initial_conversations": Many(Str(), 100),
            "default_to_current_conversation": Bool(),
            "filter": FILTER,
        },
    ),
}
BOXES: dict[str, Shape] = {
    "checkboxes": element(
        {"options": Many(RICH_OPTION, 10)},
        {**CONFIRMED, "initial_options": Many(RICH_OPTION, 10)},
        initial_is_offered,
    ),
    "radio_buttons": element(
        {"options": Many(RICH_OPTION, 10)}, {**CONFIRMED, "initial_option": RICH_OPTION}, initial_is_offered
    ),
}
TIMES: dict[str, Shape] = {
    "datepicker": element({}, {**SELECTED, "initial_date": DATE}),
    "timepicker": element({}, {**SELECTED, "initial_time": TIME, "timezone": Str()}),
}
DATETIME: dict[str, Shape] = {
    # Ten digits: seconds since 1970.
    "datetimepicker": element({}, {**CONFIRMED, "initial_date_time": Num(1_000_000_000, 9_999_999_999)}),
}
INPUTS: dict[str, Shape] = {
    "plain_text_input": element(
        {},
        {
            **TYPED,
            "initial_value": Str(3000, least=0),
            "multiline": Bool(),
            "min_length": Num(0, 3000),
            "max_length": Num(1, 3000),
        },
        length_in_order,
    ),
    "number_input": element(
        {"is_decimal_allowed": Bool()},
        {**TYPED, "initial_value": Str(), "min_value": Str(), "max_value": Str()},
    ),
    "email_text_input": element({}, {**TYPED, "initial_value": Str()}),
    "url_text_input": element({}, {**TYPED, "initial_value": Str(3000)}),
    "file_input": element({}, {"filetypes": Many(Str(), 100), "max_files": Num(1, 10)}),
}

IN_SECTION = OneOf({"button": BUTTON, "image": IMAGE, "overflow": OVERFLOW, **SELECTS, **BOXES, **TIMES})
IN_ACTIONS = OneOf({"button": BUTTON, "overflow": OVERFLOW, **SELECTS, **BOXES, **TIMES, **DATETIME})
IN_INPUT = OneOf({**SELECTS, **BOXES, **TIMES, **DATETIME, **INPUTS})
IN_CONTEXT = OneOf(
    {
        "image": IMAGE,
        "plain_text": Obj({"text": Str(3000)}, {"emoji": Bool()}),
        "mrkdwn": Obj({"text": Str(3000)}, {"verbatim": Bool()}),
    }
)
IN_CONTEXT_ACTIONS = OneOf(
    {
        "feedback_buttons": Obj(
            {"positive_button": FEEDBACK, "negative_button": FEEDBACK}, {"action_id": ACTION_ID}
        ),
        "icon_button": Obj(
            {"icon": Word(("trash",)), "text": plain(75)},
            {
                "action_id": ACTION_ID,
                "value": Str(2000),
                "confirm": CONFIRM,
                "accessibility_label": Str(75),
                "visible_to_user_ids": Many(Str(), 100),
            },
        ),
    }
)
