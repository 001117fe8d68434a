"""What nobody would notice before the time has come: parameters of a schedule that do not fit its runbook."""

from collections.abc import Iterator, Mapping

from runbooks.errors import Fault
from runbooks.nearest import did_you_mean
from runbooks.spec.params import Param
from runbooks.spec.source import Document, KeyPath


def schedule_faults(
    document: Document, params: Mapping[str, Param | None], at: KeyPath = ("schedule",)
) -> Iterator[Fault]:
    """Parameters that a schedule gives and the runbook does not have, and those that it does not give.

    `at`: where the list of schedules is.
    """
    schedules = document.get(at)
    for index, schedule in enumerate(schedules if isinstance(schedules, list) else ()):
        place: KeyPath = (*at, index)
        given = schedule.get("params", {}) if isinstance(schedule, dict) else None
        if not isinstance(given, dict) or place in document.broken:
            continue
        for name in given:
            where = (*place, "params", name)
            if name not in params:
                known = f"known here: {', '.join(params)}" if params else "it has none"
                hint = did_you_mean(str(name), params) or known
                yield document.fault(where, f"the runbook has no parameter `{name}`", hint, at_key=True)
            elif (param := params[name]) is not None and param.secret:
                message = f"`{name}` is a secret, and nobody is there to be asked for it"
                yield document.fault(where, message, "a runbook on a schedule has no secret parameters")
        for name, param in params.items():
            if param is not None and param.required and param.default is None and name not in given:
                message = f"nobody is there to be asked for `{name}`"
                yield document.fault(place, message, f"give it: `params: {{{name}: …}}`")
