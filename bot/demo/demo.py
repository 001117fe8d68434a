"""`maint demo`: starts the sandbox, the shop and the bot in one process, and ends all of it again."""

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import threading
import webbrowser
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bot.app import Server, load
from bot.demo.processes import program
from bot.demo.services import Services, run_services
from bot.demo.settings import HOOK_FILE, refuse_others, write_settings
from bot.demo.shop.goods import PRODUCTS, Goods, ListedGoods, StoredGoods
from bot.demo.shop.journal import Journal
from bot.demo.shop.service import Shop
from bot.demo.shop.switches import Switchboard
from bot.demo.shop.visitors import visitors
from bot.demo.welcome import welcome
from bot.logs import set_up_logs
from bot.sandbox import Sandbox, Workspace
from bot.slack.manifest import manifest
from runbooks.errors import UsageError
from runbooks.records.only_process import only_process
from runbooks.scrub import Scrubber

#: Where the workspace is when it is free and nobody asked for another one.
PORT = 8765
#: A program that people can restart.
POSTMAN = "bot.demo.shop.postman"


@dataclass(frozen=True, kw_only=True)
class Options:
    """How the demo is started. Without a port it is PORT or a free one; without a folder a temporary one."""

    port: int | None = None
    folder: Path | None = None
    with_services: bool = False
    browser: bool = True


@dataclass(frozen=True, kw_only=True)
class Running:
    """A demo that is up."""

    sandbox: Sandbox
    folder: Path
    shop: str
    hook: str

    @property
    def address(self) -> str:
        """Where the workspace is."""
        return self.sandbox.workspace.base_url


async def demo(options: Options, say: Callable[[str], object]) -> int:
    """Runs until Ctrl-C, SIGTERM or SIGHUP, and says where it is. Raises MaintError when it cannot start."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    workspace = Workspace()
    tokens = (workspace.bot_token, workspace.app_token, workspace.signing_secret)
    set_up_logs(Scrubber(tokens), "console", "warning")
    work = asyncio.create_task(_stay(options, workspace, say))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    # Also in the midst of starting: what was started so far is ended.
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work
    return 0


async def _stay(options: Options, workspace: Workspace, say: Callable[[str], object]) -> None:
    say("Starting the workspace, the shop and Maint …")
    async with running(options, workspace) as up:
        say(f"Maint waits for you in a Slack workspace on this machine: {up.address}")
        say(f"Alerts may be sent to {up.hook} with the token in {up.folder / HOOK_FILE}")
        if options.folder:
            say(f"Its files stay in {up.folder}")
        say("Ctrl-C ends everything.")
        if options.browser:
            _open_browser(up.address)
        await asyncio.Event().wait()


@asynccontextmanager
async def running(options: Options, workspace: Workspace) -> AsyncIterator[Running]:
    """The demo, from the first answer that Maint can give to the end. Raises MaintError."""
    workspace.install(manifest())
    async with AsyncExitStack() as stack:
        folder = await stack.enter_async_context(_folder(options.folder))
        sandbox = await stack.enter_async_context(_sandbox(options.port, workspace))
        services = await stack.enter_async_context(run_services(folder)) if options.with_services else None
        journal = Journal(folder)
        shop = await stack.enter_async_context(_shop(journal, services))
        await stack.enter_async_context(_postman(folder))
        path = await asyncio.to_thread(write_settings, folder, workspace, shop, journal, services)
        # Only the sandbox's own variables: a real workspace's tokens in this shell are not for the demo.
        server = Server(*await load(path, sandbox.environment()))
        await stack.enter_async_context(server)
        welcome(sandbox, shop, with_services=services is not None)
        hook = f"http://127.0.0.1:{server.port}/hooks/alertmanager"
        yield Running(sandbox=sandbox, folder=folder, shop=shop, hook=hook)


@asynccontextmanager
async def _folder(named: Path | None) -> AsyncIterator[Path]:
    """The named folder, made if need be, or a temporary one that is removed at the end."""
    if named is not None:
        yield await asyncio.to_thread(_claim, named)
        return
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="maint-demo-"))
    try:
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder)


def _claim(folder: Path) -> Path:
    folder = folder.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"The folder {folder} cannot be made: {error.strerror}.") from error
    refuse_others(folder)
    # Before anything in it is touched; the bot takes the lock for good.
    with only_process(f"sqlite:///{folder}/maint.db"):
        return folder


@asynccontextmanager
async def _sandbox(port: int | None, workspace: Workspace) -> AsyncIterator[Sandbox]:
    async with AsyncExitStack() as stack:
        try:
            sandbox = await stack.enter_async_context(
                Sandbox.start(port=PORT if port is None else port, workspace=workspace)
            )
        except OSError as error:
            if port is not None:
                raise UsageError(
                    f"Port {port} of 127.0.0.1 cannot be used ({os.strerror(error.errno or 0).lower()}); "
                    "choose another one, or leave --port out."
                ) from error
            sandbox = await stack.enter_async_context(Sandbox.start(workspace=workspace))
        yield sandbox


@asynccontextmanager
async def _shop(journal: Journal, services: Services | None) -> AsyncIterator[str]:
    """The shop with its visitors; its address."""
    switchboard = Switchboard(can_leak=services is not None)
    goods: Goods = ListedGoods()
    if services is not None:
        goods = StoredGoods(services.shop_database, services.cache, lambda: switchboard.now.leaking)
    await asyncio.to_thread(journal.open)
    try:
        # Before the first visitor, or the cache's hit rate would begin as that of an empty one.
        await goods.products([product.id for product in PRODUCTS])
        async with Shop(goods, switchboard, journal).open() as address, visitors(address):
            yield address
    finally:
        await goods.close()
        await asyncio.to_thread(journal.close)


@asynccontextmanager
async def _postman(folder: Path) -> AsyncIterator[None]:
    """The shop's postman, and another one whenever he ends."""
    keeping = asyncio.create_task(_keep_postman(folder))
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def _keep_postman(folder: Path) -> None:
    while True:
        async with program(folder / "postman.log", sys.executable, "-m", POSTMAN, "run", folder) as process:
            await process.wait()
        await asyncio.sleep(0.2)  # one that cannot even begin must not keep the machine busy


def _open_browser(address: str) -> None:
    graphical = sys.platform == "darwin" or {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys()
    if not graphical:
        return  # Python would open a text browser, in this very terminal
    # A thread that nobody waits for: some browsers stay until they are closed.
    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
