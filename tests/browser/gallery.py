"""Messages and views with every block and element there is, and what is to be seen of each."""

from typing import Any

Block = dict[str, Any]


def plain(text: str) -> Block:
    """A plain_text object."""
    return {"type": "plain_text", "text": text}


def option(text: str, **more: Any) -> Block:
    """An option whose value is its text in small letters."""
    return {"text": plain(text), "value": text.lower(), **more}


COLOURS = [option("Red"), option("Green", description=plain("like grass")), option("Blue")]
CONFIRM = {
    "title": plain("Are you sure?"),
    "text": {"type": "mrkdwn", "text": "This *cannot* be undone."},
    "confirm": plain("Restart it"),
    "deny": plain("Leave it"),
    "style": "danger",
}
SELECTS: list[Block] = [
    {"type": "static_select", "action_id": "static", "placeholder": plain("A colour"), "options": COLOURS},
    {
        "type": "static_select",
        "action_id": "grouped",
        "placeholder": plain("In groups"),
        "option_groups": [
            {"label": plain("Warm"), "options": [option("Orange")]},
            {"label": plain("Cold"), "options": [option("Cyan")]},
        ],
    },
    {
        "type": "external_select",
        "action_id": "external",
        "placeholder": plain("A service"),
        "min_query_length": 1,
    },
    {"type": "users_select", "action_id": "users", "placeholder": plain("Somebody")},
    {"type": "channels_select", "action_id": "channels", "placeholder": plain("A channel")},
    {"type": "conversations_select", "action_id": "conversations", "placeholder": plain("A conversation")},
    {
        "type": "multi_static_select",
        "action_id": "multi_static",
        "placeholder": plain("Colours"),
        "options": COLOURS,
        "initial_options": [COLOURS[0], COLOURS[2]],
    },
    {"type": "multi_users_select", "action_id": "multi_users", "initial_users": ["U00000SRE1"]},
]

RICH: Block = {
    "type": "rich_text",
    "elements": [
        {
            "type": "rich_text_section",
            "elements": [
                {"type": "emoji", "name": "red_circle"},
                {"type": "text", "text": " critical ", "style": {"bold": True}},
                {"type": "text", "text": "slanted", "style": {"italic": True}},
                {"type": "text", "text": " "},
                {"type": "text", "text": "gone", "style": {"strike": True}},
                {"type": "text", "text": " "},
                {"type": "text", "text": "pg_stat", "style": {"code": True}},
                {"type": "text", "text": " "},
                {"type": "link", "url": "https://wiki.example.com/x", "text": "the wiki"},
                {"type": "text", "text": " "},
                {"type": "user", "user_id": "U00000SRE1"},
                {"type": "usergroup", "usergroup_id": "S000000SRE"},
                {"type": "channel", "channel_id": "C000000OPS"},
                {"type": "emoji", "name": "party-parrot"},
            ],
        },
        {
            "type": "rich_text_list",
            "style": "bullet",
            "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "a point"}]}],
        },
        {
            "type": "rich_text_list",
            "style": "ordered",
            "indent": 1,
            "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "first"}]}],
        },
        {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "SELECT 1;\nSELECT 2;"}]},
        {"type": "rich_text_quote", "elements": [{"type": "text", "text": "as somebody said"}]},
    ],
}

MESSAGE: list[Block] = [
    {"type": "header", "text": plain("The gallery :art:")},
    {
        "type": "section",
        "text": {"type": "mrkdwn", "text": "A *section* with `fields`\n&gt; and a quote"},
        "fields": [{"type": "mrkdwn", "text": "*Left*\n1"}, {"type": "mrkdwn", "text": "*Right*\n2"}],
        "accessory": {
            "type": "button",
            "action_id": "open",
            "text": plain("Open"),
            "url": "https://x.example",
        },
    },
    {
        "type": "section",
        "text": plain("With a picture"),
        "accessory": {"type": "image", "image_url": "https://x.example/a.png", "alt_text": "a graph"},
    },
    {
        "type": "section",
        "text": plain("With a menu"),
        "accessory": {
            "type": "overflow",
            "action_id": "more",
            "options": [option("Details"), option("Silence")],
        },
    },
    {
        "type": "context",
        "elements": [
            {"type": "image", "image_url": "https://x.example/t.png", "alt_text": "a small picture"},
            {"type": "mrkdwn", "text": "small print, _yesterday_"},
        ],
    },
    {"type": "divider"},
    {
        "type": "actions",
        "block_id": "buttons",
        "elements": [
            {
                "type": "button",
                "action_id": "approve",
                "text": plain("Approve"),
                "style": "primary",
                "value": "1",
            },
            {
                "type": "button",
                "action_id": "restart",
                "text": plain("Restart"),
                "style": "danger",
                "confirm": CONFIRM,
            },
            {"type": "button", "action_id": "later", "text": plain("Later")},
        ],
    },
    {"type": "actions", "block_id": "selects", "elements": SELECTS},
    {
        "type": "actions",
        "block_id": "times",
        "elements": [
            {"type": "datepicker", "action_id": "date", "initial_date": "2026-11-21"},
            {"type": "timepicker", "action_id": "time", "initial_time": "07:30"},
            {"type": "datetimepicker", "action_id": "moment", "initial_date_time": 1_790_000_000},
        ],
    },
    {
        "type": "actions",
        "block_id": "boxes",
        "elements": [
            {
                "type": "checkboxes",
                "action_id": "checks",
                "options": COLOURS,
                "initial_options": [COLOURS[1]],
            },
            {"type": "radio_buttons", "action_id": "radios", "options": COLOURS},
        ],
    },
    RICH,
    {
        "type": "image",
        "image_url": "https://x.example/big.png",
        "alt_text": "a big graph",
        "title": plain("Latency"),
    },
    {
        "type": "table",
        "column_settings": [{"align": "left"}, {"align": "right"}],
        "rows": [
            [{"type": "raw_text", "text": "Check"}, {"type": "raw_text", "text": "Value"}],
            [
                {"type": "raw_text", "text": "latency"},
                {"type": "raw_number", "value": 41.5, "text": "41.5 ms"},
            ],
        ],
    },
    {
        "type": "markdown",
        "text": "## Marked down\n\n- **one** of\n- `two`\n\n| a | b |\n|---|--:|\n| 1 | 2 |",
    },
    {"type": "file", "external_id": "ABC", "source": "remote"},
    {
        "type": "context_actions",
        "elements": [
            {
                "type": "feedback_buttons",
                "action_id": "feedback",
                "positive_button": {"text": plain("Good"), "value": "+"},
                "negative_button": {"text": plain("Bad"), "value": "-"},
            },
            {"type": "icon_button", "action_id": "trash", "icon": "trash", "text": plain("Delete")},
        ],
    },
]

ATTACHMENTS: list[Block] = [
    {
        "color": "#36a64f",
        "pretext": "An *attachment*",
        "author_name": "grafana",
        "title": "High latency",
        "title_link": "https://grafana.example.com",
        "text": "It is _slow_.",
        "fields": [{"title": "Priority", "value": "High", "short": True}],
        "footer": "since 10:00",
    }
]


def field(name: str, label: str, element: Block, **more: Any) -> Block:
    """An input block."""
    return {"type": "input", "block_id": name, "label": plain(label), "element": element, **more}


VIEW: Block = {
    "type": "modal",
    "callback_id": "gallery",
    "title": plain("Every input"),
    "submit": plain("Send"),
    "close": plain("Cancel"),
    "blocks": [
        {"type": "section", "text": {"type": "mrkdwn", "text": "Fill it *in*."}},
        field(
            "name",
            "Name",
            {"type": "plain_text_input", "action_id": "a", "min_length": 3},
            hint=plain("A hint"),
        ),
        field(
            "text", "Text", {"type": "plain_text_input", "action_id": "a", "multiline": True}, optional=True
        ),
        field("mail", "Mail", {"type": "email_text_input", "action_id": "a"}),
        field(
            "count",
            "Count",
            {"type": "number_input", "action_id": "a", "is_decimal_allowed": False, "max_value": "9"},
        ),
        field("url", "Address", {"type": "url_text_input", "action_id": "a"}, optional=True),
        field("day", "Day", {"type": "datepicker", "action_id": "a"}, optional=True),
        field("hour", "Hour", {"type": "timepicker", "action_id": "a"}, optional=True),
        field("colour", "Colour", {"type": "static_select", "action_id": "a", "options": COLOURS}),
        field(
            "colours", "Colours", {"type": "checkboxes", "action_id": "a", "options": COLOURS}, optional=True
        ),
        field("one", "One", {"type": "radio_buttons", "action_id": "a", "options": COLOURS}, optional=True),
        field("who", "Who", {"type": "multi_users_select", "action_id": "a"}, optional=True),
        field("rich", "Rich", {"type": "rich_text_input", "action_id": "a"}, optional=True),
        field("file", "File", {"type": "file_input", "action_id": "a", "max_files": 2}, optional=True),
    ],
}
